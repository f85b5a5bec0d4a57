//! What health checks cost, and how soon a death is noticed: converge, keepalived and ldirectord
//! asking the same targets, told the same, in turn.
//!
//! The targets are listening sockets of one process, each with an address of its own, in a network
//! namespace. They count who asks, and can begin to refuse or to keep silent. This kernel needs no
//! IPVS: keepalived's calls to it and ldirectord's `ipvsadm` are stubs that do nothing, converge
//! says that it cannot program it and goes on checking. In one case each is the Active one of two
//! directors besides, whose advertisements come every ten milliseconds. Prints tables for people,
//! says which of our aims were met, and as its last line prints one JSON object of medians.
//! CONVERGE_BENCH_FULL=1 measures more, for longer; `cargo bench --bench checks -- tcp 1000`
//! measures only cases of such names.

#[path = "checks/aims.rs"]
mod aims;
#[path = "checks/calm.rs"]
mod calm;
#[path = "checks/contestant.rs"]
mod contestant;
#[path = "checks/converge.rs"]
mod converge;
#[path = "checks/ground.rs"]
mod ground;
#[path = "checks/keepalived.rs"]
mod keepalived;
#[path = "checks/ldirectord.rs"]
mod ldirectord;
#[path = "checks/peer.rs"]
mod peer;
#[path = "checks/processes.rs"]
mod processes;
#[path = "checks/report.rs"]
mod report;
#[path = "checks/targets.rs"]
mod targets;
#[path = "checks/trial.rs"]
mod trial;
#[path = "checks/watch.rs"]
mod watch;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use calm::TOO_LATE;
use contestant::{Kind, Plan, Who};
use nix::unistd::geteuid;
use report::Report;
use trial::Figures;

/// Targets.
const SIZES: [usize; 3] = [100, 1000, 10_000];

/// How often something is measured again.
const TRIES: u32 = 2;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    rounds: u32,
    /// For what it takes.
    pub(crate) window: Duration,
    /// For the beat, which is looked at by itself.
    pub(crate) watch: Duration,
    /// Targets that die, of either death.
    pub(crate) deaths: usize,
    /// All that there is to be measured.
    is_full: bool,
    only: Vec<String>,
}

impl Effort {
    fn asked_for() -> Self {
        let (only, seconds) = (arguments(), Duration::from_secs);
        match env::var_os("CONVERGE_BENCH_FULL") {
            Some(_) => {
                let (window, watch) = (seconds(20), seconds(10));
                Effort { rounds: 3, window, watch, deaths: 9, is_full: true, only }
            }
            None => {
                let (window, watch) = (seconds(5), seconds(3));
                Effort { rounds: 1, window, watch, deaths: 5, is_full: false, only }
            }
        }
    }

    fn includes(&self, plan: Plan, who: Who) -> bool {
        let case = format!("{plan} {}", who.name());
        if self.only.is_empty() && !self.is_full {
            return is_quick(plan, who);
        }
        self.only.iter().all(|part| case.split(' ').any(|word| word == part))
    }
}

/// What a quick look takes in. ldirectord needs a minute to begin with a thousand targets.
fn is_quick(plan: Plan, who: Who) -> bool {
    match (plan.targets, plan.kind, who) {
        (100, Kind::Tcp, _) => true,
        (100, Kind::Http, _) | (_, _, Who::Ldirectord | Who::LdirectordForks) => false,
        (_, _, Who::Converge | Who::Keepalived) => true,
    }
}

/// What cargo says itself begins with a dash.
fn arguments() -> Vec<String> {
    env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect()
}

fn main() -> ExitCode {
    let told = arguments();
    if told.first().is_some_and(|word| word == targets::WORD) {
        return targets::serve(&told[1..]);
    }
    if ground::is_apart() {
        return measure_all();
    }
    if !geteuid().is_root() {
        eprintln!("nothing was measured; it needs root for network namespaces");
        return ExitCode::FAILURE;
    }
    match ground::apart(&told) {
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
    ground::prepare();
    peer::prepare();
    let present = |who: &Who| match who.is_missing() {
        None => true,
        Some(why) => {
            eprintln!("\n######## SKIPPED {}: {why} ########\n", who.name());
            false
        }
    };
    let contestants: Vec<Who> = Who::ALL.into_iter().filter(present).collect();
    let (mut report, mut plans) = (Report::default(), Vec::new());
    for kind in [Kind::Tcp, Kind::Http] {
        for targets in SIZES {
            plans.push(Plan { elects: false, kind, targets });
        }
    }
    plans.push(Plan { elects: true, kind: Kind::Tcp, targets: 10_000 });
    for plan in plans {
        for _ in 0..effort.rounds {
            measure(&contestants, plan, &effort, &mut report);
        }
    }
    report.print();
    if report.failures == 0 && !contestants.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Once more, and once more again, if the machine was somebody else's meanwhile.
fn calmly(who: Who, plan: Plan, effort: &Effort) -> Result<Figures, String> {
    let mut run = trial::run(who, plan, effort);
    for _ in 0..TRIES {
        let Some(late) = run.as_ref().ok().map(|figures| figures.stall) else { break };
        if late <= TOO_LATE.as_secs_f64() * 1000.0 {
            break;
        }
        eprintln!("{plan} {}: a program was woken {late:.0} ms late; once more", who.name());
        run = trial::run(who, plan, effort);
    }
    run
}

/// Each contestant in turn: what disturbs the machine disturbs all of them.
fn measure(contestants: &[Who], plan: Plan, effort: &Effort, report: &mut Report) {
    for &who in contestants {
        let can = plan.targets <= who.most() && (!plan.elects || who.elects());
        if effort.includes(plan, who) && can {
            report.add(plan, who, calmly(who, plan, effort));
        }
    }
}
