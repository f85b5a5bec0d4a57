//! What the RFCs say of a packet that comes in and of one that goes out, each by its claim.
//!
//! The checks that need the configuration (identifier, owner, authentication method, addresses,
//! interval) are the router's; here it is held that it gets what it judges by.

use super::*;

const V2: &str = "21 33 96 01 00 01 3e19 0a4d0064 00000000 00000000";
const V3: &str = "31 33 96 01 0064 42d9 0a4d0064";

/// A packet with one byte replaced, and its checksum mended so that the byte is believed.
fn with(hex: &str, place: usize, byte: u8) -> Vec<u8> {
    let mut packet = bytes(hex);
    packet[place] = byte;
    mended(packet)
}

/// With the checksum over the message only, which is right for both versions.
fn mended(mut packet: Vec<u8>) -> Vec<u8> {
    packet[CHECKSUM].fill(0);
    let sum = Sum::default().add(&packet).checksum();
    packet[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn heard(packet: &[u8]) -> Result<Received, Discard> {
    parse(packet, &to_group(), &MULTICAST)
}

fn heard_advert(packet: &[u8]) -> Advert {
    heard(packet).expect("a good packet").advert
}

fn fe80() -> Envelope {
    envelope("fe80::ff:fe00:a", "ff02::12")
}

fn v3_ipv6() -> Vec<u8> {
    emitted(&advert_ipv6(), &fe80(), Checksum::PseudoHeader)
}

// "It MUST verify that the IPv4 TTL or IPv6 Hop Limit is 255."

#[test]
fn rfc_9568_7_1_and_rfc_3768_7_1_the_ttl_must_be_255() {
    for (packet, envelope) in
        [(bytes(V2), to_group()), (bytes(V3), to_group()), (v3_ipv6(), fe80())]
    {
        assert!(parse(&packet, &envelope, &MULTICAST).is_ok());
        for ttl in [0, 1, 64, 254] {
            let routed = Envelope { ttl: Some(ttl), ..envelope };
            assert_eq!(parse(&packet, &routed, &MULTICAST), Err(Discard::Ttl { ttl }));
        }
    }
}

#[test]
fn a_ttl_that_is_not_known_cannot_be_verified() {
    let unknown = Envelope { ttl: None, ..to_group() };
    assert_eq!(parse(&bytes(V3), &unknown, &MULTICAST), Err(Discard::TtlUnknown));
}

#[test]
fn what_goes_to_a_group_must_have_255_even_where_unicast_is_expected() {
    let routed = Envelope { ttl: Some(254), ..to_group() };
    assert_eq!(parse(&bytes(V3), &routed, &UNICAST), Err(Discard::Ttl { ttl: 254 }));
}

#[test]
fn unicast_to_a_router_that_expects_multicast_must_have_255() {
    let to_peer = envelope("10.77.0.1", "10.77.0.2");
    let packet = emitted(&advert(Version::V3), &to_peer, Checksum::PseudoHeader);
    assert!(parse(&packet, &to_peer, &MULTICAST).is_ok());
    let routed = Envelope { ttl: Some(64), ..to_peer };
    assert_eq!(parse(&packet, &routed, &MULTICAST), Err(Discard::Ttl { ttl: 64 }));
}

#[test]
fn unicast_may_have_any_ttl() {
    let to_peer = envelope("fe80::ff:fe00:a", "fe80::ff:fe00:b");
    let packet = emitted(&advert_ipv6(), &to_peer, Checksum::PseudoHeader);
    for ttl in [None, Some(1), Some(64), Some(255)] {
        let came = Envelope { ttl, ..to_peer };
        assert!(parse(&packet, &came, &UNICAST).is_ok(), "{ttl:?}");
    }
}

// "It MUST verify that the VRRP version is 3." (RFC 3768: "2")

#[test]
fn rfc_9568_7_1_and_rfc_3768_7_1_the_version_must_be_2_or_3() {
    for version in (0..16).filter(|version| ![2, 3].contains(version)) {
        let packet = with(V3, 0, (version << 4) | ADVERTISEMENT);
        assert_eq!(heard(&packet), Err(Discard::Version { version }));
    }
    assert_eq!(heard_advert(&bytes(V2)).version, Version::V2);
    assert_eq!(heard_advert(&bytes(V3)).version, Version::V3);
}

#[test]
fn rfc_3768_knows_no_ipv6() {
    let mut packet = v3_ipv6();
    packet[0] = 0x21;
    assert_eq!(parse(&packet, &fe80(), &MULTICAST), Err(Discard::V2OverIpv6));
}

// "It MUST verify that the VRRP packet type is 1 (ADVERTISEMENT)."

#[test]
fn rfc_9568_7_1_and_rfc_3768_5_3_2_the_type_must_be_1() {
    for kind in (0..16).filter(|kind| *kind != ADVERTISEMENT) {
        for (hex, version) in [(V2, 0x20), (V3, 0x30)] {
            assert_eq!(heard(&with(hex, 0, version | kind)), Err(Discard::Type { kind }));
        }
    }
}

// "It MUST verify that the received packet contains the complete VRRP packet (including fixed
// fields, and IPvX address)." (RFC 3768: "and Authentication Data")

#[test]
fn rfc_9568_7_1_and_rfc_3768_7_1_the_packet_must_be_complete() {
    for (packet, envelope) in
        [(bytes(V2), to_group()), (bytes(V3), to_group()), (v3_ipv6(), fe80())]
    {
        for length in 0..packet.len() {
            let needed = if length < HEADER { HEADER } else { packet.len() };
            let cut = Err(Discard::Truncated { length, needed });
            assert_eq!(parse(&packet[..length], &envelope, &MULTICAST), cut);
        }
    }
}

#[test]
fn the_count_of_addresses_is_what_must_be_complete() {
    let two = Discard::Truncated { length: 12, needed: 16 };
    assert_eq!(heard(&with(V3, 3, 2)), Err(two));
    let most = Discard::Truncated { length: 20, needed: 8 + 255 * 4 + 8 };
    assert_eq!(heard(&with(V2, 3, 255)), Err(most));
}

#[test]
fn bytes_behind_a_complete_packet_are_accepted_and_noted() {
    for (hex, envelope) in [(V2, to_group()), (V3, to_group())] {
        let mut packet = bytes(hex);
        packet.extend([0xde, 0xad, 0xbe]);
        let received = parse(&packet, &envelope, &MULTICAST).expect("complete");
        assert_eq!(received.notes, [Note::Trailing(3)]);
        assert_eq!(received.advert, heard_advert(&bytes(hex)));
    }
}

// "It MUST verify the VRRP checksum."

#[test]
fn rfc_9568_7_1_and_rfc_3768_7_1_the_checksum_must_be_right() {
    for (packet, envelope) in
        [(bytes(V2), to_group()), (bytes(V3), to_group()), (v3_ipv6(), fe80())]
    {
        for place in 0..packet.len() {
            for bit in 0..8 {
                let mut damaged = packet.clone();
                damaged[place] ^= 1 << bit;
                let verdict = parse(&damaged, &envelope, &MULTICAST);
                assert!(verdict.is_err(), "bit {bit} of byte {place}: {verdict:?}");
            }
        }
    }
}

#[test]
fn a_wrong_checksum_is_told_with_the_right_one() {
    let found = |hex: &str| heard(&bytes(hex)).expect_err("damaged").to_string();
    let v2 = found("21 33 96 01 00 01 1234 0a4d0064 00000000 00000000");
    assert_eq!(v2, "its checksum is 0x1234, and should be 0x3e19");
    let v3 = found("31 33 96 01 0064 1234 0a4d0064");
    assert_eq!(v3, "its checksum is 0x1234, and should be 0x42d9");
}

#[test]
fn both_forms_of_the_ipv4_checksum_are_accepted_and_told_apart() {
    let advert = advert(Version::V3);
    for form in [Checksum::PseudoHeader, Checksum::Message] {
        let packet = emitted(&advert, &to_group(), form);
        let received = heard(&packet).expect("either is right");
        assert_eq!((received.checksum, &received.advert), (form, &advert));
    }
    // RFC 9568 5.2.8: "the checksum is calculated over the VRRP message" only.
    let message_only = emitted(&advert, &to_group(), Checksum::Message);
    assert_eq!(message_only, bytes("31 33 96 01 0064 2db6 0a4d0064"));
}

#[test]
fn the_pseudo_header_is_that_of_the_envelope() {
    let packet = bytes(V3);
    for (source, destination) in [("10.77.0.3", "224.0.0.18"), ("10.77.0.1", "224.0.0.19")] {
        let other = envelope(source, destination);
        assert!(matches!(parse(&packet, &other, &MULTICAST), Err(Discard::Checksum { .. })));
    }
}

#[test]
fn ipv6_has_one_form_of_the_checksum_with_pseudo_header() {
    let received = parse(&v3_ipv6(), &fe80(), &MULTICAST);
    assert_eq!(received.map(|received| received.checksum), Ok(Checksum::PseudoHeader));
    let message_only = parse(&mended(v3_ipv6()), &fe80(), &MULTICAST);
    assert!(matches!(message_only, Err(Discard::Checksum { .. })), "{message_only:?}");
}

#[test]
fn version_2_has_one_form_of_the_checksum_without_pseudo_header() {
    assert_eq!(heard(&bytes(V2)).map(|received| received.checksum), Ok(Checksum::Message));
    let mut packet = bytes(V2);
    packet[CHECKSUM].fill(0);
    let (from, to) = (to_group().source, to_group().destination);
    let sum = Sum::pseudo_header(from, to, PROTOCOL, packet.len()).add(&packet).checksum();
    packet[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
    assert!(matches!(heard(&packet), Err(Discard::Checksum { .. })));
}

#[test]
fn the_version_2_checksum_covers_the_authentication_data() {
    let mut packet = bytes("21 33 96 01 01 01 ab83 0a4d0064 6162636465666768");
    packet[19] ^= 1;
    assert!(matches!(heard(&packet), Err(Discard::Checksum { .. })));
}

#[test]
fn no_field_is_believed_before_the_checksum_is_right() {
    // Interval 0, and an authentication type that is not spoken.
    for hex in
        ["31 33 96 01 0000 42d9 0a4d0064", "21 33 96 01 0201 3e19 0a4d0064 00000000 00000000"]
    {
        assert!(matches!(heard(&bytes(hex)), Err(Discard::Checksum { .. })), "{hex}");
    }
}

// "It MUST verify that the VRID is configured on the receiving interface and the local router is
// not the IPvX address owner." "It MAY verify that "Count IPvX Addrs" and the list match."

#[test]
fn identifier_and_priority_come_out_as_they_came_for_the_router_to_judge() {
    for byte in 0..=255 {
        assert_eq!(heard_advert(&with(V3, 1, byte)).vrid, byte);
        assert_eq!(heard_advert(&with(V2, 1, byte)).vrid, byte);
        assert_eq!(heard_advert(&with(V3, 2, byte)).priority, byte);
        assert_eq!(heard_advert(&with(V2, 2, byte)).priority, byte);
    }
}

#[test]
fn the_addresses_come_out_in_their_order_for_the_router_to_judge() {
    for version in [Version::V2, Version::V3] {
        let addresses = vec![ip("10.77.0.102"), ip("10.77.0.100"), ip("10.77.0.101")];
        let sent = Advert { addresses, ..advert(version) };
        let packet = emitted(&sent, &to_group(), Checksum::Message);
        assert_eq!(heard_advert(&packet), sent);
    }
}

#[test]
fn rfc_9568_5_2_5_erratum_8299_a_count_of_0_is_discarded() {
    assert_eq!(heard(&mended(bytes("31 33 96 00 0064 0000"))), Err(Discard::NoAddress));
    let v2 = mended(bytes("21 33 96 00 00 01 0000 00000000 00000000"));
    assert_eq!(heard(&v2), Err(Discard::NoAddress));
    // Nor do addresses that are there but not counted help.
    assert_eq!(heard(&with(V3, 3, 0)), Err(Discard::NoAddress));
}

#[test]
fn as_many_addresses_as_the_count_can_say_come_back() {
    let v4: Vec<IpAddr> = (0..=254).map(|n| IpAddr::from([10, 77, 1, n])).collect();
    let v6: Vec<IpAddr> = (0..=254).map(|n| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, n])).collect();
    for (version, addresses, envelope, length) in [
        (Version::V2, &v4, to_group(), 8 + 255 * 4 + 8),
        (Version::V3, &v4, to_group(), 8 + 255 * 4),
        (Version::V3, &v6, fe80(), MOST_BYTES),
    ] {
        assert_eq!(addresses.len(), MOST_ADDRESSES);
        let sent = Advert { addresses: addresses.clone(), ..advert(version) };
        let packet = emitted(&sent, &envelope, Checksum::PseudoHeader);
        assert_eq!(packet.len(), length);
        assert_eq!(parse(&packet, &envelope, &MULTICAST).map(|r| r.advert), Ok(sent));
    }
}

// "It SHOULD verify that the Max Advertise Interval in the packet is the same"; RFC 3768: "MUST".

#[test]
fn the_interval_comes_out_in_its_version_s_unit_for_the_router_to_judge() {
    let interval = |packet: &[u8]| heard_advert(packet).interval;
    for field in 1..=4095 {
        let [high, low] = u16::to_be_bytes(field);
        let mut packet = with(V3, 4, high);
        packet[5] = low;
        assert_eq!(Some(interval(&mended(packet))), Interval::from_centiseconds(field));
    }
    for field in 1..=255 {
        assert_eq!(Some(interval(&with(V2, 5, field))), Interval::from_seconds(field));
    }
}

#[test]
fn rfc_9568_erratum_8301_an_interval_of_0_is_discarded() {
    assert_eq!(heard(&with(V3, 5, 0)), Err(Discard::NoInterval));
    assert_eq!(heard(&with(V2, 5, 0)), Err(Discard::NoInterval));
}

#[test]
fn rfc_9568_5_2_6_the_reserved_bits_are_ignored_and_sent_as_0() {
    for reserved in 0..16 {
        let packet = with(V3, 4, reserved << 4);
        assert_eq!(heard_advert(&packet), advert(Version::V3), "reserved {reserved}");
        // They are no part of the interval either.
        let zero = mended([&packet[..5], &[0], &packet[6..]].concat());
        assert_eq!(heard(&zero), Err(Discard::NoInterval), "reserved {reserved}");
    }
    let longest = Interval::from_centiseconds(4095).expect("12 bits");
    let sent = Advert { interval: longest, ..advert(Version::V3) };
    assert_eq!(emitted(&sent, &to_group(), Checksum::Message)[4..6], [0x0f, 0xff]);
}

// "MUST verify that the Auth Type matches the locally configured authentication method".

#[test]
fn rfc_3768_5_3_6_an_unknown_authentication_type_is_discarded() {
    for kind in 0..=255 {
        let verdict = heard(&with(V2, 4, kind)).map(|received| received.advert.auth);
        let expected = match kind {
            0 => Ok(Auth::None),
            1 => Ok(Auth::Pass([0; 8])),
            2 => Err(Discard::AuthHeader),
            kind => Err(Discard::AuthType { kind }),
        };
        assert_eq!(verdict, expected);
    }
}

#[test]
fn rfc_3768_5_3_10_the_data_of_no_authentication_is_ignored_and_sent_as_0() {
    let packet = with(V2, 19, 0xff);
    assert_eq!(heard_advert(&packet), advert(Version::V2));
    assert!(emitted(&advert(Version::V2), &to_group(), Checksum::Message).ends_with(&[0; 8]));
}

#[test]
fn the_password_comes_out_for_the_router_to_judge_and_is_never_shown() {
    let sent = Advert { auth: Auth::Pass(*b"abcdefgh"), ..advert(Version::V2) };
    let received = heard_advert(&emitted(&sent, &to_group(), Checksum::Message));
    assert_eq!(received.auth, Auth::Pass(*b"abcdefgh"));
    assert!(format!("{received:?}").contains("Pass(…)"));
    for reason in [Discard::WrongPassword, Discard::NoPassword, Discard::UnwantedPassword] {
        assert!(reason.to_string().contains("password"), "{reason}");
    }
}

#[test]
fn version_3_has_no_authentication_even_if_an_advert_is_given_one() {
    let with_password = Advert { auth: Auth::Pass(*b"abcdefgh"), ..advert(Version::V3) };
    let packet = emitted(&with_password, &to_group(), Checksum::PseudoHeader);
    assert_eq!(packet, bytes(V3));
}

// IPv6: what the RFC wants to be link-local.

#[test]
fn rfc_9568_erratum_8300_a_first_address_that_is_not_link_local_is_noted() {
    let first = "2001:db8:77::100".parse().expect("an address");
    let addresses = vec![IpAddr::V6(first), ip("fe80::100")];
    let sent = Advert { addresses, ..advert(Version::V3) };
    let packet = emitted(&sent, &fe80(), Checksum::PseudoHeader);
    let received = parse(&packet, &fe80(), &MULTICAST).expect("FRR sends it so");
    assert_eq!(received.notes, [Note::FirstNotLinkLocal(first)]);
    assert_eq!(received.advert, sent);
}

#[test]
fn rfc_9568_5_1_2_1_a_source_that_is_not_link_local_is_noted() {
    let global = envelope("2001:db8:77::1", "ff02::12");
    let packet = emitted(&advert_ipv6(), &global, Checksum::PseudoHeader);
    let received = parse(&packet, &global, &MULTICAST).expect("not a reason to discard");
    let source = "2001:db8:77::1".parse().expect("an address");
    assert_eq!(received.notes, [Note::SourceNotLinkLocal(source)]);
}

#[test]
fn an_envelope_of_two_families_is_discarded() {
    let mixed = envelope("10.77.0.1", "ff02::12");
    let (from, to) = (mixed.source, mixed.destination);
    assert_eq!(parse(&bytes(V3), &mixed, &MULTICAST), Err(Discard::Families { from, to }));
}

// What no configuration may ask for.

#[test]
#[should_panic(expected = "an advert has 1 to 255 addresses, not 0")]
fn an_advert_without_addresses_cannot_be_sent() {
    let none = Advert { addresses: Vec::new(), ..advert(Version::V3) };
    emitted(&none, &to_group(), Checksum::PseudoHeader);
}

#[test]
#[should_panic(expected = "an advert has 1 to 255 addresses, not 256")]
fn an_advert_with_more_addresses_than_can_be_counted_cannot_be_sent() {
    let many = Advert { addresses: vec![ip("10.77.0.100"); 256], ..advert(Version::V3) };
    emitted(&many, &to_group(), Checksum::PseudoHeader);
}

#[test]
#[should_panic(expected = "not of the packet's family")]
fn an_advert_with_addresses_of_the_other_family_cannot_be_sent() {
    emitted(&advert_ipv6(), &to_group(), Checksum::PseudoHeader);
}
