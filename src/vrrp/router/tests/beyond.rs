//! What a Backup knows beyond the RFCs: its rank, and what the directors tell each other.

use super::*;

/// The two peers with these priorities.
fn peers(low: u8, high: u8) -> RouterConfig {
    with(Version::V3, |c| {
        c.peers[0].priority = priority(low);
        c.peers[1].priority = priority(high);
    })
}

#[test]
fn the_best_ranked_backup_takes_over_at_once_when_the_active_one_resigns() {
    for version in BOTH {
        let mut bench = Bench::new(config(version));
        bench.hear(HIGH, 150);
        let outputs = bench.hear(HIGH, 0);
        assert_eq!(entered(&outputs), [(State::Active, Why::Resigned { by: ip(HIGH) })]);
        assert_eq!(sent(&outputs), [100]);
    }
}

#[test]
fn of_equal_rank_the_larger_address_takes_over_at_once() {
    for (resigns, is_first) in [(HIGH, true), (LOW, false)] {
        let mut bench = Bench::new(peers(100, 100));
        bench.hear(resigns, 150);
        bench.hear(resigns, 0);
        assert_eq!(bench.router.holds(), is_first, "{resigns} resigns");
    }
}

#[test]
fn who_resigned_or_is_gone_or_at_fault_is_no_rival() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(LOW, 120);
    bench.gone(HIGH);
    bench.hear(LOW, 0);
    assert!(bench.router.holds());
    for news in [
        PeerNews::Resigned,
        PeerNews::Present { state: State::Fault, priority: 150 },
        PeerNews::Present { state: State::Backup, priority: 99 },
    ] {
        let mut bench = Bench::new(config(Version::V3));
        bench.hear(LOW, 120);
        bench.tell(HIGH, news);
        bench.hear(LOW, 0);
        assert!(bench.router.holds(), "{news:?}");
    }
    for news in [
        PeerNews::Unknown,
        PeerNews::Gone,
        PeerNews::Restarting(SECOND),
        PeerNews::Present { state: State::Backup, priority: 101 },
        PeerNews::Present { state: State::Initialize, priority: 101 },
    ] {
        let mut bench = Bench::new(config(Version::V3));
        bench.hear(LOW, 120);
        bench.tell(HIGH, news);
        bench.hear(LOW, 0);
        assert_eq!((bench.router.holds(), bench.left()), (false, SKEW), "{news:?}");
    }
}

#[test]
fn the_own_rank_is_that_after_tracking() {
    let mut bench = Bench::new(config(Version::V3));
    bench.adjust(-60);
    bench.hear(HIGH, 150);
    bench.hear(HIGH, 0);
    assert!(!bench.router.holds(), "the other one has 50, and this one 40");
}

#[test]
fn who_resigns_without_having_been_active_hands_nothing_over() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(HIGH, 150);
    bench.hear(LOW, 0);
    // Long enough to hear the Active one once more.
    assert_eq!((bench.is(), bench.left()), ((State::Backup, false), SECOND + SKEW));
    bench.hear(HIGH, 150);
    assert_eq!(bench.left(), DEAD);
}

#[test]
fn a_resignation_that_the_successor_overtook_makes_nobody_take_over() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(LOW, 200);
    bench.hear(HIGH, 250);
    bench.hear(LOW, 0);
    for _ in 0..5 {
        assert_eq!(entered(&bench.run(SECOND)), []);
        bench.hear(HIGH, 250);
    }
}

#[test]
fn of_two_that_are_active_the_better_one_is_followed() {
    for (preempt, low) in [(Preempt::Now, 50), (Preempt::Now, 120), (Preempt::Never, 50)] {
        let mut bench = Bench::new(with(Version::V3, |c| c.preempt = preempt));
        bench.hear(HIGH, 150);
        bench.run(ms(500));
        let mut hasty = bench.advert(low);
        hasty.interval = interval(Version::V3, ms(10));
        bench.hear_this(LOW, &hasty);
        assert_eq!(bench.router.active(), Some(ip(HIGH)));
        assert_eq!(bench.left(), DEAD - ms(500), "and it hastens nothing");
        bench.hear(LOW, 0);
        assert_eq!(bench.router.state(), State::Backup, "nor does its resignation");
    }
}

