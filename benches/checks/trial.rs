//! One run of one contestant: it begins, is measured for a while, and then targets die.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::calm::Calm;
use super::contestant::{Plan, Running, Who};
use super::peer::{Ear, Heard};
use super::targets::Targets;
use super::{Effort, ground, processes};

/// Every target has to have been asked by then.
const LONGEST_START: Duration = Duration::from_secs(150);
/// After every target was asked once, beats settle.
const SETTLING: Duration = Duration::from_secs(2);
/// A death that is not noticed within this time never is.
const LONGEST_DEATH: Duration = Duration::from_secs(15);
/// From one death to the next; no divisor of a second, so that they fall anywhere in the beat.
const BETWEEN: Duration = Duration::from_millis(137);

/// What came out.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// From its start until every target was asked, in seconds.
    pub(crate) begins: f64,
    /// How late a program was woken at worst, in milliseconds.
    pub(crate) stall: f64,
    /// How much of the machine nobody used, in percent.
    pub(crate) idle: f64,
    /// Made of those asked for, in percent.
    pub(crate) rate: f64,
    /// Processors busy.
    pub(crate) cores: f64,
    /// Processor time for each check, in microseconds.
    pub(crate) micros: f64,
    /// Memory in megabytes.
    pub(crate) rss: f64,
    pub(crate) pss: f64,
    /// How far from a second the time between two checks of a target was, in milliseconds.
    pub(crate) off: f64,
    pub(crate) most_off: f64,
    /// From a death to the removal, in milliseconds; not a number for one that nobody noticed.
    pub(crate) refused: Vec<f64>,
    pub(crate) dropped: Vec<f64>,
    /// Checks that were left out.
    pub(crate) skipped: f64,
    /// The advertisements of a router.
    pub(crate) heard: Option<Heard>,
}

pub(crate) fn run(who: Who, plan: Plan, effort: &Effort) -> Result<Figures, String> {
    let failed = |error: io::Error| error.to_string();
    let mut targets = Targets::start(plan).map_err(failed)?;
    targets.order("watch").map_err(failed)?;
    let begun = Instant::now();
    let mut running = who.start(plan).map_err(failed)?;
    until_all_are_asked(&mut targets, &mut running, plan)?;
    let begins = begun.elapsed().as_secs_f64();
    targets.rest().map_err(failed)?;
    let other = plan.elects.then(|| who.stand_by()).transpose().map_err(failed)?;
    thread::sleep(SETTLING);
    let ear = plan.elects.then(Ear::open).transpose().map_err(failed)?;
    let calm = Calm::start();
    let (busy, opened, start) = (processes::cpu(), ground::opened(), Instant::now());
    thread::sleep(effort.window);
    let (asked, seconds) = (ground::opened() - opened, start.elapsed().as_secs_f64());
    let cpu = processes::cpu().saturating_sub(busy);
    let memory = processes::memory();
    targets.order("watch").map_err(failed)?;
    thread::sleep(effort.watch);
    let seen = targets.rest().map_err(failed)?;
    if seen.missed > 0 {
        eprintln!("{plan}: {} checks were not seen, and may seem left out", seen.missed);
    }
    let (stall, idle) = calm.end();
    let deaths = effort.deaths;
    let mut kill = |verb: &str, first: usize| {
        let victims = (0..deaths).map(|n| first + n * (plan.targets / 2 / deaths).max(1));
        kill_some(&mut targets, &running, who, verb, victims.collect())
    };
    let refused = kill("refuse", 0).map_err(failed)?;
    let dropped = kill("drop", plan.targets / 2).map_err(failed)?;
    let heard = ear.map(|ear| ear.hear()).transpose().map_err(failed)?;
    drop(other);
    if heard.as_ref().is_some_and(|heard| heard.adverts == 0) {
        return Err(format!("it never was Active\n{}", running.log()));
    }
    if asked == 0 {
        return Err(format!("nothing was asked\n{}", running.log()));
    }
    Ok(Figures {
        begins,
        stall: stall.as_secs_f64() * 1000.0,
        idle,
        rate: asked as f64 / seconds / plan.targets as f64 * 100.0,
        cores: cpu.as_secs_f64() / seconds,
        micros: cpu.as_secs_f64() * 1e6 / asked as f64,
        rss: memory.rss as f64 / 1024.0,
        pss: memory.pss as f64 / 1024.0,
        off: seen.p99,
        most_off: seen.most,
        refused,
        dropped,
        skipped: seen.skipped as f64,
        heard,
    })
}

fn until_all_are_asked(
    targets: &mut Targets,
    running: &mut Running,
    plan: Plan,
) -> Result<(), String> {
    let start = Instant::now();
    loop {
        let some = targets.tell().map_err(|error| error.to_string())?.targets;
        if some == plan.targets {
            return Ok(());
        }
        if start.elapsed() > LONGEST_START || running.has_ended() {
            let all = plan.targets;
            return Err(format!("only {some} of {all} targets were asked\n{}", running.log()));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Kills these one after the other. Returns how long each of them still got traffic.
fn kill_some(
    targets: &mut Targets,
    running: &Running,
    who: Who,
    verb: &str,
    victims: Vec<usize>,
) -> io::Result<Vec<f64>> {
    let mut deaths = Vec::new();
    for n in victims {
        deaths.push((n, Instant::now()));
        targets.order(&format!("{verb} {n}"))?;
        thread::sleep(BETWEEN);
    }
    let removal = |(n, died): &(usize, Instant)| {
        running.until(*died, |line| who.takes_out(line, ground::target(*n)))
    };
    let start = Instant::now();
    while start.elapsed() < LONGEST_DEATH && deaths.iter().any(|death| removal(death).is_none()) {
        thread::sleep(Duration::from_millis(20));
    }
    let took = deaths.iter().map(removal);
    Ok(took.map(|took| took.map_or(f64::NAN, |span| span.as_secs_f64() * 1000.0)).collect())
}
