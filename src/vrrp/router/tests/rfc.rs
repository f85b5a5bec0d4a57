//! Every sentence of the state tables: RFC 9568 6.4 and RFC 3768 6.4, and where they differ.

use super::*;

// 6.4.1 Initialize

#[test]
fn the_owner_of_the_addresses_is_active_from_the_start() {
    for version in BOTH {
        let mut bench = Bench::unstarted(with(version, |c| c.priority = OWNER), Start::Fresh);
        assert_eq!(bench.is(), (State::Initialize, false));
        let outputs = bench.timeout();
        let change =
            Output::Changed { from: State::Initialize, to: State::Active, why: Why::Owner };
        let advert = Output::Send(bench.advert(255));
        // It sends first, then the VIPs are added, then announced.
        assert_eq!(outputs, [advert, change, Output::Announce, Output::Announce]);
        assert_eq!(bench.is(), (State::Active, true));
        assert_eq!(bench.left(), SECOND, "Adver_Timer is Advertisement_Interval");
    }
}

#[test]
fn any_other_router_begins_as_backup_and_waits_active_down_interval() {
    for version in BOTH {
        let mut bench = Bench::unstarted(config(version), Start::Fresh);
        let outputs = bench.timeout();
        let (from, to, why) = (State::Initialize, State::Backup, Why::Started);
        assert_eq!(outputs, [Output::Changed { from, to, why }]);
        assert_eq!(bench.is(), (State::Backup, false));
        assert_eq!(bench.left(), DEAD);
    }
}

#[test]
fn nothing_is_said_or_heard_before_the_start_delay_is_over() {
    let delayed = with(Version::V3, |c| c.start_delay = ms(30_000));
    let mut bench = Bench::unstarted(delayed, Start::Fresh);
    assert!(bench.hear(HIGH, 150).is_empty());
    assert!(bench.hear(HIGH, 0).is_empty());
    assert!(bench.run(ms(29_999)).is_empty());
    assert_eq!(bench.router.state(), State::Initialize);
    assert_eq!(entered(&bench.run(ms(1))), [(State::Backup, Why::Started)]);
    assert_eq!(bench.left(), DEAD);
}

// 6.4.2 Backup

#[test]
fn a_backup_that_is_shut_down_is_initialize_and_has_no_timer() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(HIGH, 150);
    bench.router.handle_release(bench.now);
    let outputs = bench.drain();
    assert_eq!(sent(&outputs), SILENT, "only an Active router resigns");
    assert_eq!(entered(&outputs), [(State::Initialize, Why::Released)]);
    assert_eq!(outputs.last(), Some(&Output::Done));
    assert_eq!(bench.router.poll_timeout(), None);
}

#[test]
fn a_backup_that_hears_nobody_for_active_down_interval_is_active() {
    for version in BOTH {
        let mut bench = Bench::new(config(version));
        assert!(bench.run(DEAD - Duration::from_nanos(1)).is_empty());
        let outputs = bench.run(Duration::from_nanos(1));
        let why = Why::Silence { after: DEAD };
        let change = Output::Changed { from: State::Backup, to: State::Active, why };
        let advert = Output::Send(bench.advert(100));
        assert_eq!(outputs, [advert, change, Output::Announce, Output::Announce]);
        assert_eq!(bench.is(), (State::Active, true));
        assert_eq!(bench.left(), SECOND, "Adver_Timer is Advertisement_Interval");
    }
}

#[test]
fn a_backup_that_hears_priority_zero_waits_skew_time() {
    for version in BOTH {
        let mut bench = Bench::new(config(version));
        bench.hear(LOW, 120);
        bench.run(ms(100));
        // A third director ranks higher, so this one does not take over at once.
        assert!(bench.hear(LOW, 0).is_empty());
        assert_eq!(bench.left(), SKEW);
        let outputs = bench.run(SKEW);
        assert_eq!(entered(&outputs), [(State::Active, Why::Silence { after: SKEW })]);
    }
}

#[test]
fn skew_time_of_v3_is_that_of_the_learned_interval() {
    let mut bench = Bench::new(config(Version::V3));
    let mut advert = bench.advert(120);
    advert.interval = interval(Version::V3, ms(100));
    bench.hear_this(LOW, &advert);
    bench.hear(LOW, 0);
    assert_eq!(bench.left(), SKEW / 10);
}

