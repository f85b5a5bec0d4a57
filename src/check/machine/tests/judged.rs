//! Rise, fall, and what is said of them.

use super::*;
use crate::check::outcome::{Asked, Failing};

#[test]
fn nothing_is_well_before_the_first_good_check_and_one_is_enough() {
    let mut rig = Rig::of(timing());
    assert_eq!(rig.state(&check(1, timing())), State::Unknown);
    let health = rig.take(good()).expect("a change");
    assert_eq!((health.state, health.since), (State::Up, rig.now));
}

#[test]
fn a_target_that_was_never_well_is_down_after_fall_bad_checks() {
    let mut rig = Rig::of(timing());
    assert_eq!(rig.take(bad()).expect("a reason").state, State::Unknown);
    assert_eq!(rig.take(bad()), None);
    assert_eq!(rig.take(bad()).expect("a change").state, State::Down);
}

#[test]
fn only_bad_checks_in_a_row_bring_it_down_and_good_ones_in_a_row_back_up() {
    let mut rig = Rig::of(timing());
    rig.take(good());
    for outcome in [bad(), bad(), good(), bad(), bad()] {
        rig.take(outcome);
    }
    assert_eq!(rig.state(&check(1, timing())), State::Up);
    let down = rig.take(bad()).expect("a change");
    assert_eq!((down.state, down.since), (State::Down, rig.now));
    for outcome in [good(), bad(), good()] {
        rig.take(outcome);
    }
    assert_eq!(rig.state(&check(1, timing())), State::Down);
    assert_eq!(rig.take(good()).expect("a change").state, State::Up);
}

#[test]
fn what_could_not_be_asked_counts_for_nothing_neither_way() {
    let mut rig = Rig::of(timing());
    rig.take(good());
    for outcome in [bad(), unmade(), bad(), unmade()] {
        rig.take(outcome);
    }
    assert_eq!(rig.state(&check(1, timing())), State::Up);
    rig.take(bad());
    assert_eq!(rig.state(&check(1, timing())), State::Down);
    for outcome in [good(), unmade(), unmade()] {
        rig.take(outcome);
    }
    assert_eq!(rig.state(&check(1, timing())), State::Down);
    assert_eq!(rig.take(good()).expect("a change").state, State::Up);
}

#[test]
fn the_reason_is_the_newest_and_its_time_that_of_the_first_failure() {
    let mut rig = Rig::of(timing());
    rig.take(good());
    rig.take(bad());
    let since = rig.now;
    let refused = Failure::answered("connection refused");
    let health = rig.take(Outcome::Bad(refused.clone())).expect("another reason");
    assert_eq!(health.failing, Some(Failing { since, failure: refused.clone() }));
    assert_eq!(rig.take(Outcome::Bad(refused.clone())).expect("down").state, State::Down);
    assert_eq!(rig.take(Outcome::Bad(refused)), None, "the same is not said again");
    assert_eq!(rig.take(good()).expect("no reason any more").failing, None);
}

#[test]
fn advice_is_that_of_the_last_good_check_while_it_is_up() {
    let half = Advice { weight: Some(Asked::Percent(50)), ..Advice::default() };
    let mut rig = Rig::of(timing());
    assert_eq!(rig.take(Outcome::Good(half.clone())).expect("up").advice, half);
    assert_eq!(rig.take(Outcome::Good(half.clone())), None);
    assert_eq!(rig.take(bad()).expect("a reason").advice, half);
    rig.take(bad());
    assert_eq!(rig.take(bad()).expect("down").advice, Advice::default());
    let rising = rig.take(Outcome::Good(half.clone())).expect("no reason any more");
    assert_eq!((rising.state, rising.advice), (State::Down, Advice::default()));
    assert_eq!(rig.take(Outcome::Good(half.clone())).expect("up").advice, half);
    assert_eq!(rig.take(good()).expect("other advice").advice, Advice::default());
}
