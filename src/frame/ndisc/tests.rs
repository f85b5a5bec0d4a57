//! What is said of a VIP on the link, and what is heard, by its claim.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x0a];
const OTHER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x0b];
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0xa);
const VIP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 0x100);
const HOST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 9);

/// Where the parts of a frame are.
const HOP_LIMIT_AT: usize = ETHERNET + 7;
const TYPE_AT: usize = HEADERS;
const FLAGS_AT: usize = HEADERS + 4;
const TARGET_AT: usize = HEADERS + 8;
const OPTIONS_AT: usize = HEADERS + BEFORE_OPTIONS;

/// Makes length and checksum right again after a frame was changed.
fn mended(mut frame: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(frame.len() - HEADERS).expect("short");
    frame[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&length.to_be_bytes());
    frame[TYPE_AT + 2..TYPE_AT + 4].fill(0);
    let addresses = &frame[ETHERNET + 8..HEADERS];
    let sum = Sum::default().add(addresses).add(&length.to_be_bytes()).add(&[0, ICMPV6]);
    let checksum = sum.add(&frame[HEADERS..]).checksum();
    frame[TYPE_AT + 2..TYPE_AT + 4].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// An announcement of the VIP, changed and then made whole again.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = announcement(VIP, MAC, LINK_LOCAL, true);
    change(&mut frame);
    mended(frame)
}

fn set_destination(frame: &mut [u8], destination: Ipv6Addr) {
    frame[ETHERNET + 24..HEADERS].copy_from_slice(&destination.octets());
}

/// A solicitation for the VIP from this address, with the source's MAC in the option.
fn solicitation(source: Ipv6Addr) -> Vec<u8> {
    changed(|frame| {
        frame[TYPE_AT] = SOLICITATION;
        frame[FLAGS_AT] = 0;
        frame[OPTIONS_AT] = option::SOURCE;
        frame[ETHERNET + 8..ETHERNET + 24].copy_from_slice(&source.octets());
    })
}

fn claim(address: Ipv6Addr, mac: [u8; 6], how: How) -> Option<Claim> {
    Some(Claim { address: IpAddr::V6(address), mac, how })
}

#[test]
fn an_announcement_is_an_overriding_unsolicited_advertisement_to_all_nodes() {
    let frame = announcement(VIP, MAC, LINK_LOCAL, false);
    let mut expected = vec![0x33, 0x33, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 0x0a, 0x86, 0xdd];
    expected.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
    expected.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0x0a]);
    expected.extend([0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    // The checksum was worked out by another program.
    expected.extend([136, 0, 0x27, 0xdb, 0x20, 0, 0, 0]);
    expected.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x00]);
    expected.extend([2, 1, 0x02, 0, 0, 0, 0, 0x0a]);
    assert_eq!(frame, expected);
    assert_eq!(frame.len(), BYTES);
}

#[test]
fn an_announcement_of_a_router_says_so_and_differs_in_nothing_else() {
    let router = announcement(VIP, MAC, LINK_LOCAL, true);
    assert_eq!(router[FLAGS_AT], 0xa0);
    let host = changed(|frame| frame[FLAGS_AT] = 0x20);
    assert_eq!(host, announcement(VIP, MAC, LINK_LOCAL, false));
}

#[test]
fn an_announcement_claims_its_target_whatever_its_source_is() {
    for source in [LINK_LOCAL, VIP] {
        for router in [false, true] {
            let frame = announcement(VIP, MAC, source, router);
            assert_eq!(claimed(&frame), claim(VIP, MAC, How::Announced), "from {source}");
        }
    }
}

#[test]
fn padding_behind_the_packet_is_not_part_of_it() {
    let mut padded = announcement(VIP, MAC, LINK_LOCAL, true);
    padded.extend([0xee; 7]);
    assert_eq!(claimed(&padded), claim(VIP, MAC, How::Announced));
}

#[test]
fn an_answer_claims_its_target_with_and_without_the_option() {
    let answer = |frame: &mut Vec<u8>| {
        frame[FLAGS_AT] = flag::SOLICITED | flag::OVERRIDE;
        frame[6..12].copy_from_slice(&OTHER);
        set_destination(frame, HOST);
    };
    assert_eq!(claimed(&changed(answer)), claim(VIP, MAC, How::Answering));
    let bare = changed(|frame| {
        answer(frame);
        frame.truncate(OPTIONS_AT);
    });
    assert_eq!(claimed(&bare), claim(VIP, OTHER, How::Answering));
}