#[test]
fn a_backup_that_hears_an_equal_or_higher_priority_waits_active_down_interval_anew() {
    for version in BOTH {
        for heard in [100, 101, 254, 255] {
            let mut bench = Bench::new(config(version));
            bench.run(ms(3000));
            assert_eq!(sent(&bench.hear(HIGH, heard)), SILENT);
            assert_eq!(bench.left(), DEAD, "priority {heard}");
            assert_eq!(bench.router.active(), Some(ip(HIGH)));
        }
    }
}

#[test]
fn a_backup_that_does_not_preempt_waits_for_any_priority() {
    for version in BOTH {
        let mut bench = Bench::new(with(version, |c| c.preempt = Preempt::Never));
        for _ in 0..10 {
            bench.run(ms(3000));
            assert!(bench.hear(LOW, 1).is_empty());
            assert_eq!(bench.left(), DEAD);
        }
        assert_eq!(bench.is(), (State::Backup, false));
    }
}

#[test]
fn a_backup_that_preempts_discards_a_lower_priority_and_takes_over_when_its_timer_fires() {
    for version in BOTH {
        let mut bench = Bench::new(config(version));
        bench.hear(HIGH, 150);
        let mut outputs = Vec::new();
        for _ in 0..3 {
            outputs.extend(bench.run(SECOND));
            outputs.extend(bench.hear(LOW, 99));
        }
        assert!(outputs.is_empty(), "{outputs:?}");
        assert_eq!(bench.left(), DEAD - SECOND * 3);
        let outputs = bench.run(bench.left());
        assert_eq!(entered(&outputs), [(State::Active, Why::Silence { after: DEAD })]);
    }
}

#[test]
fn the_owner_preempts_whatever_it_is_told() {
    let stubborn = |c: &mut RouterConfig| {
        (c.priority, c.preempt) = (OWNER, Preempt::Never);
    };
    let mut bench = Bench::new(with(Version::V3, stubborn));
    bench.hear(HIGH, 255);
    assert_eq!(bench.router.state(), State::Backup, "the larger address owns them, too");
    bench.run(SECOND);
    bench.hear(LOW, 254);
    assert_eq!(bench.left(), SECOND * 2 + OWNER_SKEW, "discarded");
}

#[test]
fn a_v3_backup_learns_the_interval_of_the_active_one() {
    let mut bench = Bench::new(config(Version::V3));
    for every in [ms(4000), ms(100), ms(40_950), ms(10)] {
        let mut advert = bench.advert(150);
        advert.interval = interval(Version::V3, every);
        bench.hear_this(HIGH, &advert);
        // Skew_Time is recomputed, too.
        assert_eq!(bench.left(), every * 3 + every * 156 / 256);
    }
    let outputs = bench.run(bench.left());
    assert_eq!(sent(&outputs), [100]);
    assert_eq!(bench.left(), SECOND, "its own interval is for its own advertisements");
}

#[test]
fn a_v3_backup_does_not_learn_from_what_it_discards() {
    let mut bench = Bench::new(config(Version::V3));
    let mut advert = bench.advert(50);
    advert.interval = interval(Version::V3, ms(10));
    bench.hear_this(LOW, &advert);
    assert_eq!(bench.left(), DEAD);
    bench.present(HIGH, State::Backup, 150);
    bench.hear(LOW, 0);
    assert_eq!(bench.left(), SKEW);
}

// 6.4.3 Active

#[test]
fn an_active_router_advertises_at_its_interval() {
    for version in BOTH {
        let mut bench = Bench::active(config(version));
        assert_eq!(sent(&bench.run(SECOND * 10)), [100; 10]);
        assert_eq!(bench.left(), SECOND);
    }
}

