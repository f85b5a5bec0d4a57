//! A process that was not run for longer than the dead time listens before it speaks.

use super::*;

/// Later than the next advertisement by more than the dead time.
fn stalled() -> Bench {
    let mut bench = Bench::active(config(Version::V3));
    bench.run(ms(10_000));
    bench.stall(SECOND + DEAD + ms(1));
    bench
}

const LISTEN: Duration = Duration::from_nanos(1_609_375_000);

#[test]
fn after_a_stall_nothing_is_said_and_the_vips_are_kept() {
    let mut bench = stalled();
    let outputs = bench.timeout();
    let by = DEAD + ms(1);
    let (from, to) = (State::Active, State::Backup);
    let expected = [
        Output::Noticed(Notice::Late { by }),
        Output::Changed { from, to, why: Why::Stalled { by } },
    ];
    assert_eq!(outputs, expected);
    assert_eq!((bench.is(), bench.left()), ((State::Backup, true), LISTEN));
}

#[test]
fn a_shorter_stall_is_none() {
    let mut bench = Bench::active(config(Version::V3));
    bench.run(ms(10_000));
    bench.stall(DEAD);
    assert_eq!(sent(&bench.timeout()), [100], "and does not catch up");
    assert_eq!((bench.is(), bench.left()), ((State::Active, true), SECOND));
}

#[test]
fn after_a_stall_and_silence_it_is_active_again_and_announces() {
    let mut bench = stalled();
    bench.timeout();
    let outputs = bench.run(LISTEN);
    assert_eq!((sent(&outputs), announced(&outputs)), (vec![100], 2));
    assert_eq!(entered(&outputs), [(State::Active, Why::StillFirst)]);
}

#[test]
fn after_a_stall_the_vips_go_when_another_active_one_is_heard() {
    for (value, left) in [(150, DEAD), (50, DEAD)] {
        let mut bench = stalled();
        bench.timeout();
        bench.run(SECOND);
        assert_eq!(sent(&bench.hear(LOW, value)), SILENT);
        assert_eq!((bench.is(), bench.left()), ((State::Backup, false), left));
    }
}

#[test]
fn a_queued_advertisement_is_not_answered_after_a_stall() {
    // Read from the socket before the timeout is handled.
    let mut bench = stalled();
    let outputs = bench.hear(LOW, 50);
    assert_eq!((sent(&outputs), announced(&outputs)), (vec![], 0));
    assert_eq!((bench.is(), bench.left()), ((State::Backup, false), DEAD));
}

#[test]
fn whatever_comes_first_after_a_stall_finds_it() {
    let inputs: [fn(&mut Bench); 7] = [
        |b| b.router.handle_claim(b.now),
        |b| b.router.handle_use(b.now),
        |b| b.router.handle_lost_vip(b.now),
        |b| b.router.handle_restart(b.now),
        |b| b.router.handle_condition(Condition { adjust: 5, ..Condition::default() }, b.now),
        |b| b.router.handle_peer(ip(LOW), PeerNews::Unknown, b.now),
        |b| b.router.handle_config(with(Version::V3, |c| c.vips.clear()), b.now),
    ];
    for (i, input) in inputs.iter().enumerate() {
        let mut bench = stalled();
        input(&mut bench);
        let outputs = bench.drain();
        assert_eq!((sent(&outputs), announced(&outputs)), (vec![], 0), "input {i}");
        assert_eq!(bench.router.state(), State::Backup, "input {i}");
    }
}

#[test]
fn an_old_resignation_makes_nobody_take_over_after_a_stall() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(HIGH, 150);
    bench.stall(DEAD * 2 + ms(1));
    assert_eq!(entered(&bench.hear(HIGH, 0)), []);
    assert_eq!((bench.is(), bench.left()), ((State::Backup, false), LISTEN));
    bench.hear(LOW, 120);
    assert_eq!(bench.left(), DEAD);
}

#[test]
fn an_old_resignation_with_a_younger_advertisement_behind_it_moves_nothing() {
    let news: [fn(&mut Router, Moment); 3] = [
        |r, now| {
            let advert = r.advert(0);
            assert_eq!(r.handle_advert(ip(HIGH), &advert, now), Ok(()));
        },
        |r, now| r.handle_peer(ip(HIGH), PeerNews::Gone, now),
        |r, now| r.handle_peer(ip(HIGH), PeerNews::Resigned, now),
    ];
    for lose in news {
        let mut bench = Bench::new(with(Version::V3, |c| c.preempt = Preempt::Never));
        bench.hear(HIGH, 150);
        bench.present(HIGH, State::Active, 150);
        let younger = bench.advert(50);
        lose(&mut bench.router, bench.now);
        assert_eq!(bench.left(), Duration::ZERO, "without anything behind it, it takes over now");
        assert_eq!(bench.router.handle_advert(ip(LOW), &younger, bench.now), Ok(()));
        assert_eq!(bench.settle(), []);
        assert_eq!((bench.is(), bench.left()), ((State::Backup, false), DEAD));
    }
}

#[test]
fn who_ceases_to_be_active_before_it_said_so_does_not_say_it_afterwards() {
    let mut bench = Bench::new(config(Version::V3));
    bench.stall(DEAD);
    bench.router.handle_timeout(bench.now);
    assert!(bench.router.holds());
    let wins = bench.advert(160);
    assert_eq!(bench.router.handle_advert(ip(LOW), &wins, bench.now), Ok(()));
    let outputs = bench.drain();
    assert_eq!((entered(&outputs).len(), announced(&outputs)), (2, 0));
    assert_eq!(sent(&outputs), [100], "the loser's last one");
}

#[test]
fn a_claim_after_a_stall_ends_the_listening() {
    let mut bench = stalled();
    bench.router.handle_claim(bench.now);
    assert_eq!((bench.is(), bench.left()), ((State::Backup, false), DEAD));
}

#[test]
fn a_real_server_that_has_the_vip_too_does_not_end_the_listening() {
    let mut bench = stalled();
    bench.router.handle_use(bench.now);
    assert_eq!((bench.is(), bench.left()), ((State::Backup, true), LISTEN));
}

#[test]
fn a_backup_that_stalled_listens_once_more_before_it_believes_the_silence() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(HIGH, 150);
    bench.stall(DEAD * 2 + ms(1));
    let outputs = bench.timeout();
    assert_eq!(outputs, [Output::Noticed(Notice::Late { by: DEAD + ms(1) })]);
    assert_eq!((bench.is(), bench.left()), ((State::Backup, false), LISTEN));
    bench.hear(HIGH, 150);
    assert_eq!(bench.left(), DEAD);
}

#[test]
fn a_backup_that_is_always_late_takes_over_all_the_same() {
    let mut bench = Bench::new(config(Version::V3));
    bench.stall(DEAD * 3);
    bench.timeout();
    bench.stall(DEAD * 3);
    let outputs = bench.timeout();
    assert_eq!(entered(&outputs), [(State::Active, Why::Silence { after: LISTEN })]);
}

#[test]
fn a_release_after_a_stall_still_hands_over() {
    let mut bench = stalled();
    bench.router.handle_release(bench.now);
    assert_eq!(sent(&bench.drain()), [0]);
    assert_eq!(bench.is(), (State::Initialize, true));
}