#[test]
fn a_successor_that_was_heard_before_the_resignation_is_followed() {
    for (preempt, low, left) in [
        (Preempt::Now, 120, SECOND + SKEW),
        (Preempt::Never, 50, SECOND + SKEW),
        // It will be preempted anyway.
        (Preempt::Now, 50, SECOND),
    ] {
        let mut bench = Bench::new(with(Version::V3, |c| c.preempt = preempt));
        bench.hear(HIGH, 255);
        bench.hear(LOW, low);
        bench.hear(HIGH, 0);
        assert_eq!(bench.left(), left, "{preempt:?} {low}");
        let is_active = left == SECOND;
        assert_eq!(bench.router.holds(), is_active);
    }
}

#[test]
fn beside_a_better_one_that_dies_the_other_one_is_still_heard() {
    let mut bench = Bench::new(with(Version::V3, |c| c.preempt = Preempt::Never));
    bench.hear(HIGH, 150);
    for _ in 0..10 {
        assert_eq!(entered(&bench.run(SECOND)), []);
        bench.hear(LOW, 50);
    }
    assert_eq!(bench.router.active(), Some(ip(LOW)));
}

#[test]
fn resigning_again_and_again_puts_nothing_off() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(LOW, 120);
    for _ in 0..6 {
        bench.hear(LOW, 0);
        bench.run(ms(100));
    }
    assert_eq!(bench.left(), SKEW - ms(600));
}

#[test]
fn when_the_active_ones_process_has_ended_the_best_ranked_takes_over_at_once() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(HIGH, 150);
    let outputs = bench.gone(HIGH);
    assert_eq!(entered(&outputs), [(State::Active, Why::Gone { peer: ip(HIGH) })]);
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(LOW, 120);
    bench.gone(LOW);
    assert_eq!((bench.is(), bench.left()), ((State::Backup, false), SKEW));
}

#[test]
fn when_another_than_the_active_one_is_gone_nothing_moves() {
    for news in [PeerNews::Gone, PeerNews::Resigned, PeerNews::Unknown] {
        let mut bench = Bench::new(config(Version::V3));
        bench.hear(HIGH, 150);
        assert_eq!(bench.tell(LOW, news), []);
        assert_eq!((bench.is(), bench.left()), ((State::Backup, false), DEAD));
    }
}

/// It may be keepalived that is Active there: nobody takes connections from converge either.
#[test]
fn who_was_never_there_is_not_gone() {
    for again in [PeerNews::Unknown, PeerNews::Gone] {
        let mut bench = Bench::new(config(Version::V3));
        bench.tell(HIGH, PeerNews::Gone);
        bench.hear(HIGH, 150);
        bench.tell(HIGH, again);
        assert_eq!(bench.tell(HIGH, PeerNews::Gone), []);
        assert_eq!((bench.is(), bench.left()), ((State::Backup, false), DEAD));
    }
}

#[test]
fn who_advertises_itself_after_converge_is_gone_is_another_program() {
    let mut bench = Bench::new(config(Version::V3));
    bench.gone(HIGH);
    bench.hear(HIGH, 150);
    bench.tell(HIGH, PeerNews::Unknown);
    assert_eq!(bench.tell(HIGH, PeerNews::Gone), []);
    assert_eq!((bench.is(), bench.left()), ((State::Backup, false), DEAD));
    bench.present(HIGH, State::Active, 150);
    bench.tell(HIGH, PeerNews::Unknown);
    bench.tell(HIGH, PeerNews::Gone);
    assert_eq!(bench.is(), (State::Active, true), "converge was there again");
}

#[test]
fn silence_of_the_connection_says_nothing() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(HIGH, 150);
    assert_eq!(bench.tell(HIGH, PeerNews::Unknown), []);
    assert_eq!(bench.left(), DEAD);
}

#[test]
fn old_news_of_an_active_one_does_not_depose_it() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(HIGH, 150);
    // Said before it became Active, and slower than its advertisement.
    assert_eq!(bench.present(HIGH, State::Backup, 150), []);
    assert_eq!((bench.is(), bench.left()), ((State::Backup, false), DEAD));
}

