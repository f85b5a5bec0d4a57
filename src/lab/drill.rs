//! The directors' part of the story: who holds the VIPs, and what a client sees when that changes.
//!
//! The client asks every few milliseconds while the active director's converge is stopped, and
//! again while it is started. What it saw is told as it is: requests lost, and the longest time
//! without an answer.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::client::Lab;
use super::error::LabError;
use super::spec::LabSpec;
use super::story::say;
use super::verdict::CLIENT;
use crate::probe::report::Report;

/// An election takes four intervals at most, a return as long as the cluster file says; machines
/// on a loaded computer are slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at who holds the VIPs.
const LOOK: Duration = Duration::from_millis(200);
/// How often the client asks, and for how long it does so around an event.
const PROBE: &str = "--interval 10ms --for 6s --timeout 1s";

/// Starts converge on the directors as a service and waits until one of them holds the VIPs; which.
pub fn elect(lab: &Lab, spec: &LabSpec) -> Result<Option<String>, LabError> {
    let started = Instant::now();
    for name in &spec.resident {
        lab.host(name).ok("systemctl start converge")?;
    }
    let holder = await_holder(lab, spec, |_| true)?;
    match &holder {
        Some(name) => say(name, "holds the VIPs", started.elapsed()),
        None => say("lab", "NOBODY holds the VIPs", started.elapsed()),
    }
    Ok(holder)
}

/// Stops converge on the director that holds the VIPs, and starts it again; false if the VIPs did
/// not move or the client lost a request.
pub fn fail_over(lab: &Lab, spec: &LabSpec, holder: &str) -> Result<bool, LabError> {
    let away = event(lab, spec, holder, "stop", |name| name != holder)?;
    let back = event(lab, spec, holder, "start", |name| name == holder)?;
    Ok(away && back)
}

fn event(
    lab: &Lab,
    spec: &LabSpec,
    director: &str,
    verb: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<bool, LabError> {
    let (Some(client), Some(url)) =
        (spec.hosts.iter().find(|host| host.role == CLIENT), spec.urls.first())
    else {
        return Ok(true);
    };
    let started = Instant::now();
    let line = format!("converge probe {url} {PROBE} -o json");
    let view = std::thread::scope(|scope| {
        let asking = scope.spawn(|| lab.host(&client.name).run_for(&line, b"", PATIENCE));
        // The client has to see that all is well before.
        std::thread::sleep(Duration::from_secs(1));
        let done = lab.host(director).ok(&format!("systemctl {verb} converge"));
        let view = asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        done.and(view)
    })?;
    let holder = await_holder(lab, spec, wanted)?;
    let held = holder.as_deref().unwrap_or("NOBODY");
    let seen: Result<Report, _> = super::verdict::read(&view.stdout);
    let (text, well) = match &seen {
        Ok(report) => (told(report), report.error_count == 0),
        Err(error) => (error.to_string(), false),
    };
    say(director, &format!("converge {verb}: {held} holds the VIPs; {text}"), started.elapsed());
    Ok(well && holder.is_some())
}

fn told(report: &Report) -> String {
    format!(
        "the client lost {} of {} requests, at most {:.0} ms without an answer",
        report.error_count, report.requests, report.longest_gap_ms
    )
}

/// Waits until a director of the wanted ones holds all VIPs, and no other holds any.
fn await_holder(
    lab: &Lab,
    spec: &LabSpec,
    wanted: impl Fn(&str) -> bool,
) -> Result<Option<String>, LabError> {
    let end = Instant::now() + PATIENCE;
    loop {
        let holders = holders(lab, spec)?;
        if let [one] = holders.as_slice()
            && wanted(one)
        {
            return Ok(Some(one.clone()));
        }
        if Instant::now() > end {
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

/// The directors that have any of the VIPs.
pub fn holders(lab: &Lab, spec: &LabSpec) -> Result<Vec<String>, LabError> {
    let mut holders = Vec::new();
    for name in &spec.resident {
        let output = lab.host(name).ok("ip -oneline address show")?;
        if spec.vips.iter().any(|vip| has(&output.stdout, *vip)) {
            holders.push(name.clone());
        }
    }
    Ok(holders)
}

/// Whether this address is in the output of `ip -oneline address`.
fn has(listing: &str, vip: IpAddr) -> bool {
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
}
