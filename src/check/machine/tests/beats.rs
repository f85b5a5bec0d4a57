//! When checks begin and end.

use proptest::prelude::*;

use super::*;

/// When the next runs begin, each answered so, after so long.
fn begins(rig: &mut Rig, answers: &[(Outcome, u64)]) -> Vec<Duration> {
    let mut begun = Vec::new();
    for (outcome, after) in answers {
        let run = rig.begin();
        begun.push(rig.now.since(at(0)));
        rig.now = rig.now + ms(*after);
        rig.answer(run, outcome.clone());
    }
    begun
}

fn apart(begun: &[Duration]) -> Vec<u128> {
    begun.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect()
}

#[test]
fn the_beat_is_steady_whatever_the_answers_take() {
    let mut rig = Rig::of(timing());
    let answers = [(good(), 0), (good(), 499), (good(), 3), (good(), 250), (good(), 1)];
    assert_eq!(apart(&begins(&mut rig, &answers)), [1000; 4]);
}

#[test]
fn while_the_answers_contradict_the_state_it_is_asked_faster_and_then_on_the_old_beat() {
    let mut rig = Rig::of(timing());
    let up = [(good(), 0)];
    let falling = [(bad(), 0), (bad(), 300), (bad(), 10)];
    let down = [(bad(), 10), (bad(), 10)];
    let rising = [(good(), 20), (good(), 20)];
    let end = [(good(), 0), (good(), 0)];
    let answers = [&up[..], &falling, &down, &rising, &end].concat();
    let begun = begins(&mut rig, &answers);
    assert_eq!(apart(&begun), [1000, 200, 300, 500, 1000, 1000, 200, 800, 1000]);
}

#[test]
fn a_target_that_fails_from_the_start_is_asked_faster() {
    let mut rig = Rig::of(timing());
    assert_eq!(apart(&begins(&mut rig, &[(bad(), 1), (bad(), 1), (bad(), 1)])), [200, 200]);
}

#[test]
fn a_fast_run_never_puts_off_the_beat() {
    let slow = Timing { fast: ms(900), rise: count(1), fall: count(9), ..timing() };
    let mut rig = Rig::of(slow);
    let answers = [(good(), 0), (bad(), 0), (bad(), 0), (bad(), 0), (bad(), 0)];
    assert_eq!(apart(&begins(&mut rig, &answers)), [1000, 900, 100, 900]);
}

#[test]
fn a_fast_run_without_answer_makes_way_for_the_beat_and_counts_for_nothing() {
    let tight = Timing { timeout: ms(1000), fall: count(2), ..timing() };
    let mut rig = Rig::of(tight);
    rig.take(good());
    rig.take(bad());
    let beat = rig.now;
    let fast = rig.begin();
    assert_eq!(rig.now.since(beat), ms(200));
    assert_eq!(rig.next(), Output::Abort(fast));
    assert_eq!(rig.now.since(beat), ms(1000));
    let run = rig.begin();
    assert_eq!(rig.now.since(beat), ms(1000));
    assert_eq!(rig.answer(fast, bad()), None, "it has ended");
    assert_eq!(rig.next(), Output::Expire(run));
    assert_eq!(rig.answer(run, bad()).expect("the second that counts").state, State::Down);
    rig.begin();
    assert_eq!(rig.now.since(beat), ms(2000));
}

#[test]
fn what_takes_too_long_expires_and_its_outcome_counts() {
    let mut rig = Rig::of(timing());
    let run = rig.begin();
    let begun = rig.now;
    assert_eq!(rig.next(), Output::Expire(run));
    assert_eq!(rig.now.since(begun), ms(500));
    assert!(rig.answer(run, bad()).expect("a reason").failing.is_some());
    assert_eq!(rig.answer(run, good()), None, "it has ended");
    assert_eq!(rig.state(&check(1, timing())), State::Unknown);
}

#[test]
fn a_timeout_as_long_as_every_costs_no_beat_even_if_the_driver_is_a_little_late() {
    let tight = Timing { timeout: ms(1000), fast: ms(1000), ..timing() };
    let mut rig = Rig::of(tight);
    let mut begun = Vec::new();
    for _ in 0..20 {
        let wanted = rig.checker.poll_timeout().expect("it waits for something");
        rig.now = wanted + ms(5);
        rig.checker.handle_timeout(rig.now);
        while let Some(output) = rig.checker.poll_output() {
            match output {
                Output::Begin { .. } => begun.push(rig.now.since(at(0))),
                Output::Expire(run) => rig.checker.handle_outcome(run, bad(), rig.now),
                Output::Abort(_) | Output::Changed(..) => {}
            }
        }
    }
    let (first, last) = (begun[0], begun[begun.len() - 1]);
    let beats = u128::try_from(begun.len()).expect("few") - 1;
    assert!((last - first).as_millis().abs_diff(beats * 1000) <= 10, "{begun:?}");
    assert_eq!(rig.checker.tally().skipped, 0);
}

#[test]
fn the_first_round_begins_at_once_and_the_later_ones_are_spread_over_every() {
    let slow = Timing { every: ms(10_000), ..timing() };
    let checks: Vec<_> = (0..1000).map(|n| check(n, slow)).collect();
    let mut rig = Rig::new(10_000);
    rig.configure(&checks);
    let mut begun = Vec::new();
    while begun.len() < 3000 {
        if let Output::Begin { run, .. } = rig.next() {
            begun.push(rig.now.since(at(0)).as_secs_f64());
            rig.checker.handle_outcome(run, good(), rig.now);
        }
    }
    // A second on its own for the first round, then ten seconds for each of the others.
    let first = begun.iter().filter(|second| **second < 1.0).count();
    assert!((1000..1110).contains(&first), "{first}");
    for from in 1..20 {
        let second = f64::from(from)..f64::from(from + 1);
        let of_it = begun.iter().filter(|begun| second.contains(begun)).count();
        assert!((95..=105).contains(&of_it), "{of_it} in second {from}");
    }
}

proptest! {
    #[test]
    fn the_first_round_is_even(seed: u64, checks in 1u16..2000, every in 10u64..5000) {
        let timing = Timing { every: ms(every), timeout: ms(10), fast: ms(10), ..timing() };
        let mut checker = Checker::new(Limits { at_once: 1 }, seed);
        checker.configure(&(0..checks).map(|n| check(n, timing)).collect(), at(77));
        let span = ms(every).min(ms(1000));
        let mut parts = [0; 10];
        let entries = checker.entries.iter().flatten();
        for entry in entries.filter(|entry| entry.due >= at(77)) {
            let part = entry.due.since(at(77)).as_nanos() * 10 / span.as_nanos();
            parts[usize::try_from(part).expect("small")] += 1;
        }
        let even = u32::from(checks) / 10;
        for part in parts {
            prop_assert!(part <= even * 3 / 2 + 3, "{:?}", parts);
            prop_assert!(part >= (even * 2 / 3).saturating_sub(2), "{:?}", parts);
        }
    }
}
