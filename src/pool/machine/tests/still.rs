//! The guard while the checks stand still: what they said before proves nothing, however long ago.
//!
//! Their thread hangs or died, or the whole process was not run; the pool is told the same.

use super::guarded::{SEES_TWO, cut, guarded, is_held};
use super::*;

/// Two of three are cut off. The third refused long before, and is not heard of any more.
fn with_an_old_refusal() -> Bench {
    let mut bench = Bench::up(guarded(3));
    bench.bad(tcp(3), 50_000, Failure::answered("connection refused"));
    bench.now = 100_900;
    bench.silent(1, 100_100);
    bench.silent(2, 100_900);
    bench
}

fn are_held(bench: &Bench) -> bool {
    bench.weights() == [Some(1), Some(1), None]
}

#[test]
fn a_refusal_from_before_is_no_answer_while_the_checks_stand_still() {
    let mut bench = with_an_old_refusal();
    bench.stops();
    for now in [102_200, 103_000, 160_000] {
        bench.at(now);
        assert!(are_held(&bench), "at {now}");
        let next = bench.pool.poll_timeout().expect("it looks again");
        assert!(next > at(now) && next <= at(now + 1000), "{next}");
    }
    bench.goes_on();
    assert!(are_held(&bench), "it was not asked again yet");
    bench.at(162_099);
    assert!(are_held(&bench));
    bench.at(162_100);
    assert_eq!(bench.weights(), [None, None, None]);
}

#[test]
fn what_is_asked_after_a_break_counts_at_once() {
    let mut bench = with_an_old_refusal();
    bench.stops();
    bench.at(130_000);
    bench.goes_on();
    bench.now = 130_500;
    bench.bad(tcp(3), 130_500, Failure::answered("connection reset"));
    bench.tell();
    assert_eq!(bench.weights(), [None, None, None]);
}

#[test]
fn a_break_before_they_fell_has_everything_asked_anew_too() {
    let mut bench = Bench::up(guarded(3));
    bench.bad(tcp(3), 50_000, Failure::answered("connection refused"));
    // They fail for the first time, nobody is run for a while, and then they are held dead.
    bench.at(130_000);
    bench.goes_on();
    bench.now = 130_900;
    bench.silent(1, 100_100);
    bench.silent(2, 100_900);
    assert!(are_held(&bench), "the refusal is from before the break");
    bench.at(132_099);
    assert!(are_held(&bench));
    bench.at(132_100);
    assert_eq!(bench.weights(), [None, None, None]);
}

#[test]
fn a_witness_that_is_not_asked_says_nothing() {
    let mut bench = Bench::up(guarded(2));
    bench.witness = Some(true);
    bench.now = 101_000;
    bench.silent(1, 100_100);
    bench.silent(2, 100_900);
    bench.stops();
    bench.at(160_000);
    assert!(is_held(&bench));
    bench.goes_on();
    bench.at(162_099);
    assert!(is_held(&bench));
    bench.at(162_100);
    assert_eq!(bench.weights(), [None, None]);
}

#[test]
fn a_witness_that_is_asked_more_seldom_than_the_servers_has_its_time_to_notice() {
    let quick = |n: u8| {
        let timing = timing(200, 1, 1);
        Arc::new(CheckConfig { timing, ..CheckConfig::clone(&tcp(n)) })
    };
    let held = || {
        let mut bench = Bench::up(with(2, |c| {
            c.guard = true;
            c.members.iter_mut().zip(1..).for_each(|(m, n)| m.checks = vec![quick(n)]);
        }));
        bench.witness = Some(true);
        bench.now = 100_300;
        bench.bad(quick(1), 100_200, Failure::silent("no answer"));
        bench.bad(quick(2), 100_300, Failure::silent("no answer"));
        bench.tell();
        assert!(is_held(&bench));
        // It was asked just before the way was cut, and is missed two seconds after that.
        bench.at(102_100);
        assert!(is_held(&bench));
        assert_eq!(bench.notices(), [""; 0], "it may disprove it yet");
        assert_eq!(bench.pool.poll_timeout(), Some(at(102_300)));
        bench
    };
    let mut cut_off = held();
    cut_off.witness = Some(false);
    cut_off.at(200_000);
    assert!(is_held(&cut_off));
    let mut dead = held();
    dead.at(102_300);
    assert_eq!(dead.weights(), [None, None]);
}

