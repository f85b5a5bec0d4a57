//! The directors' part of the story: who holds the VIPs, and what a client sees when that changes.
//!
//! The client asks every few milliseconds while converge is stopped on a director that holds VIPs,
//! and again while it is started. What it saw is told as it is: requests lost, and the longest time
//! without an answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::client::Lab;
use super::error::LabError;
use super::host::Host;
use super::spec::{Electors, LabSpec};
use super::story::{at_once, say};
use super::verdict::{self, CLIENT};
use crate::probe::report::Report;

/// An election takes four intervals at most; machines on a loaded computer are slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// The client asks for as long as it is let; this ends it if nobody does.
const PROBE_LIMIT: Duration = Duration::from_secs(600);
/// Between two looks at who holds the VIPs.
const LOOK: Duration = Duration::from_millis(200);
/// How often the client asks, in milliseconds.
const INTERVAL: u64 = 10;
/// How long the client sees that all is well, before an event and after it.
const WELL: Duration = Duration::from_secs(1);

/// Who holds which VIPs: every one of them is at exactly one director.
pub type Placing = BTreeMap<IpAddr, String>;

/// Starts converge on the directors as a service and waits until they hold the VIPs; who does.
pub fn elect(lab: &Lab, electors: &Electors) -> Result<Option<Placing>, LabError> {
    let started = Instant::now();
    let start = |name: &String| lab.host(name).ok("systemctl enable --now --quiet converge");
    at_once(&electors.hosts, start).into_iter().try_for_each(|done| done.map(drop))?;
    let placing = await_placing(lab, electors, |placing| is_home(electors, placing))?;
    match &placing {
        Some(placing) => {
            for (name, vips) in by_holder(placing) {
                say(name, &format!("holds {vips}"), started.elapsed());
            }
        }
        None => say("lab", "NOBODY holds all of the VIPs", started.elapsed()),
    }
    Ok(placing)
}

/// Stops converge on the director that holds the VIPs, and starts it again; false if the VIPs did
/// not move as they have to, or if the client lost more than what was under way.
pub fn fail_over(
    lab: &Lab,
    spec: &LabSpec,
    electors: &Electors,
    before: &Placing,
) -> Result<bool, LabError> {
    let client = spec.hosts.iter().find(|host| host.role == CLIENT);
    let (Some(client), Some(url), Some(holder)) = (client, spec.urls.first(), first(before)) else {
        return Ok(true);
    };
    let view = Stage { lab, electors, client: lab.host(&client.name), url };
    let gone = |placing: &Placing| placing.values().all(|name| name != holder);
    let back = |placing: &Placing| is_home(electors, placing);
    Ok(view.act(holder, "stop", gone)? && view.act(holder, "start", back)?)
}

/// Where it happens and who looks on.
struct Stage<'a> {
    lab: &'a Lab,
    electors: &'a Electors,
    client: Host<'a>,
    url: &'a str,
}

impl Stage<'_> {
    fn act(
        &self,
        director: &str,
        verb: &str,
        wanted: impl Fn(&Placing) -> bool,
    ) -> Result<bool, LabError> {
        let started = Instant::now();
        let (placing, seen) = while_asked(self.client, self.url, || {
            self.lab.host(director).ok(&format!("systemctl {verb} converge"))?;
            await_placing(self.lab, self.electors, &wanted)
        })?;
        let held = match &placing {
            Some(placing) => by_holder(placing)
                .into_iter()
                .map(|(name, vips)| format!("{name} holds {vips}"))
                .collect::<Vec<_>>()
                .join(", "),
            None => "NOT all of the VIPs are where they have to be".to_owned(),
        };
        let text = format!("systemctl {verb} converge: {held}");
        say(director, &text, started.elapsed());
        say(self.client.name(), &told(&seen), Duration::from_millis(seen.duration_ms as u64));
        Ok(placing.is_some() && seen.ok > 0 && seen.error_count <= under_way(&seen))
    }
}

/// Has this client ask the URL while something happens; what came of it and what the client saw.
pub fn while_asked<T>(
    client: Host<'_>,
    url: &str,
    event: impl FnOnce() -> Result<T, LabError>,
) -> Result<(T, Report), LabError> {
    // Several URLs may be asked at the same time.
    let name: String = url.chars().filter(char::is_ascii_alphanumeric).collect();
    let line = format!(
        "echo $$ > /run/asking-{name}; exec converge probe {url} --interval {INTERVAL}ms \
         --timeout 1s --for {}s -o json",
        PROBE_LIMIT.as_secs()
    );
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| client.run_for(&line, b"", PROBE_LIMIT));
        std::thread::sleep(WELL);
        let came = event();
        std::thread::sleep(WELL);
        let ended = client.ok(&format!("kill $(cat /run/asking-{name})"));
        let output = asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let came = came?;
        ended?;
        let seen = verdict::read(&output.stdout);
        Ok((came, seen.map_err(|_| client.failed(&line, output))?))
    })
}

