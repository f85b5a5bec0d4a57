//! The guard: what is held, for which reasons, and what ends it.

use super::*;

pub(super) fn guarded(n: u8) -> PoolConfig {
    with(n, |c| c.guard = true)
}

pub(super) const SEES_TWO: Summary = Summary { up: 2, down: 0, unknown: 0, held: false };
const SEES_NONE: Summary = Summary { up: 0, down: 2, unknown: 0, held: false };

/// Both servers of two fall silent at 100 s, noticed one after the other.
pub(super) fn cut(bench: &mut Bench) {
    bench.now = 102_100;
    bench.silent(1, 100_100);
    bench.now = 102_900;
    bench.silent(2, 100_900);
}

pub(super) fn is_held(bench: &Bench) -> bool {
    let held = bench.standings() == [Standing::Held, Standing::Held];
    assert_eq!(held, bench.pool.summary().held);
    assert_eq!(held, bench.weights() == [Some(1), Some(1)]);
    held
}

#[test]
fn all_that_fall_silent_in_one_moment_stay() {
    let mut bench = Bench::up(guarded(2));
    cut(&mut bench);
    assert!(is_held(&bench));
    assert_eq!(bench.pool.summary(), Summary { up: 0, down: 2, unknown: 0, held: true });
    bench.at(10_000_000);
    assert!(is_held(&bench));
    assert!(!bench.pool.is_blind(), "nobody said so");
}

#[test]
fn without_the_guard_they_leave() {
    let mut bench = Bench::up(servers(2));
    cut(&mut bench);
    assert_eq!(bench.weights(), [None, None]);
}

#[test]
fn one_that_is_noticed_first_leaves_and_comes_back_with_the_others() {
    let mut bench = Bench::up(guarded(3));
    cut(&mut bench);
    assert_eq!(bench.weights(), [None, None, Some(1)]);
    bench.silent(3, 101_000);
    assert_eq!(bench.weights(), [Some(1), Some(1), Some(1)]);
}

#[test]
fn one_that_failed_long_before_does_not_come_back() {
    let mut bench = Bench::up(guarded(3));
    bench.silent(3, 90_000);
    cut(&mut bench);
    assert_eq!(bench.weights(), [Some(1), Some(1), None]);
}

#[test]
fn one_server_alone_is_not_held_for_its_silence() {
    let mut bench = Bench::up(guarded(2));
    bench.silent(1, 50_000);
    bench.silent(2, 99_000);
    assert_eq!(bench.weights(), [None, None]);
}

#[test]
fn silence_at_different_times_is_not_one_moment() {
    let mut bench = Bench::up(guarded(2));
    bench.silent(1, 100_000);
    bench.silent(2, 102_001);
    assert_eq!(bench.weights(), [None, None]);
    let mut bench = Bench::up(guarded(2));
    bench.silent(1, 100_000);
    bench.silent(2, 102_000);
    assert!(is_held(&bench));
}

#[test]
fn one_that_failed_long_after_the_last_is_not_of_its_moment() {
    let mut bench = Bench::up(guarded(2));
    bench.peers = vec![SEES_TWO];
    bench.silent(2, 103_000);
    bench.silent(1, 100_000);
    assert_eq!(bench.weights(), [Some(1), None]);
}

#[test]
fn a_refusal_is_an_answer_and_ends_it() {
    let mut bench = Bench::up(guarded(2));
    bench.now = 102_900;
    bench.refuses(1);
    bench.silent(2, 100_900);
    assert_eq!(bench.weights(), [None, None]);
    let mut bench = Bench::up(guarded(2));
    cut(&mut bench);
    bench.refuses(2);
    assert_eq!(bench.weights(), [None, None]);
}

#[test]
fn a_refusal_from_before_the_cut_is_no_proof_until_it_had_to_come_again() {
    let mut bench = Bench::up(guarded(3));
    bench.bad(tcp(3), 50_000, Failure::answered("connection refused"));
    bench.now = 100_900;
    bench.silent(1, 100_100);
    bench.silent(2, 100_900);
    // The first failure was at 100.1 s, and server 3 is asked every second with a timeout of one,
    // and a tenth of one late.
    assert_eq!(bench.weights(), [Some(1), Some(1), None]);
    assert_eq!(bench.pool.poll_timeout(), Some(at(102_200)));
    let mut cut_off = Bench::up(guarded(3));
    cut_off.bad(tcp(3), 50_000, Failure::answered("connection refused"));
    cut_off.now = 100_900;
    cut_off.silent(1, 100_100);
    cut_off.silent(2, 100_900);
    cut_off.bad(tcp(3), 50_000, Failure::silent("no answer"));
    cut_off.at(200_000);
    assert_eq!(cut_off.weights(), [Some(1), Some(1), None]);
    bench.at(102_199);
    assert_eq!(bench.weights(), [Some(1), Some(1), None]);
    bench.at(102_200);
    assert_eq!(bench.weights(), [None, None, None]);
}

