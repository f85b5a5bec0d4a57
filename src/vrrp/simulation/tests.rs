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
    for seed in 0..seeds() {
        let verdict = run(&Scenario::random(seed), None);
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
