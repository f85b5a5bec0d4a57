//! More is due than may run at the same time.

use super::*;

#[test]
fn what_finds_no_room_waits_in_order_of_its_due_time() {
    let checks: Vec<_> = (0..10).map(|n| check(n, timing())).collect();
    let mut rig = Rig::new(3);
    rig.configure(&checks);
    let mut due: Vec<_> = rig.checker.entries.iter().flatten().collect();
    due.sort_by_key(|entry| entry.due);
    let order: Vec<_> = due.iter().map(|entry| Arc::clone(&entry.check)).collect();
    rig.now = at(1000);
    rig.checker.handle_timeout(rig.now);
    let mut begun = Vec::new();
    while let Some(Output::Begin { run, check }) = rig.checker.poll_output() {
        assert!(rig.checker.tally().in_flight <= 3);
        begun.push(check);
        if begun.len() >= 3 {
            rig.checker.handle_outcome(run, unmade(), rig.now);
        }
    }
    assert_eq!(begun, order);
    assert!(rig.checker.tally().latest().expect("ten of them") > ms(500));
}

#[test]
fn without_room_it_does_not_ask_to_be_woken_for_what_is_due() {
    let often = Timing { every: ms(10), timeout: ms(10), fast: ms(10), ..timing() };
    let mut rig = Rig::new(1);
    rig.configure(&[check(1, timing()), check(2, often), check(3, often)]);
    let slow = loop {
        match rig.next() {
            Output::Begin { run, check: slow } if slow == check(1, timing()) => break run,
            Output::Begin { run, .. } => rig.checker.handle_outcome(run, unmade(), rig.now),
            other => panic!("{other:?} was not to be"),
        }
    };
    let ends = rig.now + ms(500);
    rig.checker.handle_timeout(rig.now + ms(200));
    assert_eq!((rig.checker.poll_output(), rig.checker.poll_timeout()), (None, Some(ends)));
    rig.checker.handle_outcome(slow, good(), rig.now + ms(200));
    let begun = std::iter::from_fn(|| rig.checker.poll_output());
    assert_eq!(begun.filter(|output| matches!(output, Output::Begin { .. })).count(), 1);
}

#[test]
fn room_for_none_is_room_for_one() {
    let mut rig = Rig::new(0);
    rig.configure(&[check(1, timing())]);
    rig.begin();
}

#[test]
fn beats_that_pass_meanwhile_are_left_out_and_counted() {
    let mut rig = Rig::new(1);
    rig.configure(&[check(1, timing()), check(2, timing())]);
    let first = rig.begin();
    // Whoever holds the only place answers three and a half beats later.
    rig.now = rig.now + ms(3500);
    rig.checker.handle_outcome(first, good(), rig.now);
    let mut begun = Vec::new();
    while let Some(output) = rig.checker.poll_output() {
        if let Output::Begin { run, check } = output {
            begun.push(check);
            rig.checker.handle_outcome(run, good(), rig.now);
        }
    }
    assert_eq!(begun.len(), 2, "the other one, and the last beat of the first made up for");
    let tally = rig.checker.tally();
    assert_eq!((tally.made, tally.in_flight), (3, 0));
    assert!((4..=5).contains(&tally.skipped), "{}", tally.skipped);
    assert_eq!(tally.asked(), tally.made + tally.skipped);
}
