//! What a check costs the machine, counted only where the build is optimised.

use nix::time::{ClockId, clock_gettime};

use super::*;

const CHECKS: u16 = 10_000;
const ROUNDS: u32 = 30;

/// The time of the processor, which nobody else on it takes away.
fn spent() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every Linux has it").into()
}

#[test]
fn a_check_costs_the_machine_less_than_two_microseconds() {
    let checks: Vec<_> = (0..CHECKS).map(|n| check(n, timing())).collect();
    let mut rig = Rig::new(usize::from(CHECKS));
    rig.configure(&checks);
    let mut answers = VecDeque::new();
    let before = spent();
    // The driver wakes every 4 ms, and the answers of one wake come with the next.
    for wake in 0..u64::from(ROUNDS) * 250 {
        let now = at(wake * 4);
        for run in answers.drain(..) {
            rig.checker.handle_outcome(run, good(), now);
        }
        rig.checker.handle_timeout(now);
        while let Some(output) = rig.checker.poll_output() {
            if let Output::Begin { run, .. } = output {
                answers.push_back(run);
            }
        }
    }
    let made = rig.checker.tally().made;
    let cost = (spent() - before).as_nanos() / u128::from(made);
    println!("{made} checks, {cost} ns each, latest {:?}", rig.checker.tally().latest());
    assert_eq!(rig.checker.tally().skipped, 0);
    if !cfg!(debug_assertions) {
        assert!(cost < 2000, "{cost} ns");
    }
}