#[test]
fn an_advertisement_says_what_the_router_is_told() {
    let secret = |c: &mut RouterConfig| {
        c.password = Some(*b"abcdefgh");
        c.vips.push(vip("192.0.2.101"));
        let six = Vip { address: "2001:db8::100/64".parse().expect("a prefix"), ..vip(VIP) };
        c.vips.push(six);
    };
    for (version, auth) in [(Version::V2, Auth::Pass(*b"abcdefgh")), (Version::V3, Auth::None)] {
        let mut bench = Bench::new(with(version, secret));
        let outputs = bench.run(DEAD);
        let addresses = vec![ip(VIP), ip("192.0.2.101")];
        let (vrid, priority, interval) = (51, 100, Interval::DEFAULT);
        let advert = Advert { version, vrid, priority, interval, addresses, auth };
        assert_eq!(outputs.first(), Some(&Output::Send(advert)));
    }
}

#[test]
fn an_active_router_that_is_shut_down_resigns() {
    for version in BOTH {
        let mut bench = Bench::active(config(version));
        bench.router.handle_release(bench.now);
        let outputs = bench.drain();
        assert_eq!(outputs.first(), Some(&Output::Send(bench.advert(0))));
        assert_eq!(entered(&outputs), [(State::Initialize, Why::Released)]);
    }
}

#[test]
fn an_active_router_that_hears_priority_zero_advertises_at_once_and_starts_its_timer_anew() {
    for version in BOTH {
        let mut bench = Bench::active(config(version));
        bench.run(ms(10_300));
        assert_eq!(sent(&bench.hear(LOW, 0)), [100]);
        assert_eq!(bench.left(), SECOND);
        assert_eq!(bench.is(), (State::Active, true));
    }
}

#[test]
fn an_active_router_yields_to_a_higher_priority() {
    for version in BOTH {
        let mut bench = Bench::active(config(version));
        let outputs = bench.hear(LOW, 101);
        let why = Why::Yielded { to: ip(LOW), priority: 101 };
        assert_eq!(entered(&outputs), [(State::Backup, why)]);
        assert_eq!(bench.is(), (State::Backup, false));
        assert_eq!(bench.left(), DEAD, "Adver_Timer is cancelled");
        assert_eq!(bench.router.active(), Some(ip(LOW)));
    }
}

#[test]
fn an_active_router_that_yields_learns_the_interval_in_v3() {
    let mut bench = Bench::active(config(Version::V3));
    let mut advert = bench.advert(150);
    advert.interval = interval(Version::V3, ms(2000));
    bench.hear_this(HIGH, &advert);
    assert_eq!(bench.left(), DEAD * 2);
}

#[test]
fn of_two_active_routers_of_equal_priority_the_larger_address_stays() {
    for version in BOTH {
        let mut bench = Bench::active(config(version));
        let outputs = bench.hear(LOW, 100);
        assert_eq!(bench.is(), (State::Active, true));
        let equal = Notice::EqualPriority { from: ip(LOW), priority: 100 };
        assert!(noticed(&outputs).contains(&equal));
        bench.hear(HIGH, 100);
        assert_eq!(bench.is(), (State::Backup, false));
    }
}

#[test]
fn addresses_are_compared_as_unsigned_numbers_in_network_order() {
    // 192.0.2.20 against one whose bytes are larger in the order of small machines.
    for (from, stays) in [("10.255.255.255", true), ("200.0.0.1", false), ("192.0.2.21", false)] {
        let mut bench = Bench::active(with(Version::V3, |c| c.transport = Transport::Multicast));
        bench.hear(from, 100);
        assert_eq!(bench.router.holds(), stays, "{from}");
    }
}

#[test]
fn an_active_router_answers_a_lower_priority_at_once() {
    for version in BOTH {
        let mut bench = Bench::active(config(version));
        bench.run(ms(300));
        assert_eq!(sent(&bench.hear(LOW, 99)), [100]);
        assert_eq!(bench.left(), ms(700), "Adver_Timer goes on");
        assert_eq!(bench.is(), (State::Active, true));
    }
}

#[test]
fn an_owner_that_hears_another_takes_part_in_the_election() {
    // Erratum 8298: as published, the owner would discard every advertisement.
    for version in BOTH {
        let mut bench = Bench::new(with(version, |c| c.priority = OWNER));
        let outputs = bench.hear(LOW, 255);
        assert_eq!(bench.is(), (State::Active, true));
        assert!(!noticed(&outputs).is_empty());
        bench.hear(HIGH, 255);
        assert_eq!(bench.is(), (State::Backup, false));
    }
}
