//! ARP (RFC 826) as far as a VIP needs it: to announce it, to ask for it, and to hear who else has
//! it.
//!
//! Frames are plain bytes with their Ethernet header, without VLAN tag, as packet sockets have
//! them. Reading one never panics, and gives nothing for what is not whole.

use std::net::{IpAddr, Ipv4Addr};

use super::claim::{Claim, How};

/// The EtherType, for sockets and filters.
pub const ETHERTYPE: u16 = 0x0806;
/// Bytes of an announcement. Drivers of interfaces pad it to the 60 of Ethernet.
pub const BYTES: usize = 42;
/// One of ours.
pub type Frame = [u8; BYTES];

const BROADCAST: [u8; 6] = [0xff; 6];
/// In the first byte of a MAC: it is no single host's.
const GROUP: u8 = 1;
/// Ethernet and IPv4, with addresses of 6 and 4 bytes.
const KINDS: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// The frame that tells the whole link that `vip` is at `mac`: a gratuitous ARP request (RFC 9568
/// 6.4.2, RFC 5227 3), from and to `vip`. The target's MAC, which nobody reads, is the broadcast
/// one, as keepalived has it.
pub fn announcement(vip: Ipv4Addr, mac: [u8; 6]) -> Frame {
    frame(BROADCAST, (mac, vip), (BROADCAST, vip))
}

/// The frame that asks who has `wanted`, from whoever is at `mac`: everybody, or only the one who
/// had it so far (RFC 1122 2.3.2.1).
pub fn request(mac: [u8; 6], asker: Ipv4Addr, wanted: Ipv4Addr, last: Option<[u8; 6]>) -> Frame {
    frame(last.unwrap_or(BROADCAST), (mac, asker), ([0; 6], wanted))
}

/// An ARP request to `to`.
fn frame(to: [u8; 6], sender: ([u8; 6], Ipv4Addr), target: ([u8; 6], Ipv4Addr)) -> Frame {
    let mut frame = [0; BYTES];
    let parts: [&[u8]; 9] = [
        &to,
        &sender.0,
        &ETHERTYPE.to_be_bytes(),
        &KINDS,
        &REQUEST.to_be_bytes(),
        &sender.0,
        &sender.1.octets(),
        &target.0,
        &target.1.octets(),
    ];
    let bytes = parts.into_iter().flatten();
    frame.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
    frame
}