#[test]
fn over_ipv6_the_active_one_is_known_by_what_it_says_of_itself() {
    let six = |c: &mut RouterConfig| {
        c.family = Family::Ipv6;
        c.source = ip("fe80::20");
        (c.peers[0].address, c.peers[1].address) = (ip("2001:db8::10"), ip("2001:db8::30"));
        c.vips[0].address = "2001:db8::100/64".parse().expect("a prefix");
    };
    let mut bench = Bench::new(with(Version::V3, six));
    // 160 by its tracking.
    bench.present("2001:db8::30", State::Active, 160);
    bench.present("2001:db8::10", State::Backup, 50);
    bench.hear("fe80::30", 160);
    assert_eq!(bench.tell("2001:db8::10", PeerNews::Gone), []);
    let mut other = bench.clone();
    bench.tell("2001:db8::30", PeerNews::Gone);
    assert_eq!(bench.is(), (State::Active, true));
    other.hear("fe80::30", 0);
    assert_eq!(other.is(), (State::Active, true));
    // Nothing was told, and the files have the priority.
    let mut bench = Bench::new(with(Version::V3, six));
    bench.hear("fe80::30", 150);
    bench.hear("fe80::30", 0);
    assert_eq!(bench.is(), (State::Active, true));
}

#[test]
fn over_ipv6_a_stranger_of_the_same_priority_is_not_the_peer_that_resigns() {
    let six = |c: &mut RouterConfig| {
        c.family = Family::Ipv6;
        c.source = ip("fe80::20");
        (c.peers[0].address, c.peers[1].address) = (ip("fe80::10"), ip("fe80::30"));
        c.vips[0].address = "fe80::100/64".parse().expect("a prefix");
        c.transport = Transport::Multicast;
    };
    let mut bench = Bench::new(with(Version::V3, six));
    bench.present("fe80::10", State::Backup, 50);
    bench.present("fe80::30", State::Active, 150);
    bench.hear("fe80::99", 150);
    assert_eq!(bench.tell("fe80::30", PeerNews::Resigned), []);
    assert_eq!((bench.is(), bench.left()), ((State::Backup, false), DEAD));
}

#[test]
fn at_the_start_nobody_is_waited_for_who_is_known_not_to_be_active() {
    let mut bench = Bench::new(config(Version::V3));
    assert_eq!(bench.gone(HIGH), []);
    let outputs = bench.present(LOW, State::Backup, 50);
    assert_eq!(entered(&outputs), [(State::Active, Why::FirstOfAll)]);
}

#[test]
fn at_the_start_who_was_never_there_gets_one_interval_to_speak() {
    let mut bench = Bench::new(config(Version::V3));
    bench.tell(HIGH, PeerNews::Gone);
    assert_eq!(bench.left(), DEAD);
    bench.gone(LOW);
    assert_eq!((bench.is(), bench.left()), ((State::Backup, false), SECOND + SKEW));
    bench.hear(HIGH, 150);
    assert_eq!(bench.left(), DEAD);
}

#[test]
fn at_the_start_the_better_ranked_goes_first() {
    let mut bench = Bench::new(config(Version::V3));
    bench.present(HIGH, State::Backup, 150);
    bench.present(LOW, State::Backup, 50);
    assert_eq!((bench.is(), bench.left()), ((State::Backup, false), DEAD));
    // It turns out to be at fault.
    bench.present(HIGH, State::Fault, 150);
    assert_eq!(bench.is(), (State::Active, true));
}

#[test]
fn at_the_start_an_unknown_director_is_waited_for() {
    for unknown in [PeerNews::Unknown, PeerNews::Restarting(SECOND)] {
        let mut bench = Bench::new(config(Version::V3));
        bench.present(LOW, State::Backup, 50);
        bench.tell(HIGH, unknown);
        assert_eq!((bench.is(), bench.left()), ((State::Backup, false), DEAD));
    }
}

#[test]
fn what_is_known_before_the_start_counts_at_the_start() {
    let mut bench = Bench::unstarted(config(Version::V3), Start::Fresh);
    for peer in [HIGH, LOW] {
        let there = PeerNews::Present { state: State::Backup, priority: 150 };
        bench.router.handle_peer(ip(peer), there, bench.now);
        bench.router.handle_peer(ip(peer), PeerNews::Gone, bench.now);
    }
    bench.timeout();
    assert_eq!(bench.is(), (State::Active, true));
}

#[test]
fn once_somebody_was_heard_the_start_is_over() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(HIGH, 150);
    bench.run(SECOND);
    bench.present(HIGH, State::Backup, 150);
    bench.present(HIGH, State::Fault, 150);
    bench.present(LOW, State::Backup, 50);
    assert_eq!(bench.left(), DEAD - SECOND);
}

