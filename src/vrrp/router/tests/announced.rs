//! When the VIPs are announced, and what an Active router does about others.

use super::*;

#[test]
fn a_takeover_is_announced_at_once_and_once_more_after_the_delay() {
    let mut bench = Bench::active(config(Version::V3));
    assert_eq!(announced(&bench.run(ms(4999))), 0);
    assert_eq!(announced(&bench.run(ms(1))), 2);
    assert_eq!(announced(&bench.run(ms(59_999))), 0);
}

#[test]
fn the_vips_are_announced_now_and_then() {
    let mut bench = Bench::active(config(Version::V3));
    bench.run(ms(5000));
    for _ in 0..3 {
        assert_eq!(announced(&bench.run(ms(60_000))), 1);
    }
}

#[test]
fn without_delay_and_refresh_one_burst_is_all() {
    let quiet = Announcing { repeat: 1, delay: Duration::ZERO, refresh: Duration::ZERO };
    let mut bench = Bench::new(with(Version::V3, |c| c.announcing = quiet));
    assert_eq!(announced(&bench.run(ms(1_000_000))), 1);
}

#[test]
fn the_winner_of_a_conflict_announces_again_once_per_interval() {
    let mut bench = Bench::active(config(Version::V3));
    bench.run(ms(10_000));
    let outputs = bench.hear(LOW, 50);
    assert_eq!((sent(&outputs), announced(&outputs)), (vec![100], 2));
    let conflict = Notice::Conflict { from: ip(LOW), priority: 50 };
    assert_eq!(noticed(&outputs), [conflict]);
    for _ in 0..5 {
        assert_eq!(bench.hear(LOW, 50), []);
    }
    let outputs = bench.run(SECOND);
    assert_eq!(announced(&outputs), 2, "put off, not lost");
    assert_eq!(announced(&bench.run(ms(4999))), 0);
    assert_eq!(announced(&bench.run(ms(1))), 2, "and a second burst after the delay");
}

#[test]
fn what_crosses_with_a_takeover_is_answered_but_not_told_as_a_conflict() {
    let mut bench = Bench::active(config(Version::V3));
    let outputs = bench.hear(LOW, 50);
    assert_eq!((sent(&outputs), noticed(&outputs)), (vec![100], vec![]));
    bench.run(SECOND);
    assert_eq!(noticed(&bench.hear(LOW, 50)).len(), 1, "it goes on");
}

#[test]
fn the_loser_of_a_conflict_speaks_once_more_so_that_the_winner_announces() {
    let mut loser = Bench::active(config(Version::V3));
    let outputs = loser.hear(HIGH, 150);
    assert_eq!((sent(&outputs), announced(&outputs)), (vec![100], 0));
    assert_eq!(loser.hear(HIGH, 150), []);
    assert_eq!(sent(&loser.run(SECOND)), SILENT);
}

#[test]
fn two_who_both_believe_that_they_win_do_not_echo() {
    let mut bench = Bench::active(config(Version::V3));
    bench.run(ms(10_000));
    let mut adverts = 0;
    for _ in 0..1000 {
        adverts += sent(&bench.hear(LOW, 50)).len();
        adverts += sent(&bench.run(ms(1))).len();
    }
    assert!((1..=3).contains(&adverts), "{adverts} in one interval");
}

#[test]
fn a_claim_of_another_host_is_answered_by_announcing() {
    let mut bench = Bench::active(config(Version::V3));
    bench.run(ms(10_000));
    bench.router.handle_claim(bench.now);
    let outputs = bench.drain();
    assert_eq!((announced(&outputs), noticed(&outputs)), (2, vec![Notice::Claimed]));
    bench.router.handle_claim(bench.now);
    assert_eq!(bench.drain(), [], "once per interval, and told once");
}

#[test]
fn a_host_that_asks_in_the_name_of_a_vip_is_answered_in_the_same_way() {
    let mut bench = Bench::active(config(Version::V3));
    bench.run(ms(10_000));
    bench.router.handle_use(bench.now);
    let outputs = bench.drain();
    assert_eq!((announced(&outputs), noticed(&outputs)), (2, vec![Notice::Claimed]));
}

#[test]
fn the_host_that_had_the_vips_may_answer_for_them_during_a_takeover() {
    let mut bench = Bench::active(config(Version::V3));
    let old = bench.now;
    bench.router.handle_claim(old);
    bench.run(SECOND);
    assert_eq!(noticed(&bench.drain()), []);
    bench.router.handle_claim(bench.now);
    assert_eq!(noticed(&bench.drain()), [Notice::Claimed], "but not after an interval");
}

#[test]
fn a_vip_that_was_put_back_is_announced_without_leaving_active() {
    let mut bench = Bench::active(config(Version::V3));
    bench.run(ms(10_000));
    let left = bench.left();
    bench.router.handle_lost_vip(bench.now);
    let outputs = bench.drain();
    assert_eq!((announced(&outputs), noticed(&outputs)), (2, vec![Notice::VipLost]));
    assert_eq!((bench.is(), bench.left()), ((State::Active, true), left));
}

#[test]
fn when_another_resigns_the_active_one_announces_again() {
    let mut bench = Bench::active(config(Version::V3));
    bench.run(ms(10_000));
    let outputs = bench.hear(LOW, 0);
    assert_eq!((sent(&outputs), announced(&outputs)), (vec![100], 2));
}

#[test]
fn when_a_connection_is_back_the_active_one_announces_again() {
    let mut bench = Bench::active(config(Version::V3));
    bench.run(ms(10_000));
    for (news, times) in [
        (PeerNews::Present { state: State::Backup, priority: 50 }, 2),
        (PeerNews::Present { state: State::Backup, priority: 60 }, 0),
        (PeerNews::Unknown, 0),
        (PeerNews::Present { state: State::Initialize, priority: 50 }, 2),
        (PeerNews::Gone, 0),
        (PeerNews::Present { state: State::Backup, priority: 50 }, 2),
    ] {
        bench.run(ms(10_000));
        assert_eq!(announced(&bench.tell(LOW, news)), times, "{news:?}");
    }
}

#[test]
fn a_backup_announces_nothing() {
    let mut bench = Bench::new(config(Version::V3));
    bench.router.handle_claim(bench.now);
    bench.router.handle_use(bench.now);
    bench.router.handle_lost_vip(bench.now);
    assert_eq!(bench.drain(), []);
    assert_eq!(bench.left(), DEAD);
}

#[test]
fn another_director_that_says_it_is_active_too_is_told_of() {
    let mut bench = Bench::active(config(Version::V3));
    bench.present(HIGH, State::Backup, 150);
    let outputs = bench.present(HIGH, State::Active, 150);
    assert_eq!(outputs, [Output::Noticed(Notice::AlsoActive { peer: ip(HIGH) })]);
}
