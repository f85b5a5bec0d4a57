//! Which advertisements are heeded, and that the others change nothing.

use super::*;

/// The router's own verdict on an advertisement of the peer above, changed by `change`.
fn verdict(
    config: RouterConfig,
    from: &str,
    change: impl FnOnce(&mut Advert),
) -> Result<Vec<Note>, Discard> {
    let mut advert = Bench::new(config.clone()).advert(150);
    change(&mut advert);
    accepts(&config, ip(from), &advert)
}

#[test]
fn an_advertisement_of_a_peer_is_accepted() {
    for version in BOTH {
        assert_eq!(verdict(config(version), HIGH, |_| {}), Ok(vec![]));
    }
}

#[test]
fn one_for_another_virtual_router_is_discarded() {
    let unknown = Discard::UnknownRouter { vrid: 52, family: Family::Ipv4 };
    assert_eq!(verdict(config(Version::V3), HIGH, |a| a.vrid = 52), Err(unknown));
}

#[test]
fn one_of_another_version_is_discarded_and_noticed() {
    let (theirs, ours) = (Version::V2, Version::V3);
    let differs = Discard::VersionDiffers { theirs, ours };
    let mut bench = Bench::new(config(ours));
    let mut advert = bench.advert(150);
    advert.version = theirs;
    let told = bench.router.handle_advert(ip(HIGH), &advert, bench.now);
    assert_eq!(told, Err(differs.clone()));
    let notice = Notice::Refused { from: ip(HIGH), why: differs };
    assert_eq!(bench.drain(), [Output::Noticed(notice)]);
}

#[test]
fn one_from_the_own_address_is_discarded() {
    for transport in [Transport::Unicast, Transport::Multicast] {
        let config = with(Version::V3, |c| c.transport = transport);
        assert_eq!(verdict(config, OWN, |_| {}), Err(Discard::OwnAddress { from: ip(OWN) }));
    }
}

#[test]
fn one_from_a_stranger_is_discarded_on_unicast_and_heard_on_multicast() {
    let stranger = "192.0.2.99";
    let told = verdict(config(Version::V3), stranger, |_| {});
    assert_eq!(told, Err(Discard::Stranger { from: ip(stranger) }));
    let config = with(Version::V3, |c| c.transport = Transport::Multicast);
    assert_eq!(verdict(config, stranger, |_| {}), Ok(vec![]));
}

#[test]
fn over_ipv6_a_peer_may_speak_from_its_link_local_address() {
    let six = |c: &mut RouterConfig| {
        c.family = Family::Ipv6;
        c.source = ip("fe80::1");
        c.peers[0].address = ip("2001:db8::2");
        c.vips[0].address = "2001:db8::100/64".parse().expect("a prefix");
    };
    for from in ["fe80::2", "2001:db8::2"] {
        assert_eq!(verdict(with(Version::V3, six), from, |_| {}), Ok(vec![]), "{from}");
    }
    let other = verdict(with(Version::V3, six), "2001:db8::3", |_| {});
    assert_eq!(other, Err(Discard::Stranger { from: ip("2001:db8::3") }));
}

#[test]
fn a_v2_router_with_a_password_hears_nobody_without_it() {
    let secret = |c: &mut RouterConfig| c.password = Some(*b"abcdefgh");
    let config = with(Version::V2, secret);
    assert_eq!(verdict(config.clone(), HIGH, |_| {}), Ok(vec![]));
    for (auth, why) in [
        (Auth::None, Discard::NoPassword),
        (Auth::Pass(*b"abcdefgi"), Discard::WrongPassword),
        (Auth::Other(2), Discard::AuthType { kind: 2 }),
    ] {
        assert_eq!(verdict(config.clone(), HIGH, |a| a.auth = auth), Err(why));
    }
}

#[test]
fn a_v2_router_without_a_password_hears_nobody_with_one() {
    let told = verdict(config(Version::V2), HIGH, |a| a.auth = Auth::Pass([0; 8]));
    assert_eq!(told, Err(Discard::UnwantedPassword));
}

#[test]
fn a_password_means_nothing_in_v3() {
    let config = with(Version::V3, |c| c.password = Some(*b"abcdefgh"));
    assert_eq!(verdict(config, HIGH, |_| {}), Ok(vec![]));
}

#[test]
fn another_interval_is_discarded_in_v2_and_learned_in_v3() {
    for version in BOTH {
        let (theirs, ours) = (interval(version, SECOND * 2), Interval::DEFAULT);
        let expected = match version {
            Version::V2 => Err(Discard::IntervalDiffers { theirs, ours }),
            Version::V3 => Ok(vec![Note::IntervalDiffers { theirs, ours }]),
        };
        assert_eq!(verdict(config(version), HIGH, |a| a.interval = theirs), expected);
    }
}

#[test]
fn other_addresses_are_noted_and_split_nothing() {
    for version in BOTH {
        let more = |a: &mut Advert| a.addresses.push(ip("192.0.2.101"));
        let (only_there, only_here) = (vec![ip("192.0.2.101")], vec![]);
        let note = Note::AddressesDiffer { only_there, only_here };
        assert_eq!(verdict(config(version), HIGH, more), Ok(vec![note]));
        let (only_there, only_here) = (vec![ip("192.0.2.9")], vec![ip(VIP)]);
        let note = Note::AddressesDiffer { only_there, only_here };
        let told = verdict(config(version), HIGH, |a| a.addresses = vec![ip("192.0.2.9")]);
        assert_eq!(told, Ok(vec![note]));
    }
}

#[test]
fn the_order_of_the_addresses_says_nothing() {
    let two = with(Version::V3, |c| c.vips.push(vip("192.0.2.101")));
    assert_eq!(verdict(two, HIGH, |a| a.addresses.reverse()), Ok(vec![]));
}

#[test]
fn junk_starts_no_timer_anew() {
    let junk: [fn(&mut Advert); 3] =
        [|a| a.vrid = 9, |a| a.version = Version::V2, |a| a.addresses.clear()];
    let mut active = Bench::active(config(Version::V3));
    let mut backup = Bench::new(config(Version::V3));
    for spoil in &junk[..2] {
        let mut advert = active.advert(250);
        spoil(&mut advert);
        let mut adverts = 0;
        // Ten times in each interval: keepalived says nothing any more under this.
        for _ in 0..100 {
            assert!(active.router.handle_advert(ip(HIGH), &advert, active.now).is_err());
            adverts += sent(&active.run(ms(100))).len();
        }
        assert_eq!(adverts, 10);
        assert!(backup.router.handle_advert(ip(HIGH), &advert, backup.now).is_err());
        assert_eq!(backup.left(), DEAD);
    }
}

#[test]
fn the_same_oddity_is_told_once() {
    let mut bench = Bench::new(config(Version::V3));
    let mut advert = bench.advert(150);
    advert.addresses.push(ip("192.0.2.101"));
    let mut told = noticed(&bench.hear_this(HIGH, &advert));
    for _ in 0..100 {
        bench.run(SECOND);
        told.extend(noticed(&bench.hear_this(HIGH, &advert)));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    // Right for a while, and then again.
    for _ in 0..60 {
        bench.run(SECOND);
        bench.hear(HIGH, 150);
    }
    assert_eq!(noticed(&bench.hear_this(HIGH, &advert)).len(), 1);
}