#[test]
fn on_multicast_others_than_the_known_ones_get_one_interval_to_speak() {
    let mut bench = Bench::new(with(Version::V3, |c| c.transport = Transport::Multicast));
    bench.gone(HIGH);
    bench.gone(LOW);
    assert_eq!((bench.is(), bench.left()), ((State::Backup, false), SECOND + SKEW));
    bench.run(SECOND);
    // Saying it again puts nothing off.
    bench.tell(LOW, PeerNews::Gone);
    assert_eq!(bench.left(), SKEW);
    bench.hear("192.0.2.77", 200);
    assert_eq!(bench.left(), DEAD);
}

#[test]
fn a_host_without_peers_waits_for_nobody() {
    let mut bench = Bench::new(with(Version::V3, |c| c.peers.clear()));
    assert_eq!(bench.is(), (State::Active, true));
    bench.run(SECOND);
}

#[test]
fn the_delay_of_a_preemption_counts_from_the_first_lower_advertisement() {
    for version in BOTH {
        let patient = |c: &mut RouterConfig| c.preempt = Preempt::After(ms(30_000));
        let mut bench = Bench::new(with(version, patient));
        bench.gone(HIGH);
        let mut outputs = bench.hear(LOW, 50);
        for _ in 0..29 {
            outputs.extend(bench.run(SECOND));
            outputs.extend(bench.hear(LOW, 50));
        }
        assert_eq!(outputs, []);
        let outputs = bench.run(SECOND);
        assert_eq!(entered(&outputs), [(State::Active, Why::Preempted { from: ip(LOW) })]);
    }
}

#[test]
fn of_several_whose_delay_is_over_the_best_ranked_goes_first() {
    let patient = |c: &mut RouterConfig| c.preempt = Preempt::After(ms(2000));
    let mut bench = Bench::new(with(Version::V3, patient));
    bench.hear(LOW, 50);
    assert_eq!(bench.left(), ms(2000) + SKEW, "one of 150 is in the files");
}

#[test]
fn a_higher_advertisement_ends_the_delay_of_a_preemption() {
    let mut bench = Bench::new(with(Version::V3, |c| c.preempt = Preempt::After(ms(3000))));
    bench.gone(HIGH);
    for (value, span) in [(50, 2000), (150, 2000), (50, 2999)] {
        bench.hear(LOW, value);
        bench.run(ms(span));
        assert_eq!(bench.router.state(), State::Backup);
    }
    bench.run(ms(1));
    assert_eq!(bench.router.state(), State::Active);
}

#[test]
fn a_lower_one_that_dies_during_the_delay_is_not_waited_for() {
    let mut bench = Bench::new(with(Version::V3, |c| c.preempt = Preempt::After(ms(30_000))));
    bench.hear(LOW, 50);
    let outputs = bench.run(DEAD);
    assert_eq!(entered(&outputs), [(State::Active, Why::Silence { after: DEAD })]);
}

#[test]
fn a_backup_waits_for_an_active_one_that_restarts() {
    let fast = with(Version::V3, |c| c.interval = interval(Version::V3, ms(10)));
    let mut bench = Bench::new(fast);
    bench.hear(HIGH, 150);
    bench.tell(HIGH, PeerNews::Restarting(RESTART));
    assert_eq!(bench.tell(HIGH, PeerNews::Gone), [], "of course it is refused");
    assert_eq!((bench.is(), bench.left()), ((State::Backup, false), RESTART));
    bench.run(SECOND);
    // It is back.
    bench.hear(HIGH, 150);
    bench.present(HIGH, State::Active, 150);
    assert!(bench.left() < ms(40));
    bench.tell(HIGH, PeerNews::Gone);
    assert_eq!(bench.is(), (State::Active, true), "the patience is over");
}

#[test]
fn an_active_one_that_does_not_come_back_is_succeeded() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(HIGH, 150);
    bench.tell(HIGH, PeerNews::Restarting(ms(5000)));
    bench.tell(HIGH, PeerNews::Gone);
    let outputs = bench.run(ms(5000));
    assert_eq!(entered(&outputs), [(State::Active, Why::Silence { after: ms(5000) })]);
}

#[test]
fn a_host_that_is_no_peer_has_no_news() {
    let mut bench = Bench::new(config(Version::V3));
    bench.hear(HIGH, 150);
    assert_eq!(bench.tell("192.0.2.99", PeerNews::Gone), []);
    assert_eq!(bench.left(), DEAD);
}
