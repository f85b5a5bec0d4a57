//! How fast a VIP moves, and what a client notices of it: converge and keepalived on the same
//! segment, told the same, in turn.
//!
//! Two directors and a client are network namespaces on one bridge. Something happens to the Active
//! one; the kernel of the other says when it has the VIP, and the client, which asks the VIP every
//! millisecond, says for how long nobody answered. Then what either takes while nothing happens,
//! and how often it moves the VIP for no reason on a busy machine. Prints tables for people, and
//! as its last line one JSON object of medians. CONVERGE_BENCH_FULL=1 repeats more, for longer;
//! `cargo bench --bench failover -- SIGTERM idle` measures only cases of such names.

#[path = "failover/client.rs"]
mod client;
#[path = "failover/contestant.rs"]
mod contestant;
#[path = "failover/keepalived.rs"]
mod keepalived;
#[path = "failover/report.rs"]
mod report;
#[path = "failover/segment.rs"]
mod segment;
#[path = "failover/trial.rs"]
mod trial;
#[path = "failover/watch.rs"]
mod watch;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use contestant::{Contestant, Settings};
use nix::unistd::geteuid;
use report::Report;
use trial::Event;

/// Between advertisements, in milliseconds.
const INTERVALS: [u64; 3] = [1000, 100, 10];
/// How many virtual routers an idle director has.
const INSTANCES: [u8; 2] = [1, 255];

/// How much is measured.
struct Effort {
    rounds: u32,
    idle: Duration,
    busy: Duration,
    only: Vec<String>,
}

impl Effort {
    fn asked_for() -> Self {
        let (minute, ten) = (Duration::from_secs(60), Duration::from_secs(10));
        let only = arguments();
        match env::var_os("CONVERGE_BENCH_FULL") {
            Some(_) => Effort { rounds: 7, idle: minute, busy: minute, only },
            None => Effort { rounds: 3, idle: ten, busy: ten, only },
        }
    }

    fn includes(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| case.contains(part.as_str()))
    }
}

/// What cargo says itself begins with a dash.
fn arguments() -> Vec<String> {
    env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect()
}

fn main() -> ExitCode {
    if segment::is_apart() {
        return measure_all();
    }
    if !geteuid().is_root() {
        eprintln!("nothing was measured; it needs root for network namespaces");
        return ExitCode::FAILURE;
    }
    match segment::apart(&arguments()) {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            eprintln!("the program that measures: {status}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("nothing was measured; cannot start unshare(1): {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure_all() -> ExitCode {
    let effort = Effort::asked_for();
    let present = |who: &Contestant| match who.is_missing() {
        None => true,
        Some(why) => {
            eprintln!("\n######## SKIPPED {}: {why} ########\n", who.name());
            false
        }
    };
    let all = [Contestant::Converge, Contestant::Keepalived];
    let contestants: Vec<Contestant> = all.into_iter().filter(present).collect();
    let mut report = Report::default();
    takeovers(&contestants, &effort, &mut report);
    idle(&contestants, &effort, &mut report);
    busy(&contestants, &effort, &mut report);
    report.print();
    if report.failures == 0 && !contestants.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Round after round, each contestant in turn: what disturbs the machine disturbs both.
fn takeovers(contestants: &[Contestant], effort: &Effort, report: &mut Report) {
    for interval in INTERVALS {
        let told = Settings { interval: Duration::from_millis(interval), instances: 1 };
        for event in Event::ALL {
            let case = format!("{interval} ms, {}", event.name());
            if !effort.includes(&case) {
                continue;
            }
            for round in 0..effort.rounds {
                let phase = f64::from(round) / f64::from(effort.rounds);
                for &who in contestants {
                    let run = trial::takeover(who, told, event, phase);
                    report.takeover(&case, bound(interval, event), who, run);
                }
            }
        }
    }
}

/// What the protocol alone allows a Backup of priority 100, in milliseconds: the skew time after a
/// resignation, and three intervals more after silence.
fn bound(interval: u64, event: Event) -> f64 {
    let skew = (256 * interval - 100 * interval) as f64 / 256.0;
    match event {
        Event::Sigterm => skew,
        Event::Kill9 | Event::Sigstop | Event::LinkDown => (3 * interval) as f64 + skew,
    }
}

fn idle(contestants: &[Contestant], effort: &Effort, report: &mut Report) {
    for instances in INSTANCES.into_iter().filter(|_| effort.includes("idle")) {
        let told = Settings { interval: Duration::from_secs(1), instances };
        for &who in contestants {
            report.idle(instances, who, trial::idle(who, told, effort.idle));
        }
    }
}

fn busy(contestants: &[Contestant], effort: &Effort, report: &mut Report) {
    let told = Settings { interval: Duration::from_millis(10), instances: 1 };
    for &who in contestants.iter().filter(|_| effort.includes("busy")) {
        report.busy(who, trial::false_takeovers(who, told, effort.busy));
    }
}
