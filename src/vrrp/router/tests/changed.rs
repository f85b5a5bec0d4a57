//! A new configuration moves what changed and nothing else.

use super::*;

fn change(bench: &mut Bench, config: RouterConfig) -> Vec<Output> {
    bench.router.handle_config(config, bench.now);
    bench.drain()
}

/// Active in the middle of an interval, and past its second burst.
fn active() -> Bench {
    let mut bench = Bench::active(config(Version::V3));
    bench.run(ms(10_300));
    bench
}

#[test]
fn an_unchanged_configuration_moves_nothing() {
    let mut backup = Bench::new(config(Version::V3));
    backup.run(ms(300));
    for mut bench in [active(), backup] {
        let before = (bench.is(), bench.router.poll_timeout());
        assert_eq!(change(&mut bench, config(Version::V3)), []);
        assert_eq!((bench.is(), bench.router.poll_timeout()), before);
    }
}

#[test]
fn another_priority_is_said_at_once_and_leaves_the_timer() {
    let mut bench = active();
    let outputs = change(&mut bench, with(Version::V3, |c| c.priority = priority(120)));
    assert_eq!(sent(&outputs), [120]);
    assert_eq!((bench.is(), bench.left()), ((State::Active, true), ms(700)));
}

#[test]
fn another_interval_is_said_at_once_and_kept() {
    for every in [ms(100), ms(5000)] {
        let mut bench = active();
        let new = interval(Version::V3, every);
        let outputs = change(&mut bench, with(Version::V3, |c| c.interval = new));
        let [Output::Send(advert)] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!((advert.interval, bench.left()), (new, every));
    }
}

#[test]
fn another_vip_is_announced_without_leaving_active() {
    let mut bench = active();
    let two = with(Version::V3, |c| c.vips.push(vip("192.0.2.101")));
    let outputs = change(&mut bench, two);
    assert_eq!((sent(&outputs), announced(&outputs)), (vec![100], 2));
    assert_eq!(bench.is(), (State::Active, true));
    let outputs = change(&mut bench, config(Version::V3));
    assert_eq!((sent(&outputs), announced(&outputs)), (vec![100], 0));
}

#[test]
fn another_peer_is_spoken_to_at_once() {
    let mut bench = active();
    let peer = Peer { name: "new".to_owned(), address: ip("192.0.2.40"), priority: priority(9) };
    assert_eq!(sent(&change(&mut bench, with(Version::V3, |c| c.peers.push(peer)))), [100]);
    assert_eq!(change(&mut bench, with(Version::V3, |c| c.peers.clear())), []);
}

#[test]
fn a_backup_goes_by_the_new_settings_from_the_next_advertisement_on() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(HIGH, 150);
    bench.run(ms(300));
    let outputs = change(&mut bench, with(Version::V3, |c| c.priority = priority(200)));
    assert_eq!((outputs, bench.left()), (vec![], DEAD - ms(300)));
    bench.hear(HIGH, 150);
    assert_eq!(bench.left(), DEAD - ms(300), "it is the lower one now");
}

#[test]
fn a_backup_that_heard_nobody_waits_for_its_new_interval() {
    let mut bench = Bench::new(config(Version::V3));
    bench.run(ms(300));
    let slow = with(Version::V3, |c| c.interval = interval(Version::V3, ms(10_000)));
    assert_eq!(change(&mut bench, slow), []);
    assert_eq!(bench.left(), DEAD * 10);
}

#[test]
fn another_delay_of_preemption_counts_anew() {
    let after = |span| with(Version::V3, |c| c.preempt = Preempt::After(span));
    let mut bench = Bench::new(after(ms(2000)));
    bench.gone(HIGH);
    bench.hear(LOW, 50);
    change(&mut bench, after(ms(3000)));
    bench.run(ms(1000));
    bench.hear(LOW, 50);
    assert_eq!(bench.left(), ms(3000));
}

#[test]
fn a_shorter_refresh_begins_now() {
    let mut bench = active();
    let plan = Announcing { refresh: ms(500), ..config(Version::V3).announcing };
    assert_eq!(change(&mut bench, with(Version::V3, |c| c.announcing = plan)), []);
    assert_eq!(announced(&bench.run(ms(500))), 1);
}

#[test]
fn a_fault_or_a_release_is_not_undone() {
    let other = || with(Version::V3, |c| c.priority = priority(120));
    let mut bench = active();
    bench.fault(&["x"]);
    assert_eq!(change(&mut bench, other()), []);
    assert_eq!(bench.router.state(), State::Fault);
    bench.router.handle_release(bench.now);
    bench.drain();
    assert_eq!(change(&mut bench, other()), []);
    assert_eq!(bench.is(), (State::Initialize, true));
}

#[test]
fn identifier_family_version_and_interface_make_another_router() {
    let router = Bench::new(config(Version::V3)).router;
    let same = [
        with(Version::V3, |c| c.priority = priority(3)),
        with(Version::V3, |c| c.transport = Transport::Multicast),
    ];
    let other = [
        config(Version::V2),
        with(Version::V3, |c| c.vrid = priority(52)),
        with(Version::V3, |c| c.interface = "eth1".to_owned()),
        with(Version::V3, |c| c.family = Family::Ipv6),
    ];
    assert!(same.iter().all(|config| router.is_same_router(config)));
    assert!(!other.iter().any(|config| router.is_same_router(config)));
}