#[test]
fn another_check_of_theirs_that_is_good_proves_that_the_way_is_open_once_it_was_made_again() {
    let mut bench = Bench::up(with(2, |c| {
        c.guard = true;
        c.members[0].checks.push(ping(1));
    }));
    cut(&mut bench);
    assert!(is_held(&bench));
    // Every 10 s, with a timeout of one, since the first failure.
    bench.at(111_199);
    assert!(is_held(&bench));
    bench.at(111_200);
    assert_eq!(bench.weights(), [None, None]);
}

#[test]
fn what_another_director_sees_weighs_more_than_all_else() {
    let mut bench = Bench::up(guarded(2));
    bench.peers = vec![SEES_TWO];
    bench.witness = Some(true);
    bench.now = 102_900;
    bench.refuses(1);
    bench.refuses(2);
    assert!(is_held(&bench));
    bench.at(10_000_000);
    assert!(is_held(&bench));
    bench.peers = vec![SEES_NONE];
    bench.tell();
    assert!(is_held(&bench), "it may be that it only saw what they saw");
    bench.at(10_003_000);
    assert_eq!(bench.weights(), [None, None]);
}

#[test]
fn what_was_told_ends_only_by_proof_that_lasts_as_long_as_servers_take_to_be_well() {
    let told = || {
        let mut bench = Bench::up(guarded(2));
        cut(&mut bench);
        bench.at(110_000);
        assert!(bench.notices().concat().contains("the fault is likely here"));
        bench.witness = Some(true);
        bench.tell();
        assert!(is_held(&bench));
        // rise × every + timeout.
        assert_eq!(bench.pool.poll_timeout(), Some(at(113_000)));
        bench
    };
    let mut healed = told();
    healed.now = 111_200;
    healed.recovers(1);
    assert!(is_held(&healed), "one good answer is not enough");
    healed.rises(1);
    healed.rises(2);
    healed.at(200_000);
    assert_eq!(healed.standings(), [Standing::Up, Standing::Up]);
    let mut dead = told();
    dead.at(112_999);
    assert!(is_held(&dead));
    dead.at(113_000);
    assert_eq!(dead.weights(), [None, None]);
    let mut again = told();
    again.witness = Some(false);
    again.at(112_000);
    again.witness = Some(true);
    again.at(114_999);
    assert!(is_held(&again));
    assert_eq!(again.pool.poll_timeout(), Some(at(117_999)));
}

#[test]
fn a_server_that_is_about_to_be_well_again_does_not_end_it() {
    let mut bench = Bench::up(guarded(2));
    cut(&mut bench);
    bench.now = 103_500;
    bench.recovers(1);
    assert!(is_held(&bench));
    bench.now = 104_500;
    bench.rises(1);
    assert_eq!(bench.standings(), [Standing::Up, Standing::Held]);
}

#[test]
fn a_single_server_is_held_as_long_as_another_director_sees_it() {
    let mut bench = Bench::up(guarded(1));
    bench.peers = vec![Summary { up: 1, ..Summary::default() }];
    bench.silent(1, 100_000);
    assert_eq!(bench.standings(), [Standing::Held]);
    bench.peers = Vec::new();
    bench.tell();
    assert_eq!(bench.weights(), [None]);
}

#[test]
fn another_director_that_sees_none_either_ends_it_at_once() {
    let mut bench = Bench::up(guarded(2));
    bench.peers = vec![SEES_NONE];
    cut(&mut bench);
    assert_eq!(bench.weights(), [None, None]);
}

#[test]
fn another_director_that_holds_its_own_or_knows_nothing_yet_is_no_evidence() {
    let held = Summary { held: true, ..SEES_NONE };
    let held_up = Summary { held: true, ..SEES_TWO };
    let partly = Summary { up: 0, down: 1, unknown: 1, held: false };
    for peer in [held, held_up, partly, Summary::default()] {
        let mut bench = Bench::up(guarded(2));
        bench.peers = vec![peer];
        cut(&mut bench);
        bench.at(200_000);
        assert!(is_held(&bench), "{peer:?}");
    }
}