/// Which address the sender of a frame says is its own: of a request, gratuitous or not, as much as
/// of a reply, for every receiver may learn from both (RFC 826, RFC 5227 2.4). A probe (RFC 5227
/// 2.1.1) has no sender's address, and claims nothing yet.
pub fn claimed(frame: &[u8]) -> Option<Claim> {
    let (ethernet, arp) = frame.split_first_chunk::<14>()?;
    let (kinds, rest) = arp.split_first_chunk::<6>()?;
    let (operation, rest) = rest.split_first_chunk::<2>()?;
    let (mac, rest) = rest.split_first_chunk::<6>()?;
    let (sender, rest) = rest.split_first_chunk::<4>()?;
    let target = rest.get(6..10)?;
    let is_arp = ethernet.ends_with(&ETHERTYPE.to_be_bytes()) && *kinds == KINDS;
    let to_one = ethernet[0] & GROUP == 0;
    let how = match u16::from_be_bytes(*operation) {
        // Whoever had an address may answer the announcement of its successor, which is a question.
        REPLY if to_one => How::Answering,
        REPLY => How::Announced,
        REQUEST if sender.as_slice() == target => How::Announced,
        REQUEST => How::Asking,
        // Nobody learns from other operations; Linux does not read them.
        _ => return None,
    };
    let address = Ipv4Addr::from(*sender);
    let can_be_held = !(address.is_unspecified() || address.is_multicast());
    (is_arp && can_be_held).then_some(Claim { address: IpAddr::V4(address), mac: *mac, how })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x0a];
    const OTHER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x0b];
    const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
    const HOST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 9);

    /// A frame from MAC with these fields.
    fn spoken(operation: u16, sender: Ipv4Addr, target_mac: [u8; 6], target: Ipv4Addr) -> Vec<u8> {
        let mut frame = announcement(sender, MAC).to_vec();
        frame[20..22].copy_from_slice(&operation.to_be_bytes());
        frame[32..38].copy_from_slice(&target_mac);
        frame[38..42].copy_from_slice(&target.octets());
        frame
    }

    fn claim(address: Ipv4Addr, how: How) -> Option<Claim> {
        Some(Claim { address: IpAddr::V4(address), mac: MAC, how })
    }

    /// The same frame to a single host.
    fn to_one(mut frame: Vec<u8>) -> Vec<u8> {
        frame[..6].copy_from_slice(&OTHER);
        frame
    }

    #[test]
    fn an_announcement_is_keepalived_s_gratuitous_request_to_everybody() {
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x0a, 0x08, 0x06, 0, 1, 0x08, 0,
            6, 4, 0, 1, 0x02, 0, 0, 0, 0, 0x0a, 10, 77, 0, 100, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            10, 77, 0, 100,
        ];
        assert_eq!(announcement(VIP, MAC), expected);
    }

    #[test]
    fn a_request_asks_everybody_or_the_one_who_had_it() {
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x0a, 0x08, 0x06, 0, 1, 0x08, 0,
            6, 4, 0, 1, 0x02, 0, 0, 0, 0, 0x0a, 10, 77, 0, 9, 0, 0, 0, 0, 0, 0, 10, 77, 0, 100,
        ];
        assert_eq!(request(MAC, HOST, VIP, None), expected);
        let single = request(MAC, HOST, VIP, Some(OTHER));
        assert_eq!((&single[..6], &single[6..]), (&OTHER[..], &expected[6..]));
    }

    #[test]
    fn an_announcement_claims_its_address_padded_or_not() {
        assert_eq!(claimed(&announcement(VIP, MAC)), claim(VIP, How::Announced));
        let mut padded = announcement(VIP, MAC).to_vec();
        padded.resize(60, 0);
        assert_eq!(claimed(&padded), claim(VIP, How::Announced));
    }

    #[test]
    fn a_gratuitous_reply_claims_its_address() {
        let announced = claim(VIP, How::Announced);
        assert_eq!(claimed(&spoken(REPLY, VIP, BROADCAST, VIP)), announced);
        assert_eq!(claimed(&spoken(REPLY, VIP, MAC, VIP)), announced);
    }

    #[test]
    fn an_ordinary_reply_claims_the_sender_s_address_not_the_asker_s() {
        let answer = to_one(spoken(REPLY, VIP, OTHER, HOST));
        assert_eq!(claimed(&answer), claim(VIP, How::Answering));
        let to_its_successor = to_one(spoken(REPLY, VIP, OTHER, VIP));
        assert_eq!(claimed(&to_its_successor), claim(VIP, How::Answering));
    }

    #[test]
    fn a_request_claims_the_asker_s_address_not_the_one_asked_for() {
        let asking = |from, about| claimed(&spoken(REQUEST, from, [0; 6], about));
        assert_eq!(asking(HOST, VIP), claim(HOST, How::Asking));
        assert_eq!(asking(VIP, HOST), claim(VIP, How::Asking));
    }

    #[test]
    fn a_probe_claims_nothing() {
        assert_eq!(claimed(&spoken(REQUEST, Ipv4Addr::UNSPECIFIED, [0; 6], VIP)), None);
    }

    #[test]
    fn a_group_s_address_is_nobody_s() {
        assert_eq!(claimed(&spoken(REQUEST, Ipv4Addr::new(224, 0, 0, 18), [0; 6], VIP)), None);
    }

    #[test]
    fn other_operations_and_other_protocols_claim_nothing() {
        for operation in [0, 3, 4, 8, 9, 0x100] {
            assert_eq!(claimed(&spoken(operation, VIP, BROADCAST, VIP)), None, "{operation}");
        }
        // EtherType, hardware and protocol kinds and their lengths.
        for place in 12..20 {
            let mut other = announcement(VIP, MAC);
            other[place] ^= 0x10;
            assert_eq!(claimed(&other), None, "byte {place}");
        }
    }

    #[test]
    fn a_frame_cut_anywhere_claims_nothing() {
        let whole = announcement(VIP, MAC);
        for length in 0..whole.len() {
            assert_eq!(claimed(&whole[..length]), None, "{length} bytes");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn no_frame_makes_it_panic(
            noise in proptest::collection::vec(any::<u8>(), 0..80),
            damage in proptest::collection::vec((0..BYTES, any::<u8>()), 0..4),
            length in 0..=BYTES,
        ) {
            claimed(&noise);
            let mut frame = announcement(VIP, MAC);
            damage.into_iter().for_each(|(place, byte)| frame[place] = byte);
            if let Some(claim) = claimed(&frame[..length]) {
                prop_assert!(length == BYTES && claim.mac == frame[22..28]);
                let sender: [u8; 4] = frame[28..32].try_into().expect("four");
                prop_assert_eq!(claim.address, IpAddr::from(sender));
            }
        }
    }
}