/// As many requests as can be on their way at a moment. What is under way when a VIP moves may be
/// lost: the other director has not heard of a connection that is a few milliseconds old.
pub fn under_way(seen: &Report) -> u64 {
    let longest = seen.latency_ms.map_or(0.0, |latency| latency.max);
    longest as u64 / INTERVAL + 1
}

fn told(seen: &Report) -> String {
    let lost = seen.error_count;
    let reason = match lost {
        0 => String::new(),
        lost if lost <= under_way(seen) => " (under way as the VIP moved)".into(),
        _ => {
            let kinds = seen.errors.iter().map(|(kind, count)| format!("{kind} {count}"));
            format!(" ({})", kinds.collect::<Vec<_>>().join(", "))
        }
    };
    format!(
        "{}: {lost} of {} requests lost{reason}, longest silence {:.0} ms ± {:.0}",
        seen.url, seen.requests, seen.longest_gap_ms, seen.late_ms
    )
}

/// Whether every VIP that returns has.
fn is_home(electors: &Electors, placing: &Placing) -> bool {
    electors.homes.iter().all(|(vip, home)| placing.get(vip) == Some(home))
}

fn first(placing: &Placing) -> Option<&String> {
    placing.values().next()
}

/// The VIPs of each holder, for people.
fn by_holder(placing: &Placing) -> BTreeMap<&str, String> {
    let mut holders: BTreeMap<&str, String> = BTreeMap::new();
    for (vip, name) in placing {
        let vips = holders.entry(name).or_default();
        let comma = if vips.is_empty() { "" } else { ", " };
        vips.push_str(&format!("{comma}{vip}"));
    }
    holders
}

/// Waits until every VIP is at exactly one director, and as wanted.
fn await_placing(
    lab: &Lab,
    electors: &Electors,
    wanted: impl Fn(&Placing) -> bool,
) -> Result<Option<Placing>, LabError> {
    let end = Instant::now() + PATIENCE + electors.homecoming;
    loop {
        let placing = placing(lab, electors)?;
        if let Some(placing) = placing.filter(|placing| wanted(placing)) {
            return Ok(Some(placing));
        }
        if Instant::now() > end {
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

/// Who holds which VIP at this moment; none if one of them is nowhere or twice.
pub fn placing(lab: &Lab, electors: &Electors) -> Result<Option<Placing>, LabError> {
    let mut placing = Placing::new();
    for name in &electors.hosts {
        let output = lab.host(name).ok("ip -oneline address show")?;
        for vip in electors.vips.iter().filter(|vip| has(&output.stdout, **vip)) {
            if placing.insert(*vip, name.clone()).is_some() {
                return Ok(None);
            }
        }
    }
    Ok((placing.len() == electors.vips.len()).then_some(placing))
}

/// Whether this address is in the output of `ip -oneline address`.
pub fn has(listing: &str, vip: IpAddr) -> bool {
    let vip = vip.to_string();
    let mut words = listing.split_whitespace();
    words.any(|word| word.split_once('/').is_some_and(|(address, _)| address == vip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vip_is_told_from_an_address_that_begins_like_it() {
        let listing = "2: ens33 inet 192.0.2.100/32 scope global ens33\n";
        assert!(has(listing, "192.0.2.100".parse().expect("an address")));
        assert!(!has(listing, "192.0.2.10".parse().expect("an address")));
    }

    #[test]
    fn a_vip_that_never_returns_is_at_home_everywhere() {
        let vip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let homes = BTreeMap::from([(vip("192.0.2.1"), "a".to_owned())]);
        let electors = Electors { homes, ..Electors::default() };
        let at = |first: &str, second: &str| {
            Placing::from([(vip("192.0.2.1"), first.into()), (vip("192.0.2.2"), second.into())])
        };
        assert!(is_home(&electors, &at("a", "a")));
        assert!(is_home(&electors, &at("a", "b")));
        assert!(!is_home(&electors, &at("b", "a")));
        assert_eq!(by_holder(&at("a", "a"))["a"], "192.0.2.1, 192.0.2.2");
    }
}