#[test]
fn what_another_director_said_before_is_no_proof_of_now() {
    let mut bench = Bench::up(guarded(2));
    // The link between the directors is cut with the way to the servers.
    (bench.peers, bench.peers_at) = (vec![SEES_NONE], Some(99_000));
    cut(&mut bench);
    assert!(is_held(&bench), "it had lost them before, and what it sees now is not known");
    bench.peers_at = Some(100_500);
    bench.tell();
    assert_eq!(bench.weights(), [None, None]);
    let mut bench = Bench::up(guarded(2));
    (bench.peers, bench.peers_at) = (vec![SEES_TWO], Some(102_000));
    cut(&mut bench);
    bench.at(109_000);
    assert!(is_held(&bench) && !bench.pool.is_blind(), "it saw them when they were there");
    bench.peers_at = Some(110_000);
    bench.at(110_000);
    assert!(is_held(&bench) && bench.pool.is_blind());
    // Of a server that a reload adds nothing is known, which is no news of the others.
    bench.pool.configure(guarded(3), at(111_000));
    bench.at(111_000);
    assert!(bench.pool.is_blind());
    bench.rises(3);
    assert!(!bench.pool.is_blind());
}

#[test]
fn a_check_once_an_hour_beside_quick_ones_makes_nothing_wait_for_an_hour() {
    let hourly = |config: &mut PoolConfig| {
        for (member, n) in config.members.iter_mut().zip(1..) {
            let rare = CheckConfig { timing: timing(3_600_000, 2, 1), ..(*ping(n)).clone() };
            member.checks.push(rare.into());
        }
        config.guard = true;
    };
    let (quick, mixed) = (Spans::of(&guarded(2)), Spans::of(&with(2, hourly)));
    assert_eq!((quick.window, quick.grace), (ms(2_000), ms(3_000)));
    assert_eq!((mixed.window, mixed.grace), (ms(61_000), ms(61_000)));
    // Where all are slow, so is what happens.
    let slow = with(2, |config| {
        hourly(config);
        config.members.iter_mut().for_each(|member| drop(member.checks.remove(0)));
    });
    assert_eq!(Spans::of(&slow).window, ms(3_601_000));
}

#[test]
fn a_witness_that_still_answers_after_it_had_to_notice_ends_it() {
    let mut bench = Bench::up(guarded(2));
    bench.witness = Some(true);
    bench.now = 101_000;
    bench.silent(1, 100_100);
    bench.silent(2, 100_900);
    assert!(is_held(&bench));
    assert_eq!(bench.pool.poll_timeout(), Some(at(102_200)));
    bench.at(102_200);
    assert_eq!(bench.weights(), [None, None]);
    let mut bench = Bench::up(guarded(2));
    bench.witness = Some(false);
    cut(&mut bench);
    bench.at(200_000);
    assert!(is_held(&bench));
}

#[test]
fn the_first_that_is_well_again_gives_the_others_some_time() {
    let mut bench = Bench::up(guarded(2));
    cut(&mut bench);
    bench.at(110_000);
    bench.rises(1);
    assert_eq!(bench.standings(), [Standing::Up, Standing::Held]);
    assert!(!bench.pool.summary().held, "what it sees now is worth something");
    // rise × every + timeout.
    assert_eq!(bench.pool.poll_timeout(), Some(at(113_000)));
    bench.at(112_999);
    assert_eq!(bench.weights(), [Some(1), Some(1)]);
    bench.at(113_000);
    assert_eq!(bench.weights(), [Some(1), None]);
}

#[test]
fn it_is_the_same_episode_if_the_way_is_cut_again_meanwhile() {
    let mut bench = Bench::up(guarded(2));
    cut(&mut bench);
    bench.at(110_000);
    bench.rises(1);
    bench.notices();
    bench.now = 111_000;
    bench.silent(1, 110_900);
    assert!(is_held(&bench));
    bench.at(10_000_000);
    assert!(is_held(&bench));
    assert_eq!(bench.notices(), [""; 0]);
}

#[test]
fn proof_from_before_somebody_was_well_again_does_not_last_on() {
    let mut bench = Bench::up(guarded(2));
    cut(&mut bench);
    bench.at(110_000);
    bench.peers = vec![SEES_NONE];
    bench.tell();
    bench.now = 111_000;
    bench.rises(1);
    bench.now = 113_500;
    bench.silent(1, 113_400);
    assert!(is_held(&bench), "the other one sees none, but not for long");
    bench.at(116_499);
    assert!(is_held(&bench));
    bench.at(116_500);
    assert_eq!(bench.weights(), [None, None]);
}

#[test]
fn those_that_were_held_do_not_climb_when_they_are_well_again() {
    let mut bench = Bench::up(with(2, |c| {
        c.guard = true;
        c.slow_start = ms(10_000);
    }));
    cut(&mut bench);
    bench.rises(1);
    bench.rises(2);
    assert_eq!(bench.weights(), [Some(10), Some(10)]);
    assert_eq!(bench.pool.poll_timeout(), None);
}

