//! Packets seen on the wire, made and read, byte for byte.
//!
//! Those of keepalived 2.2.7 are VRID 51, priority 150, from 10.77.0.1, VIP 10.77.0.100.

use super::*;

mod claims;
mod round_trip;

/// On the link's own group, with the TTL that it must have.
const MULTICAST: Expect = Expect { multicast: true };
const UNICAST: Expect = Expect { multicast: false };

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Bytes from hexadecimal digits, with spaces anywhere.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("a byte")).collect()
}

fn envelope(source: &str, destination: &str) -> Envelope {
    Envelope { source: ip(source), destination: ip(destination), ttl: Some(255) }
}

/// To the group, from the router that was watched.
fn to_group() -> Envelope {
    envelope("10.77.0.1", "224.0.0.18")
}

fn advert(version: Version) -> Advert {
    Advert {
        version,
        vrid: 51,
        priority: 150,
        interval: Interval::DEFAULT,
        addresses: vec![ip("10.77.0.100")],
        auth: Auth::None,
    }
}

fn advert_ipv6() -> Advert {
    Advert { addresses: vec![ip("fe80::100"), ip("2001:db8:77::100")], ..advert(Version::V3) }
}

fn emitted(advert: &Advert, envelope: &Envelope, checksum: Checksum) -> Vec<u8> {
    let mut out = vec![0xee; 3];
    emit(advert, envelope.source, envelope.destination, checksum, &mut out);
    out
}

/// The bytes are what we make of the advert, and the advert what we read in them.
#[track_caller]
fn assert_golden(hex: &str, advert: &Advert, envelope: &Envelope, checksum: Checksum) {
    assert_eq!(emitted(advert, envelope, checksum), bytes(hex));
    let received = parse(&bytes(hex), envelope, &UNICAST).expect("it was seen on the wire");
    assert_eq!(received, Received { advert: advert.clone(), checksum, notes: Vec::new() });
}

#[test]
fn version_2_is_as_keepalived_sends_it() {
    let golden = "21 33 96 01 00 01 3e19 0a4d0064 00000000 00000000";
    let advert = advert(Version::V2);
    assert_golden(golden, &advert, &to_group(), Checksum::Message);
    let to_peer = envelope("10.77.0.1", "10.77.0.2");
    assert_golden(golden, &advert, &to_peer, Checksum::Message);
    // There is no other form of it.
    assert_eq!(emitted(&advert, &to_peer, Checksum::PseudoHeader), bytes(golden));
}

#[test]
fn version_2_with_a_password_is_as_keepalived_sends_it() {
    let with = |password| Advert { auth: Auth::Pass(password), ..advert(Version::V2) };
    let long = "21 33 96 01 01 01 ab83 0a4d0064 6162636465666768";
    assert_golden(long, &with(*b"abcdefgh"), &to_group(), Checksum::Message);
    let short = "21 33 96 01 01 01 78b6 0a4d0064 6162630000000000";
    assert_golden(short, &with(*b"abc\0\0\0\0\0"), &to_group(), Checksum::Message);
}

#[test]
fn version_2_with_an_authentication_header_is_known_by_its_type_and_discarded() {
    let golden = bytes("21 33 96 01 02 01 3c19 0a4d0064 00000000 00000000");
    let sent = Advert { auth: Auth::Other(2), ..advert(Version::V2) };
    assert_eq!(emitted(&sent, &to_group(), Checksum::Message), golden);
    assert_eq!(parse(&golden, &to_group(), &MULTICAST), Err(Discard::AuthHeader));
}

#[test]
fn version_3_is_as_keepalived_sends_it() {
    let advert = advert(Version::V3);
    let to_group_bytes = "31 33 96 01 0064 42d9 0a4d0064";
    assert_golden(to_group_bytes, &advert, &to_group(), Checksum::PseudoHeader);
    let to_peer = envelope("10.77.0.1", "10.77.0.2");
    let to_peer_bytes = "31 33 96 01 0064 189d 0a4d0064";
    assert_golden(to_peer_bytes, &advert, &to_peer, Checksum::PseudoHeader);
}

#[test]
fn version_3_over_ipv6_is_as_keepalived_sends_it() {
    let golden = "31 33 96 02 0064 0c7d fe800000000000000000000000000100
        20010db8007700000000000000000100";
    let envelope = envelope("fe80::ff:fe00:a", "ff02::12");
    assert_golden(golden, &advert_ipv6(), &envelope, Checksum::PseudoHeader);
    // There is no other form of it.
    assert_eq!(emitted(&advert_ipv6(), &envelope, Checksum::Message), bytes(golden));
}

#[test]
fn a_resignation_is_as_keepalived_sends_it() {
    let resigned = |version| Advert { priority: 0, ..advert(version) };
    let v2 = "21 33 00 01 00 01 d419 0a4d0064 00000000 00000000";
    assert_golden(v2, &resigned(Version::V2), &to_group(), Checksum::Message);
    let v3 = "31 33 00 01 0064 d8d9 0a4d0064";
    assert_golden(v3, &resigned(Version::V3), &to_group(), Checksum::PseudoHeader);
}

/// With `old_unicast_checksum` or before 1.3.6, keepalived takes the group into the pseudo-header
/// of unicast packets: a third form, which no RFC has.
#[test]
fn the_old_unicast_checksum_of_keepalived_is_not_taken_for_one_of_the_two_forms() {
    let golden = bytes("31 33 96 01 0064 42d9 0a4d0064");
    assert_eq!(emitted(&advert(Version::V3), &to_group(), Checksum::PseudoHeader), golden);
    let to_peer = envelope("10.77.0.1", "10.77.0.2");
    let wrong = Discard::Checksum { found: 0x42d9, right: 0x189d };
    assert_eq!(parse(&golden, &to_peer, &UNICAST), Err(wrong));
}