#[test]
fn nobody_is_late_to_follow_while_the_checks_stand_still() {
    let mut bench = Bench::up(guarded(2));
    cut(&mut bench);
    bench.at(110_000);
    bench.rises(1);
    bench.stops();
    bench.at(160_000);
    assert_eq!(bench.weights(), [Some(1), Some(1)]);
    bench.goes_on();
    // rise × every + timeout.
    bench.at(162_999);
    assert_eq!(bench.weights(), [Some(1), Some(1)]);
    bench.at(163_000);
    assert_eq!(bench.weights(), [Some(1), None]);
}

#[test]
fn what_was_told_is_not_disproven_while_the_checks_stand_still() {
    let mut bench = Bench::up(guarded(2));
    cut(&mut bench);
    bench.at(110_000);
    assert!(bench.notices().concat().contains("the fault is likely here"));
    bench.witness = Some(true);
    bench.tell();
    bench.stops();
    bench.at(160_000);
    assert!(is_held(&bench), "the servers had no time to be well");
    bench.goes_on();
    bench.at(162_100);
    assert!(is_held(&bench), "that is proof, and has to last for 3 s");
    bench.at(165_099);
    assert!(is_held(&bench));
    bench.at(165_100);
    assert_eq!(bench.weights(), [None, None]);
}

#[test]
fn an_alarm_waits_until_everybody_was_asked() {
    let mut bench = Bench::up(guarded(2));
    cut(&mut bench);
    bench.notices();
    bench.stops();
    bench.at(160_000);
    assert_eq!(bench.notices(), [""; 0]);
    bench.goes_on();
    bench.at(162_099);
    assert_eq!(bench.notices(), [""; 0]);
    bench.at(162_100);
    assert!(bench.notices().concat().contains("the fault is likely here"));
}

#[test]
fn a_director_that_dies_takes_no_server_with_it_that_it_saw_after_we_last_looked() {
    let mut bench = Bench::up(guarded(1));
    bench.peers = vec![Summary { up: 1, ..Summary::default() }];
    bench.silent(1, 100_000);
    bench.stops();
    bench.peers = Vec::new();
    bench.at(105_000);
    assert_eq!(bench.standings(), [Standing::Held]);
    bench.goes_on();
    assert_eq!(bench.weights(), [None]);
}

#[test]
fn a_reload_has_everything_asked_anew() {
    let reloaded = |change: fn(&mut PoolConfig)| {
        let mut bench = with_an_old_refusal();
        bench.now = 102_000;
        let config = with(3, |config| {
            config.guard = true;
            change(config);
        });
        bench.pool.configure(config, at(bench.now));
        bench.tell();
        assert!(are_held(&bench));
        bench.at(104_099);
        bench
    };
    let mut bench = reloaded(|config| config.hysteresis = 1);
    assert!(are_held(&bench), "the check may be made at other times now");
    bench.at(104_100);
    assert_eq!(bench.weights(), [None, None, None]);
    let bench = reloaded(|_| ());
    assert_eq!(bench.weights(), [None, None, None], "nothing is different");
}

#[test]
fn another_director_is_heard_whether_the_checks_are_made_or_not() {
    let mut bench = Bench::up(guarded(2));
    bench.peers = vec![SEES_TWO];
    cut(&mut bench);
    bench.stops();
    bench.at(104_000);
    bench.peers = vec![Summary { up: 0, down: 2, unknown: 0, held: false }];
    bench.at(106_000);
    assert_eq!(bench.weights(), [None, None]);
}

#[test]
fn what_failed_just_before_a_break_and_just_after_it_may_be_one_moment() {
    for first_is_out in [false, true] {
        let mut bench = Bench::up(guarded(2));
        bench.now = 100_900;
        if first_is_out {
            bench.silent(1, 100_100);
        }
        bench.stops();
        bench.at(130_000);
        bench.goes_on();
        bench.now = 131_500;
        bench.silent(1, 100_100);
        bench.silent(2, 131_000);
        assert!(is_held(&bench), "{first_is_out}");
    }
    let mut bench = Bench::up(guarded(2));
    bench.silent(1, 100_000);
    bench.at(103_000);
    bench.stops();
    bench.at(130_000);
    bench.goes_on();
    bench.silent(2, 130_500);
    assert_eq!(bench.weights(), [None, None], "it was long before the break");
}
