//! Another set of checks.

use super::*;

/// What one check is due at, by the machine's own book.
fn due(rig: &Rig, check: &CheckConfig) -> Moment {
    let index = rig.checker.by_check[check];
    rig.checker.entries[index as usize].as_ref().expect("it is there").due
}

#[test]
fn what_stays_keeps_its_beat_its_state_and_its_run() {
    let mut rig = Rig::of(timing());
    rig.take(good());
    let kept = check(1, timing());
    let before = due(&rig, &kept);
    rig.now = at(400);
    rig.configure(&[Arc::clone(&kept), check(2, timing())]);
    assert_eq!((due(&rig, &kept), rig.state(&kept)), (before, State::Up));
    assert_eq!(rig.state(&check(2, timing())), State::Unknown);
    let run = loop {
        match rig.next() {
            Output::Begin { run, check } if check == kept => break run,
            Output::Begin { run, .. } => rig.checker.handle_outcome(run, unmade(), rig.now),
            other => panic!("{other:?} was not to be"),
        }
    };
    rig.configure(&[Arc::clone(&kept)]);
    assert!(rig.answer(run, bad()).is_some(), "it still runs");
}

#[test]
fn what_goes_is_aborted_and_forgotten() {
    let mut rig = Rig::of(timing());
    rig.take(good());
    let run = rig.begin();
    rig.configure(&[]);
    assert_eq!(rig.checker.poll_output(), Some(Output::Abort(run)));
    assert_eq!(rig.answer(run, bad()), None);
    assert_eq!(rig.checker.poll_timeout(), None);
    assert_eq!(rig.checker.health(&check(1, timing())), None);
    assert_eq!(rig.checker.tally().in_flight, 0);
    rig.configure(&[check(1, timing())]);
    assert_eq!(rig.state(&check(1, timing())), State::Unknown);
    let again = rig.begin();
    assert_eq!(again.index(), run.index());
    assert_eq!(rig.answer(run, good()), None, "another run of the same place");
    assert!(rig.answer(again, good()).is_some());
}

#[test]
fn what_differs_in_timing_alone_keeps_what_is_known_and_its_beat_if_every_stays() {
    let mut rig = Rig::of(timing());
    rig.take(good());
    rig.take(bad());
    let before = due(&rig, &check(1, timing()));
    let nervous = check(1, Timing { fall: count(2), timeout: ms(100), ..timing() });
    rig.configure(&[Arc::clone(&nervous)]);
    match rig.checker.poll_output() {
        Some(Output::Changed(check, health)) => {
            assert_eq!((check, health.state), (Arc::clone(&nervous), State::Up));
        }
        other => panic!("{other:?}: its new name was not said"),
    }
    assert_eq!(due(&rig, &nervous), before);
    assert_eq!(rig.take(bad()).expect("the second in a row").state, State::Down);
    assert_eq!(rig.checker.health(&check(1, timing())), None);
}

#[test]
fn a_run_in_flight_goes_on_under_another_timing_and_ends_by_it() {
    let mut rig = Rig::of(timing());
    let run = rig.begin();
    let begun = rig.now;
    let hasty = check(1, Timing { timeout: ms(100), ..timing() });
    rig.configure(&[Arc::clone(&hasty)]);
    assert_eq!(rig.next(), Output::Expire(run));
    assert_eq!(rig.now.since(begun), ms(100));
    let again = check(1, Timing { every: ms(700), ..timing() });
    rig.configure(&[Arc::clone(&again)]);
    assert_eq!(rig.checker.poll_output(), None);
    assert!(rig.answer(run, bad()).is_some());
    assert!(due(&rig, &again) <= rig.now + ms(700));
}

#[test]
fn another_every_is_begun_within_the_first_round() {
    let mut rig = Rig::of(Timing { every: ms(3_600_000), ..timing() });
    rig.take(good());
    let often = check(1, timing());
    rig.now = at(20_000);
    rig.configure(&[Arc::clone(&often)]);
    assert!(due(&rig, &often) <= at(21_000));
    assert_eq!(rig.state(&often), State::Up);
}

#[test]
fn one_that_comes_beside_one_of_other_timing_knows_what_that_one_knows() {
    let mut rig = Rig::of(timing());
    rig.take(good());
    let beside = check(1, Timing { every: ms(5000), ..timing() });
    let third = check(1, Timing { every: ms(7000), ..timing() });
    rig.configure(&[check(1, timing()), Arc::clone(&beside)]);
    assert_eq!((rig.state(&beside), rig.state(&check(1, timing()))), (State::Up, State::Up));
    rig.configure(&[beside.clone(), third.clone()]);
    assert_eq!((rig.state(&beside), rig.state(&third)), (State::Up, State::Up));
    let other = Arc::new(CheckConfig { probe: Probe::Ping.into(), ..(*third).clone() });
    rig.configure(&[Arc::clone(&other)]);
    assert_eq!(rig.state(&other), State::Unknown, "it asks something else");
}
