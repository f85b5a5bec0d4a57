//! Leaving Active: resigning at once, and keeping the VIPs until another host has them.

use super::*;

/// The longest skew time and the second that the other's advertisement may need.
const KEEP: Duration = Duration::from_secs(2);

fn released() -> Bench {
    let mut bench = Bench::active(config(Version::V3));
    bench.router.handle_release(bench.now);
    let outputs = bench.drain();
    assert_eq!(sent(&outputs), [0]);
    assert!(!outputs.contains(&Output::Done));
    assert_eq!(bench.is(), (State::Initialize, true));
    bench
}

fn failed() -> Bench {
    let mut bench = Bench::active(config(Version::V3));
    let outputs = bench.fault(&["nginx does not run"]);
    assert_eq!(sent(&outputs), [0]);
    assert_eq!(bench.is(), (State::Fault, true));
    bench
}

#[test]
fn a_released_router_keeps_the_vips_until_a_peer_has_announced_itself() {
    let tell: [fn(&mut Bench) -> Vec<Output>; 3] = [
        |b| b.hear(LOW, 50),
        |b| b.present(LOW, State::Active, 50),
        |b| {
            b.router.handle_claim(b.now);
            b.drain()
        },
    ];
    for announce in tell {
        let mut bench = released();
        bench.run(ms(500));
        assert_eq!(announce(&mut bench), [Output::Done]);
        assert_eq!(bench.is(), (State::Initialize, false));
        assert_eq!(bench.router.poll_timeout(), None);
    }
}

#[test]
fn a_released_router_resigns_once_more_and_drops_the_vips_after_a_bound() {
    let mut bench = released();
    let outputs = bench.run(KEEP - ms(1));
    assert_eq!(sent(&outputs), [0], "the first may have been lost");
    assert!(bench.router.holds());
    assert_eq!(bench.run(ms(1)), [Output::Done]);
    assert_eq!(bench.is(), (State::Initialize, false));
}

#[test]
fn without_anybody_who_could_take_over_the_bound_is_short() {
    let mut bench = Bench::active(config(Version::V3));
    bench.gone(LOW);
    bench.present(HIGH, State::Fault, 150);
    bench.router.handle_release(bench.now);
    bench.drain();
    assert_eq!(bench.run(ms(100)), [Output::Done]);
}

#[test]
fn a_released_router_does_nothing_any_more() {
    let mut bench = released();
    bench.run(KEEP);
    bench.router.handle_release(bench.now);
    bench.router.handle_restart(bench.now);
    assert_eq!(bench.fault(&["x"]), []);
    assert_eq!(bench.fault(&[]), []);
    assert_eq!(bench.hear(LOW, 50), []);
    assert_eq!(bench.hear(LOW, 0), []);
    assert_eq!(bench.tell(LOW, PeerNews::Gone), []);
    assert_eq!(bench.run(ms(100_000)), []);
    assert_eq!(bench.is(), (State::Initialize, false));
}

#[test]
fn a_resignation_heard_while_leaving_says_that_nobody_has_the_vips() {
    let mut bench = released();
    assert_eq!(bench.hear(LOW, 0), []);
    assert!(bench.router.holds());
}

#[test]
fn a_router_that_only_leaves_resigns_and_never_advertises_itself() {
    let mut bench = Bench::unstarted(config(Version::V3), Start::Leaving);
    assert_eq!(bench.is(), (State::Initialize, true));
    assert_eq!(sent(&bench.timeout()), [0]);
    let outputs = bench.run(KEEP);
    assert_eq!(sent(&outputs), [0]);
    assert_eq!(outputs.last(), Some(&Output::Done));
    assert_eq!(bench.is(), (State::Initialize, false));
}

#[test]
fn a_fault_makes_an_active_router_resign_and_keep_the_vips_for_the_next() {
    let mut bench = failed();
    bench.run(ms(300));
    assert_eq!(bench.hear(LOW, 50), []);
    assert_eq!(bench.is(), (State::Fault, false));
    assert_eq!(bench.router.active(), Some(ip(LOW)));
    assert_eq!(bench.router.poll_timeout(), None);
}

#[test]
fn with_a_fault_the_vips_go_after_a_bound() {
    let mut bench = failed();
    bench.run(KEEP);
    assert_eq!(bench.is(), (State::Fault, false));
}

#[test]
fn when_the_link_is_lost_the_vips_go_at_once() {
    let mut bench = Bench::active(config(Version::V3));
    let faults = BTreeSet::from(["eth0 has no carrier".to_owned()]);
    let lost = Condition { faults, unreachable: true, adjust: 0 };
    bench.router.handle_condition(lost.clone(), bench.now);
    assert_eq!(sent(&bench.drain()), SILENT, "nobody would hear it");
    assert_eq!(bench.is(), (State::Fault, false));
    let mut bench = failed();
    bench.router.handle_condition(lost, bench.now);
    assert_eq!(bench.is(), (State::Fault, false));
}

#[test]
fn a_backup_at_fault_says_nothing() {
    let mut bench = Bench::new(config(Version::V3));
    let outputs = bench.fault(&["b", "a"]);
    let why = Why::Faults(["a", "b"].map(str::to_owned).into());
    assert_eq!(outputs, [Output::Changed { from: State::Backup, to: State::Fault, why }]);
    assert_eq!(bench.run(ms(100_000)), []);
}

