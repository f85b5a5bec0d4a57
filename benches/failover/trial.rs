//! One run of two directors and a client on a segment of its own: until the first is Active, then
//! something happens to it, then until the second is.

use std::fs;
use std::net::Ipv4Addr;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::client::Client;
use super::contestant::{Contestant, Director, Running, Settings, signal, signal_all, vip};
use super::segment::{Net, Segment};
use super::watch::Watch;

/// Longer than any takeover by the protocol, at this interval, on a busy machine.
const SLACK: Duration = Duration::from_secs(10);
/// For programs to be up, connected, and done with what they do at the start.
const SETTLE: Duration = Duration::from_millis(1200);
/// For the announcements of the new Active to have had their effect.
const AFTERMATH: Duration = Duration::from_millis(300);
const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 9);

/// What happens to the Active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It is asked to stop.
    Sigterm,
    /// All its processes are killed.
    Kill9,
    /// All its processes are stopped, as a host that hangs.
    Sigstop,
    /// Its cable is out.
    LinkDown,
}

impl Event {
    /// All of them.
    pub(crate) const ALL: [Event; 4] =
        [Event::Sigterm, Event::Kill9, Event::Sigstop, Event::LinkDown];

    /// The name in the results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Event::Sigterm => "SIGTERM",
            Event::Kill9 => "kill -9",
            Event::Sigstop => "SIGSTOP",
            Event::LinkDown => "link down",
        }
    }
}

/// What came of a run, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Takeover {
    /// From the start of the first director alone to the VIP on it.
    pub(crate) start: f64,
    /// From the event to the VIP on the second.
    pub(crate) vip: f64,
    /// How long the client's questions remained unanswered.
    pub(crate) lost: f64,
}

/// What a director takes that has nothing to do but to say so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    /// Processors.
    pub(crate) cores: f64,
    /// Resident memory of all its processes, in megabytes.
    pub(crate) rss: f64,
    /// The same, what is shared counted in shares.
    pub(crate) pss: f64,
    /// From the start to the last VIP, in milliseconds.
    pub(crate) start: f64,
}

/// Two directors, of which the first is Active. What is declared first goes first.
struct Pair {
    second: Running,
    first: Running,
    watch_second: Watch,
    net_second: Net,
    net_first: Net,
    net_client: Net,
    segment: Segment,
    start: f64,
}

impl Pair {
    fn new(who: Contestant, told: Settings) -> Result<Self, String> {
        let segment = Segment::new();
        let net_first = segment.host(Director::First.address());
        let net_second = segment.host(Director::Second.address());
        // The kernel may take a second to believe that a new cable has a carrier.
        let net_client = segment.host(CLIENT);
        let watch_first = Watch::of(&net_first);
        let watch_second = Watch::of(&net_second);
        let start = |net, at| who.start(net, at, told).map_err(|error| error.to_string());
        let began = Instant::now();
        let first = start(&net_first, Director::First)?;
        let limit = told.interval * 4 + SLACK;
        let Some(active) = watch_first.came(began, told.instances.into(), limit) else {
            return Err(format!("{} does not become Active:\n{}", who.name(), first.log()));
        };
        let second = start(&net_second, Director::Second)?;
        thread::sleep(SETTLE);
        let start = ms(active - began);
        let pair =
            Pair { second, first, watch_second, net_second, net_first, net_client, segment, start };
        match pair.watch_second.seen(|_| true).len() {
            0 => Ok(pair),
            _ => Err(format!("the second {} became Active:\n{}", who.name(), pair.second.log())),
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // What is stopped is killed as well.
        signal_all(&self.net_first, Signal::SIGKILL);
        signal_all(&self.net_second, Signal::SIGKILL);
    }
}

/// One takeover. `phase` is a part of the interval that passes before, so that not every run meets
/// the same moment between two advertisements.
pub(crate) fn takeover(
    who: Contestant,
    told: Settings,
    event: Event,
    phase: f64,
) -> Result<Takeover, String> {
    let mut pair = Pair::new(who, told)?;
    let client = Client::start(&pair.net_client, vip(1));
    thread::sleep(Duration::from_millis(200) + told.interval.mul_f64(phase));
    if !client.is_answered() {
        return Err(format!("{}: the VIP does not answer before the event", who.name()));
    }
    let since = Instant::now();
    match event {
        Event::Sigterm => signal(pair.first.pid(), Signal::SIGTERM),
        Event::Kill9 => signal_all(&pair.net_first, Signal::SIGKILL),
        Event::Sigstop => signal_all(&pair.net_first, Signal::SIGSTOP),
        Event::LinkDown => pair.segment.unplug(Director::First.address().octets()[3]),
    }
    let limit = told.interval * 4 + SLACK;
    let Some(moved) = pair.watch_second.came(since, 1, limit) else {
        let (name, event, log) = (who.name(), event.name(), pair.second.log());
        return Err(format!("{name}: the VIP does not move after {event}:\n{log}"));
    };
    thread::sleep(AFTERMATH);
    let lost = client.lost_since(since);
    Ok(Takeover { start: pair.start, vip: ms(moved - since), lost })
}

/// What the Active takes while nothing happens for this long.
pub(crate) fn idle(who: Contestant, told: Settings, during: Duration) -> Result<Idle, String> {
    let pair = Pair::new(who, told)?;
    // Announcements at the start come in two bursts, the second after five seconds.
    thread::sleep(Duration::from_secs(6));
    let (before, began) = (cpu(&pair.net_first), Instant::now());
    thread::sleep(during);
    let cores = (cpu(&pair.net_first) - before).as_secs_f64() / began.elapsed().as_secs_f64();
    let memory = |field| pair.net_first.processes().iter().map(|pid| rollup(*pid, field)).sum();
    Ok(Idle { cores, rss: memory("Rss:"), pss: memory("Pss:"), start: pair.start })
}

/// How often the VIP moved within this time although nothing happened, while every processor was
/// busy.
pub(crate) fn false_takeovers(
    who: Contestant,
    told: Settings,
    during: Duration,
) -> Result<usize, String> {
    let pair = Pair::new(who, told)?;
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let hogs: Vec<Hog> = (0..processors).map(|_| Hog::new()).collect();
    thread::sleep(during);
    drop(hogs);
    Ok(pair.watch_second.seen(|seen| seen.came).len())
}

/// A program that keeps a processor busy.
struct Hog(Child);

impl Hog {
    fn new() -> Self {
        let mut shell = Command::new("sh");
        Hog(shell.args(["-c", "while :; do :; done"]).spawn().expect("sh runs"))
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("our own child");
    }
}

/// The processor time of every thread on a host, to the nanosecond.
fn cpu(net: &Net) -> Duration {
    let tasks = |pid: i32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let time = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    let all = net.processes().into_iter().flat_map(|pid| tasks(pid).flatten());
    Duration::from_nanos(all.map(time).sum())
}

/// A field of a process's memory, in megabytes.
fn rollup(pid: i32, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
