//! The story of `lab run` and `lab up`: machines boot, converge, and the client looks at the VIPs.
//!
//! One line per machine and step, as it happens, with the time it took.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::client::{Lab, Options};
use super::error::{LabError, Output};
use super::from_cluster::turn;
use super::spec::LabSpec;
use super::verdict::{self, CLIENT};

/// The role of the machines that hold the IPVS table; another director has the same turn.
const DIRECTOR: &str = "director-master";
/// Enough that each of a handful of servers is asked several times.
const REQUESTS: u32 = 20;
/// A machine installs nothing and waits for nobody, so this is long.
const CONVERGE_PATIENCE: Duration = Duration::from_secs(120);
/// Twenty times what a boot takes on two cores with nothing else to do.
const BOOT_PATIENCE: Duration = Duration::from_secs(120);
/// Lines of a failed command's output.
const SHOWN: usize = 12;

/// Boots the machines of a lab and says how long each took.
pub fn boot(spec: &LabSpec, options: &Options, stays: bool) -> Result<Lab, LabError> {
    let started = Instant::now();
    let lab = if stays { Lab::leave_up(spec, options)? } else { Lab::launch(spec, options)? };
    let results = at_once(&spec.hosts, |host| {
        lab.host(&host.name).await_ready(BOOT_PATIENCE)?;
        let took = lab.host(&host.name).status()?.boot.unwrap_or_default();
        say(&host.name, &format!("booted as {}, {}", host.role, host.address.addr()), took);
        Ok(())
    });
    results.into_iter().collect::<Result<Vec<()>, LabError>>()?;
    say("lab", &format!("{} machines are up", spec.hosts.len()), started.elapsed());
    Ok(lab)
}

/// Lets every machine be what its role says; false if one could not.
pub fn converge(lab: &Lab, spec: &LabSpec) -> Result<bool, LabError> {
    let mut all = true;
    for group in verdict::order(spec) {
        let results = at_once(&group, |name| {
            let role = spec.hosts.iter().find(|host| host.name == **name).map(|host| &host.role);
            converge_one(lab, name, role.map_or("", String::as_str))
        });
        for good in results {
            all &= good?;
        }
    }
    Ok(all)
}

/// Asks every address from the client, and says who answered; false if not everybody did.
pub fn look(lab: &Lab, spec: &LabSpec) -> Result<bool, LabError> {
    let Some(client) = spec.hosts.iter().find(|host| host.role == CLIENT) else {
        print("lab: no host of role client, so nobody looks at the VIPs");
        return Ok(false);
    };
    let mut all = !spec.urls.is_empty();
    for url in &spec.urls {
        all &= look_at(lab, spec, &client.name, url)?;
    }
    Ok(all)
}

/// What to try with the machines that `lab up` leaves behind.
pub fn invitation(name: &str, spec: &LabSpec, holder: Option<&str>, converged: bool) -> String {
    let first = |wanted: u8| spec.hosts.iter().find(|host| turn(&host.role) == wanted);
    let named = |wanted: u8| first(wanted).or(spec.hosts.first()).map_or("HOST", |h| &h.name);
    let director = holder.unwrap_or_else(|| named(turn(DIRECTOR)));
    let server = named(turn(verdict::REALSERVER));
    let mut lines = vec![
        (format!("sh {director}"), "a shell on a machine"),
        (format!("sh {director} ipvsadm -Ln"), "one command on a machine"),
    ];
    if let (Some(client), Some(url)) = (first(turn(CLIENT)), spec.urls.first()) {
        let probe = format!("sh {} converge probe {url}", client.name);
        let watch = format!("{probe} -i 10ms --for 30s");
        lines.push((probe, "who answers, as the client sees it"));
        if holder.is_some() {
            lines.push((watch, "the same in a second window, for what follows"));
        }
    }
    if holder.is_some() {
        let others = spec.electors.iter().flat_map(|electors| &electors.hosts);
        let other =
            others.into_iter().find(|name| *name != director).map_or("HOST", String::as_str);
        lines.push((format!("sh {director} systemctl stop converge"), "the VIP moves"));
        lines.push((format!("sh {other} journalctl -u converge"), "what happened, and why"));
        lines.push((format!("sh {director} systemctl start converge"), "and back"));
        lines.push((format!("kill {director}"), "pull its plug; `boot` powers it on again"));
    }
    lines.push((format!("kill {server}"), "a web server's plug: it leaves the table"));
    if holder.is_some() {
        lines.push((format!("sh {director} converge servers"), "who gets traffic, and why not"));
        lines.push((format!("boot {server}"), "it returns"));
        let drain = format!("sh {director} converge drain {server} --wait");
        lines.push((drain, "it ends what it has begun; `ready` takes it back"));
    }
    lines.push(("down".to_owned(), "end the lab"));
    let state = if converged { "" } else { ", but not all of its machines are converged" };
    let mut text = format!("\nThe lab `{name}` is up{state}. Now try:\n");
    let width = lines.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    for (command, what) in lines {
        text.push_str(&format!("  converge lab {command:<width$}  {what}\n"));
    }
    text
}

fn converge_one(lab: &Lab, name: &str, role: &str) -> Result<bool, LabError> {
    let command = format!("converge --role {role}");
    let output = lab.host(name).run_for(&command, b"", CONVERGE_PATIENCE)?;
    // Lines that say more about another one begin with a space.
    let tells = |line: &&str| !line.is_empty() && !line.starts_with(' ');
    let last = |text: &str| text.lines().rev().find(tells).map(str::to_owned);
    if output.success() {
        let result = last(&output.stdout).or_else(|| last(&output.stderr)).unwrap_or_default();
        say(name, &result, output.took);
        return Ok(true);
    }
    say(name, &format!("{role}: FAILED with status {}", output.status), output.took);
    show(&output);
    Ok(false)
}

fn look_at(lab: &Lab, spec: &LabSpec, client: &str, url: &str) -> Result<bool, LabError> {
    let started = Instant::now();
    let view = lab.host(client).probe(url, REQUESTS)?;
    let servers = if verdict::names_servers(url) { verdict::realservers(spec) } else { Vec::new() };
    let judgement = verdict::judge(&view, &servers);
    let result = judgement.as_ref().map_or_else(ToString::to_string, |()| "all answer".into());
    let shares: Vec<_> =
        view.servers.iter().map(|(name, count)| format!("{name} {count}")).collect();
    say(client, &format!("{url}: {} — {result}", shares.join(", ")), started.elapsed());
    Ok(judgement.is_ok())
}

/// Does the same for all of them in threads of their own; results in their order.
pub(super) fn at_once<T: Sync, R: Send>(items: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let act = &act;
        let threads: Vec<_> = items.iter().map(|item| scope.spawn(move || act(item))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, R>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    })
}

/// One line: who, how long, what.
pub(super) fn say(who: &str, what: &str, took: Duration) {
    print(&format!("{who:<10} {:>6.1} s  {what}", took.as_secs_f64()));
}

fn show(output: &Output) {
    let lines: Vec<_> = output.stderr.lines().chain(output.stdout.lines()).collect();
    for line in &lines[lines.len().saturating_sub(SHOWN)..] {
        print(&format!("             {line}"));
    }
}

fn print(line: &str) {
    // A reader that has gone does not end the lab.
    writeln!(io::stdout(), "{line}").ok();
}