#[test]
fn while_any_fault_is_left_the_router_stays_at_fault() {
    let mut bench = Bench::new(config(Version::V3));
    bench.fault(&["a", "b"]);
    assert_eq!(bench.fault(&["b"]), []);
    let outputs = bench.fault(&[]);
    assert_eq!(entered(&outputs), [(State::Backup, Why::Recovered)]);
    assert_eq!(bench.left(), DEAD);
}

#[test]
fn the_same_condition_again_does_nothing() {
    for faults in [&[][..], &["a"][..]] {
        let mut bench = Bench::new(config(Version::V3));
        bench.fault(faults);
        bench.run(SECOND);
        let before = (bench.is(), bench.router.poll_timeout());
        assert_eq!(bench.fault(faults), []);
        assert_eq!((bench.is(), bench.router.poll_timeout()), before);
    }
}

#[test]
fn a_fault_at_the_start_is_known_before_anything_is_said() {
    let mut bench = Bench::unstarted(with(Version::V3, |c| c.priority = OWNER), Start::Fresh);
    let outputs = bench.fault(&["eth0 has no carrier"]);
    assert_eq!((sent(&outputs), bench.is()), (vec![], (State::Fault, false)));
}

#[test]
fn a_fault_that_is_over_before_anybody_took_over_listens_first() {
    let mut bench = failed();
    bench.run(ms(200));
    bench.fault(&[]);
    assert_eq!((bench.is(), bench.left()), ((State::Backup, true), SECOND + SKEW));
    let mut other = bench.clone();
    let outputs = bench.run(SECOND + SKEW);
    assert_eq!(entered(&outputs), [(State::Active, Why::StillFirst)]);
    other.hear(LOW, 50);
    assert_eq!((other.is(), other.left()), ((State::Backup, false), DEAD));
}

#[test]
fn a_longer_interval_that_was_heard_at_fault_is_not_taken_for_silence() {
    let mut bench = failed();
    let mut advert = bench.advert(150);
    advert.interval = interval(Version::V3, ms(10_000));
    bench.hear_this(HIGH, &advert);
    bench.fault(&[]);
    assert_eq!(bench.left(), DEAD * 10);
}

#[test]
fn a_weight_moves_the_priority_within_bounds_and_never_an_owner() {
    for (adjust, expected) in [(0, 100), (-60, 40), (-100, 1), (-1000, 1), (60, 160), (200, 254)] {
        let mut bench = Bench::new(config(Version::V3));
        bench.adjust(adjust);
        assert_eq!(bench.router.priority(), expected, "{adjust}");
    }
    let mut owner = Bench::new(with(Version::V3, |c| c.priority = OWNER));
    assert_eq!(owner.adjust(-100), []);
    assert_eq!(owner.router.priority(), 255);
}

#[test]
fn an_active_router_says_at_once_that_its_priority_is_another() {
    let mut bench = Bench::active(config(Version::V3));
    bench.run(ms(300));
    assert_eq!(sent(&bench.adjust(-60)), [40]);
    assert_eq!((bench.is(), bench.left()), ((State::Active, true), ms(700)));
}

#[test]
fn before_a_restart_the_others_are_asked_for_patience() {
    let fast = with(Version::V3, |c| c.interval = interval(Version::V3, ms(10)));
    let mut bench = Bench::active(fast.clone());
    bench.router.handle_restart(bench.now);
    let outputs = bench.drain();
    let [Output::Send(advert)] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(advert.interval.get() * 3 >= RESTART);
    assert_eq!(advert.priority, 100);
    assert_eq!(sent(&bench.run(RESTART - ms(1))), SILENT, "no shorter interval is taught");
    assert_eq!(bench.is(), (State::Active, true));
    // It did not happen.
    let outputs = bench.run(ms(1));
    assert_eq!(sent(&outputs), [100]);
    assert_eq!(bench.left(), ms(10));
}

#[test]
fn version_two_cannot_ask_for_patience() {
    let mut bench = Bench::active(config(Version::V2));
    bench.run(ms(300));
    bench.router.handle_restart(bench.now);
    let advert = bench.advert(100);
    assert_eq!(bench.drain(), [Output::Send(advert)]);
    assert_eq!(bench.left(), SECOND);
}

#[test]
fn who_resumes_is_active_at_once_and_has_the_vips_before() {
    let mut bench = Bench::unstarted(with(Version::V3, |c| c.start_delay = SECOND), Start::Resume);
    assert_eq!(bench.is(), (State::Initialize, true));
    let outputs = bench.timeout();
    assert_eq!(entered(&outputs), [(State::Active, Why::Resumed)]);
    assert_eq!(sent(&outputs), [100]);
}

#[test]
fn who_resumes_with_a_fault_hands_over() {
    let mut bench = Bench::unstarted(config(Version::V3), Start::Resume);
    assert_eq!(sent(&bench.fault(&["nginx does not run"])), [0]);
    assert_eq!(bench.is(), (State::Fault, true));
}