#[test]
fn the_last_weights_are_held_and_so_is_the_operators_word() {
    let mut bench = Bench::up(with(4, |c| {
        c.guard = true;
        c.members.iter_mut().for_each(|m| m.weight = 10);
    }));
    bench.says(1, Advice { weight: Some(Asked::Percent(30)), ..Advice::default() });
    bench.says(2, Advice { wish: Some(Wish::Drain), ..Advice::default() });
    bench.says_operator(3, Word::Drain);
    (1..=4).for_each(|n| bench.silent(n, 100_000));
    assert_eq!(bench.weights(), [Some(3), Some(0), Some(0), Some(10)]);
    bench.says_operator(3, Word::Ready);
    bench.says_operator(4, Word::Maintenance);
    assert_eq!(bench.weights(), [Some(3), Some(0), Some(10), None]);
}

#[test]
fn what_had_no_traffic_is_not_held() {
    let mut bench = Bench::up(guarded(3));
    bench.says_operator(3, Word::Maintenance);
    (1..=3).for_each(|n| bench.silent(n, 100_000));
    bench.says_operator(3, Word::Ready);
    assert_eq!(bench.weights(), [Some(1), Some(1), None]);
}

#[test]
fn a_server_in_maintenance_that_is_well_proves_that_the_way_is_open() {
    let mut bench = Bench::up(guarded(3));
    bench.says_operator(3, Word::Maintenance);
    (1..=2).for_each(|n| bench.silent(n, 100_000));
    assert_eq!(bench.weights(), [None, None, None]);
}

#[test]
fn what_a_restart_found_in_the_kernel_is_held_too() {
    let mut bench = Bench::after(guarded(2), &[1, 2]);
    bench.now = 3100;
    bench.silent(1, 1100);
    bench.silent(2, 1900);
    assert!(is_held(&bench));
}

#[test]
fn while_a_spare_answers_it_goes_on() {
    let mut bench = Bench::up(with(2, |c| {
        c.guard = true;
        c.quorum = 3;
        c.spares = vec![Spare { name: "local".into(), checks: Vec::new() }];
    }));
    assert_eq!(bench.pool.shares().spare, Some(0));
    cut(&mut bench);
    assert_eq!(bench.weights(), [None, None]);
    assert_eq!(bench.pool.shares().spare, Some(0));
}

#[test]
fn those_that_a_spare_replaced_on_the_way_are_held_too() {
    let mut bench = Bench::up(with(3, |c| {
        c.guard = true;
        c.quorum = 2;
        c.spares = vec![Spare { name: "local".into(), checks: Vec::new() }];
    }));
    cut(&mut bench);
    assert_eq!((bench.weights(), bench.pool.shares().spare), (vec![None; 3], Some(0)));
    bench.silent(3, 101_000);
    assert_eq!((bench.weights(), bench.pool.shares().spare), (vec![Some(1); 3], None));
}

#[test]
fn the_quorum_of_what_is_held_is_not_lost() {
    let mut bench = Bench::up(with(2, |c| {
        c.guard = true;
        c.quorum = 2;
        c.spares = vec![Spare { name: "local".into(), checks: Vec::new() }];
    }));
    bench.silent(1, 100_000);
    assert_eq!(bench.pool.shares().spare, Some(0));
    let mut bench = Bench::up(with(2, |c| {
        c.guard = true;
        c.spares = vec![Spare { name: "local".into(), checks: Vec::new() }];
    }));
    cut(&mut bench);
    assert!(is_held(&bench));
    assert_eq!(bench.pool.shares().spare, None);
}

#[test]
fn a_reload_without_the_guard_lets_go_and_one_without_the_servers_forgets() {
    let mut bench = Bench::up(guarded(2));
    cut(&mut bench);
    bench.pool.configure(servers(2), at(bench.now));
    bench.tell();
    assert_eq!(bench.weights(), [None, None]);
    let mut bench = Bench::up(guarded(2));
    cut(&mut bench);
    bench.pool.configure(with(0, |c| c.guard = true), at(bench.now));
    bench.tell();
    assert!(!bench.pool.summary().held);
}

#[test]
fn we_are_blind_if_another_sees_for_longer_what_we_do_not() {
    let mut bench = Bench::up(servers(2));
    bench.peers = vec![SEES_TWO];
    bench.refuses(1);
    bench.refuses(2);
    assert!(!bench.pool.is_blind(), "the other has not looked yet");
    bench.at(101_999);
    assert!(!bench.pool.is_blind());
    bench.at(102_000);
    assert!(bench.pool.is_blind());
    bench.peers_at = Some(102_000);
    bench.at(109_000);
    assert!(bench.pool.is_blind(), "nobody has said otherwise");
    bench.peers_at = None;
    bench.peers = vec![SEES_NONE];
    bench.tell();
    assert!(!bench.pool.is_blind());
    bench.peers = vec![SEES_TWO];
    bench.at(300_000);
    assert!(!bench.pool.is_blind(), "that is news again");
    bench.at(302_000);
    bench.rises(2);
    assert!(!bench.pool.is_blind());
}
