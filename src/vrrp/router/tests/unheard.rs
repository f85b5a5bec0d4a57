//! Two that are Active because protocol 112 does not come through, while their connection lives.

use super::*;

const ACTIVE: PeerNews = PeerNews::Present { state: State::Active, priority: 150 };
const CLAIM: Duration = Duration::from_millis(1);

fn claim(bench: &mut Bench) {
    bench.now = bench.now + CLAIM;
    bench.router.handle_claim(bench.now);
    bench.drain();
}

/// Active by silence; the higher one is, too, and its announcement came.
fn deaf() -> Bench {
    let mut bench = Bench::active(config(Version::V3));
    claim(&mut bench);
    bench.tell(HIGH, ACTIVE);
    bench
}

/// The same, and it has yielded.
fn yielded() -> Bench {
    let mut bench = deaf();
    bench.run(SECOND);
    let outputs = bench.tell(HIGH, ACTIVE);
    let why = Why::Unheard { to: ip(HIGH), priority: 150 };
    assert_eq!(entered(&outputs), [(State::Backup, why)]);
    assert!(noticed(&outputs).contains(&Notice::Unheard { peer: ip(HIGH) }));
    assert_eq!(bench.is(), (State::Backup, false));
    bench
}

#[test]
fn who_is_told_again_of_a_better_active_one_yields_and_stays_so() {
    let mut bench = yielded();
    for _ in 0..60 {
        assert_eq!(entered(&bench.run(SECOND)), []);
        assert_eq!(noticed(&bench.tell(HIGH, ACTIVE)), [], "told once");
    }
    assert_eq!(bench.router.active(), Some(ip(HIGH)));
}

#[test]
fn one_word_is_not_enough_nor_are_two_of_one_moment() {
    let mut bench = deaf();
    bench.run(ms(100));
    bench.tell(HIGH, ACTIVE);
    assert_eq!(bench.is(), (State::Active, true));
}

#[test]
fn without_its_announcements_the_segment_may_be_parted_and_nobody_yields() {
    let mut bench = Bench::active(config(Version::V3));
    for _ in 0..10 {
        bench.tell(HIGH, ACTIVE);
        bench.run(SECOND);
    }
    assert_eq!(bench.is(), (State::Active, true));
}

#[test]
fn a_real_server_that_has_the_vip_too_proves_no_segment() {
    let mut bench = Bench::active(config(Version::V3));
    for _ in 0..10 {
        bench.router.handle_use(bench.now);
        bench.tell(HIGH, ACTIVE);
        bench.run(SECOND);
    }
    assert_eq!(bench.is(), (State::Active, true));
}

#[test]
fn the_better_one_stays_and_announces_for_the_other_to_know() {
    let mut bench = Bench::active(config(Version::V3));
    bench.present(LOW, State::Active, 50);
    bench.run(SECOND);
    // As soon as the rate allows.
    bench.present(LOW, State::Active, 50);
    assert!(announced(&bench.run(SECOND)) > 0);
    assert_eq!(bench.is(), (State::Active, true));
    bench.run(SECOND);
    let outputs = bench.present(LOW, State::Backup, 50);
    assert!(announced(&outputs) > 0, "its neighbours still send to it");
}

#[test]
fn who_says_no_more_that_it_is_active_is_waited_for_as_the_protocol_says() {
    let mut bench = yielded();
    assert_eq!(entered(&bench.run(DEAD - ms(1))), []);
    assert_eq!(bench.run(ms(2)).len(), 4, "advertised, changed and announced twice");
    for news in [PeerNews::Resigned, PeerNews::Gone] {
        let mut bench = yielded();
        bench.tell(HIGH, news);
        assert_eq!(bench.is(), (State::Active, true), "{news:?}");
    }
}

#[test]
fn a_restart_of_the_unheard_one_is_waited_for() {
    let mut bench = yielded();
    bench.tell(HIGH, PeerNews::Restarting(SECOND * 10));
    bench.tell(HIGH, PeerNews::Unknown);
    assert_eq!(entered(&bench.run(SECOND * 9)), []);
    bench.tell(HIGH, ACTIVE);
    assert_eq!(entered(&bench.run(SECOND * 3)), []);
}

#[test]
fn an_advertisement_ends_it_and_silence_counts_as_ever() {
    let mut bench = yielded();
    bench.hear(HIGH, 150);
    bench.run(DEAD - ms(500));
    bench.tell(HIGH, ACTIVE);
    bench.run(ms(600));
    assert_eq!(bench.is(), (State::Active, true), "what stalls is not Active for its connection");
}

#[test]
fn a_start_waits_for_a_second_word_and_for_nothing_else() {
    let start = || {
        let mut bench = Bench::new(config(Version::V3));
        claim(&mut bench);
        bench.tell(HIGH, ACTIVE);
        assert_eq!(entered(&bench.run(DEAD)), []);
        bench
    };
    let mut bench = start();
    for _ in 0..10 {
        bench.tell(HIGH, ACTIVE);
        assert_eq!(entered(&bench.run(SECOND)), []);
    }
    let mut bench = start();
    bench.run(ms(1500));
    assert_eq!(bench.is(), (State::Active, true));
}

#[test]
fn who_has_heard_it_once_is_not_held_back_by_its_connection() {
    let mut bench = Bench::new(config(Version::V3));
    claim(&mut bench);
    bench.hear(HIGH, 150);
    bench.run(DEAD - ms(1));
    bench.tell(HIGH, ACTIVE);
    bench.run(ms(2));
    assert_eq!(bench.is(), (State::Active, true));
}
