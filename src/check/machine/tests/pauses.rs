//! What is held against nobody, for this process was not run meanwhile.

use super::*;

/// One bad end is enough.
fn strict() -> Timing {
    Timing { fall: count(1), ..timing() }
}

#[test]
fn what_a_pause_cut_short_is_held_against_nobody() {
    let mut rig = Rig::of(strict());
    rig.take(good());
    let run = rig.begin();
    rig.checker.handle_pause();
    assert_eq!(rig.answer(run, bad()), None);
    assert_eq!(rig.state(&check(1, strict())), State::Up);
    assert_eq!(rig.take(bad()).expect("what began later counts").state, State::Down);
}

#[test]
fn what_ended_well_in_spite_of_a_pause_counts() {
    let mut rig = Rig::of(strict());
    let run = rig.begin();
    rig.checker.handle_pause();
    assert_eq!(rig.answer(run, good()).expect("a change").state, State::Up);
}

#[test]
fn a_process_that_is_always_late_still_finds_who_is_dead() {
    let mut rig = Rig::of(strict());
    rig.take(good());
    for excused in [true, false] {
        let run = rig.begin();
        rig.checker.handle_pause();
        assert_eq!(rig.answer(run, bad()).is_none(), excused);
    }
    assert_eq!(rig.state(&check(1, strict())), State::Down);
}

#[test]
fn a_pause_with_nothing_in_flight_excuses_nothing() {
    let mut rig = Rig::of(strict());
    rig.take(good());
    rig.checker.handle_pause();
    assert_eq!(rig.take(bad()).expect("a change").state, State::Down);
}
