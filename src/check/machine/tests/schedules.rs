//! The rules hold over many seeds, and every planted bug breaks one of them.
//!
//! `CONVERGE_SEEDS=n` looks at that many; `CONVERGE_SEED=n` at that one.

use std::collections::BTreeMap;

use super::bug::Bug;
use super::world::World;

/// How many seeds a test looks at: what takes some seconds without optimisation.
const SEEDS: u64 = 3000;

fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_rules_hold_whatever_happens() {
    let one = told("CONVERGE_SEED").map(|seed| seed..seed + 1);
    let (mut made, mut seeds) = (0, 0);
    for seed in one.unwrap_or(0..told("CONVERGE_SEEDS").unwrap_or(SEEDS)) {
        match World::new(seed, None).run() {
            Ok(runs) => made += runs,
            Err(violation) => panic!("CONVERGE_SEED={seed}: {violation}"),
        }
        seeds += 1;
    }
    println!("{seeds} seeds, {made} checks made");
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    let mut rules: BTreeMap<&str, u32> = BTreeMap::new();
    for bug in Bug::ALL {
        let found = (0..SEEDS).find_map(|seed| {
            let violation = World::new(seed, Some(bug)).run().err()?;
            Some((seed, violation))
        });
        match found {
            Some((seed, violation)) => {
                *rules.entry(violation.rule).or_default() += 1;
                println!("{bug:?}: {} after {} seeds", violation.rule, seed + 1);
            }
            None => missed.push(bug),
        }
    }
    println!("{rules:?}");
    assert!(missed.is_empty(), "not found: {missed:?}");
}
