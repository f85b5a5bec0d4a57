//! The rules hold over many seeds, and every planted bug breaks one of them.
//!
//! `CONVERGE_SEEDS=n` looks at that many; `CONVERGE_SEED=n` at that one, and prints all of it.

use super::*;

/// How many seeds a test looks at: what takes some seconds without optimisation.
const SEEDS: u64 = 80;
/// As many at most to find a bug; most show with the first ones.
const SEARCHED: u64 = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|told| told.parse().ok())
}

/// What every core finds with the seeds of its own, those that break a rule alone.
fn broken(seeds: u64, bug: Option<Bug>) -> Vec<(u64, String)> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let cores = u64::try_from(cores).expect("few");
    let of_core = |core: u64| -> Vec<(u64, String)> {
        let own = (core..seeds).step_by(usize::try_from(cores).expect("few"));
        own.filter_map(|seed| Some((seed, run(seed, bug, false).err()?))).collect()
    };
    let mut all: Vec<(u64, String)> = std::thread::scope(|scope| {
        let of_core = &of_core;
        let started: Vec<_> = (0..cores).map(|core| scope.spawn(move || of_core(core))).collect();
        started.into_iter().flat_map(|core| core.join().expect("no run panics")).collect()
    });
    all.sort();
    all
}

#[test]
fn the_rules_hold_whatever_befalls_two_directors_and_their_servers() {
    if let Some(seed) = number("CONVERGE_SEED") {
        println!("{}", Scenario::random(seed));
        return run(seed, None, true).expect("the rules hold");
    }
    let seeds = number("CONVERGE_SEEDS").unwrap_or(SEEDS);
    let broken = broken(seeds, None);
    for (seed, rule) in broken.iter().take(20) {
        println!("seed {seed}: {rule}");
    }
    assert!(broken.is_empty(), "{} of {seeds} seeds, of which CONVERGE_SEED=n", broken.len());
}

#[test]
fn every_bug_that_is_planted_between_the_directors_is_found() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let found = (0..SEARCHED).find_map(|seed| Some((seed, run(seed, Some(bug), false).err()?)));
        match found {
            Some((seed, rule)) => println!("{bug:?}: seed {seed}: {rule}"),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found with {SEARCHED} seeds: {missed:?}");
}