#[test]
fn options_of_other_kinds_are_passed_over() {
    let frame = changed(|frame| {
        let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
        frame.splice(OPTIONS_AT..OPTIONS_AT, nonce);
        frame.extend([option::SOURCE, 1, 1, 2, 3, 4, 5, 6]);
        frame.extend([253, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    });
    assert_eq!(claimed(&frame), claim(VIP, MAC, How::Announced));
}

#[test]
fn a_solicitation_claims_the_address_that_it_is_asked_from() {
    assert_eq!(claimed(&solicitation(HOST)), claim(HOST, MAC, How::Asking));
}

#[test]
fn a_probe_whether_an_address_is_free_claims_nothing() {
    assert_eq!(claimed(&solicitation(Ipv6Addr::UNSPECIFIED)), None);
}

#[test]
fn rfc_4861_7_1_2_the_hop_limit_must_be_255() {
    assert_eq!(claimed(&changed(|frame| frame[HOP_LIMIT_AT] = 254)), None);
}

#[test]
fn rfc_4861_7_1_2_the_checksum_must_be_right() {
    let whole = announcement(VIP, MAC, LINK_LOCAL, true);
    // Everything that it covers: the addresses, and the message with its target and option.
    for place in ETHERNET + 8..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        assert_eq!(claimed(&damaged), None, "byte {place}");
    }
}

#[test]
fn rfc_4861_7_1_2_the_code_must_be_0() {
    assert_eq!(claimed(&changed(|frame| frame[TYPE_AT + 1] = 1)), None);
}

#[test]
fn rfc_4861_7_1_2_the_message_must_have_24_bytes() {
    assert_eq!(claimed(&changed(|frame| frame.truncate(OPTIONS_AT - 1))), None);
}

#[test]
fn rfc_4861_7_1_2_the_target_must_not_be_a_group() {
    let to_group = |frame: &mut Vec<u8>| {
        frame[TARGET_AT..OPTIONS_AT].copy_from_slice(&ALL_NODES.octets());
    };
    assert_eq!(claimed(&changed(to_group)), None);
}

#[test]
fn rfc_4861_7_1_2_what_goes_to_a_group_must_not_be_solicited() {
    assert_eq!(claimed(&changed(|frame| frame[FLAGS_AT] |= flag::SOLICITED)), None);
}

#[test]
fn rfc_4861_7_1_2_every_option_must_have_a_length_and_be_whole() {
    assert_eq!(claimed(&changed(|frame| frame[OPTIONS_AT + 1] = 0)), None);
    assert_eq!(claimed(&changed(|frame| frame[OPTIONS_AT + 1] = 2)), None);
    assert_eq!(claimed(&changed(|frame| frame.push(2))), None);
}

#[test]
fn other_messages_and_other_protocols_claim_nothing() {
    for kind in [128, 133, 134, 137] {
        assert_eq!(claimed(&changed(|frame| frame[TYPE_AT] = kind)), None, "type {kind}");
    }
    let protocol = |frame: &mut Vec<u8>| frame[ETHERNET + 6] = 17;
    assert_eq!(claimed(&changed(protocol)), None);
    assert_eq!(claimed(&changed(|frame| frame[13] = 0)), None);
    assert_eq!(claimed(&changed(|frame| frame[ETHERNET] = 0x40)), None);
}

#[test]
fn a_solicitation_asks_all_whose_addresses_end_alike_or_the_one_who_had_it() {
    let asked = super::solicitation(MAC, LINK_LOCAL, VIP, None);
    assert_eq!(asked.len(), BYTES);
    let [.., a, b, c] = VIP.octets();
    assert_eq!(asked[..6], [0x33, 0x33, 0xff, a, b, c]);
    let group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c];
    assert_eq!(asked[ETHERNET + 24..HEADERS], group);
    assert_eq!(asked[HEADERS + 8..HEADERS + 24], VIP.octets());
    // Whoever is asked learns the asker, and its sums are right.
    let asker = claim(LINK_LOCAL, MAC, How::Asking);
    assert_eq!(claimed(&asked), asker);
    let single = super::solicitation(MAC, LINK_LOCAL, VIP, Some([2, 0, 0, 0, 0, 0x0b]));
    assert_eq!(single[..6], [2, 0, 0, 0, 0, 0x0b]);
    assert_eq!(single[ETHERNET + 24..HEADERS], VIP.octets());
    assert_eq!(claimed(&single), asker);
}

#[test]
fn a_frame_cut_anywhere_claims_nothing() {
    let whole = announcement(VIP, MAC, LINK_LOCAL, true);
    for length in 0..whole.len() {
        assert_eq!(claimed(&whole[..length]), None, "{length} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn no_frame_makes_it_panic(
        noise in vec(any::<u8>(), 0..120),
        damage in vec((ETHERNET..BYTES, any::<u8>()), 0..4),
        options in vec(any::<u8>(), 0..40),
        length in 0..=BYTES,
    ) {
        claimed(&noise);
        let mut frame = announcement(VIP, MAC, LINK_LOCAL, true);
        damage.into_iter().for_each(|(place, byte)| frame[place] = byte);
        claimed(&frame[..length]);
        frame.extend(options);
        claimed(&mended(frame));
    }
}
