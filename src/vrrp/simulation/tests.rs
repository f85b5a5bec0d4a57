//! The rules hold over many seeds, and every planted bug breaks one of them.
//!
//! `CONVERGE_SEEDS=n` looks at that many; `CONVERGE_SEED=n` at that one, and prints all of it.

use std::collections::BTreeMap;

use super::*;

/// How many seeds a test looks at: what takes half a minute without optimisation.
const SEEDS: u64 = 3000;

fn seeds() -> u64 {
    let told = std::env::var("CONVERGE_SEEDS").ok();
    told.and_then(|told| told.parse().ok()).unwrap_or(SEEDS)
}

/// Every core takes the next seeds of its own; what they find comes in order of the seeds.
fn on_all_cores(run: impl Fn(u64) -> Verdict + Sync) -> Vec<Verdict> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let of_core = |core: usize| (0..seeds()).skip(core).step_by(cores).map(&run).collect();
    let mut verdicts: Vec<Verdict> = std::thread::scope(|scope| {
        let of_core = &of_core;
        let started: Vec<_> = (0..cores).map(|core| scope.spawn(move || of_core(core))).collect();
        let ended = started.into_iter().map(|core| core.join().expect("no run panics"));
        ended.collect::<Vec<Vec<Verdict>>>().into_iter().flatten().collect()
    });
    verdicts.sort_by_key(|verdict| verdict.seed);
    verdicts
}

#[test]
fn the_rules_hold_whatever_happens() {
    let one = std::env::var("CONVERGE_SEED").ok().and_then(|told| told.parse().ok());
    if let Some(seed) = one {
        let verdict = replay(&Scenario::random(seed), None);
        println!("{}\n{}", verdict.timeline.join("\n"), verdict);
        return assert!(verdict.is_good());
    }
    let mut broken: BTreeMap<&str, Vec<Verdict>> = BTreeMap::new();
    let mut tally = Tally::default();
    for verdict in on_all_cores(|seed| run(&Scenario::random(seed), None)) {
        tally += verdict.tally;
        if let Some(violation) = &verdict.violation {
            let rule = violation.rule;
            broken.entry(rule).or_default().push(verdict);
        }
    }
    println!("{} seeds: {tally:?}", seeds());
    for (rule, verdicts) in &broken {
        let numbers: Vec<u64> = verdicts.iter().map(|verdict| verdict.seed).collect();
        println!("{rule} is broken with {} seeds: {numbers:?}", numbers.len());
    }
    if let Some(verdict) = broken.values().flatten().min_by_key(|v| v.timeline.len()) {
        panic!("{verdict}");
    }
}

#[test]
fn every_planted_bug_is_found() {
    let broken = |bug, seed| {
        let scenario = Scenario::random(seed);
        let rule = once(&scenario, Some(bug), false).violation?.rule;
        // What is broken without the bug, too, does not show it.
        once(&scenario, None, false).is_good().then_some((seed, rule))
    };
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        match (0..seeds()).find_map(|seed| broken(bug, seed)) {
            Some((seed, rule)) => println!("{bug:?}: {rule} after {} seeds", seed + 1),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found with {} seeds: {missed:?}", seeds());
}
