//! Bytes of segments as the RFCs have them, and what becomes of bytes that are none.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

#[test]
fn a_syn_is_a_packet_of_44_bytes_with_right_sums() {
    let packet = syn(at("10.77.0.9:40000"), at("10.77.0.100:80"), 0x0102_0304).packet(2);
    let expected = [
        0x45, 0, 0, 44, 0, 0, 0x40, 0, 2, 6, 0x63, 0xc6, 10, 77, 0, 9, 10, 77, 0, 100, // IPv4
        0x9c, 0x40, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 0x60, 2, 0xfa, 0xf0, 0xe7, 0x98, 0,
        0, // TCP
        2, 4, 0x05, 0xb4, // at most 1460 bytes
    ];
    assert_eq!(packet, expected);
    assert!(Sum::default().add(&packet[..20]).is_right());
}

#[test]
fn both_families_bear_the_sum_over_their_pseudo_header() {
    for (source, destination) in
        [("10.77.0.9:40000", "10.77.0.100:80"), ("[2001:db8::9]:40000", "[2001:db8::100]:80")]
    {
        let (source, destination) = (at(source), at(destination));
        let syn = syn(source, destination, 7);
        let packet = syn.packet(2);
        let ip = Ip::of(&packet).expect("a packet");
        let sum = Sum::pseudo_header(ip.source, ip.destination, PROTOCOL, ip.payload.len());
        assert!(sum.add(ip.payload).is_right(), "{source}");
        assert_eq!(segment(&packet), Some(syn));
    }
}

#[test]
fn a_reset_takes_its_number_from_what_was_acknowledged_and_goes_back() {
    let answer = Segment {
        source: at("10.77.0.100:80"),
        destination: at("10.77.0.9:40000"),
        sequence: 99,
        acknowledgement: 8,
        flags: flag::SYN | flag::ACK,
    };
    let packet = reset(&answer).packet(2);
    assert_eq!(packet.len(), 40);
    let reset = segment(&packet).expect("a segment");
    assert_eq!((reset.sequence, reset.flags), (8, flag::RESET));
    assert_eq!((reset.source, reset.destination), (answer.destination, answer.source));
}

#[test]
fn ends_of_two_families_make_no_packet() {
    assert!(syn(at("10.77.0.9:40000"), at("[2001:db8::100]:80"), 7).packet(2).is_empty());
}

#[test]
fn a_fragment_another_protocol_and_a_cut_packet_are_no_segment() {
    let whole = reset(&syn(at("10.0.0.1:1"), at("10.0.0.2:2"), 3)).packet(2);
    assert!(segment(&whole).is_some());
    for (place, byte) in [(6, 0x20), (7, 1), (9, 17), (0, 0x55), (0, 0x46), (0, 0x4f), (3, 39)] {
        let mut other = whole.clone();
        other[place] = byte;
        assert_eq!(segment(&other), None, "byte {place} is {byte}");
    }
    for length in 0..whole.len() {
        assert_eq!(segment(&whole[..length]), None, "{length} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn no_packet_makes_it_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..120),
        damage in proptest::collection::vec((0..64usize, any::<u8>()), 0..4),
        length in 0..=64usize,
        v6 in any::<bool>(),
    ) {
        segment(&noise);
        let ends = match v6 {
            true => (at("[2001:db8::9]:4000"), at("[2001:db8::100]:80")),
            false => (at("10.77.0.9:40000"), at("10.77.0.100:80")),
        };
        let mut packet = syn(ends.0, ends.1, 5).packet(64);
        let last = packet.len() - 1;
        damage.into_iter().for_each(|(place, byte)| packet[place.min(last)] = byte);
        segment(&packet[..length.min(packet.len())]);
    }
}
