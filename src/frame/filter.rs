//! The filter of a packet socket that hears claims: classic BPF, run by the kernel.
//!
//! It lets through what can be a claim of one of our addresses and little else. What it lets
//! through is still read with care: it compares the last four bytes of an IPv6 address only.

use std::net::IpAddr;

use crate::vrrp::config::Family;

/// Instructions that the kernel takes (BPF_MAXINSNS).
const MOST: usize = 4096;

/// Of an instruction: loads of an absolute place, a comparison, an end.
const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// The whole frame; 0 is none of it.
const TAKE: u32 = u32::MAX;

/// Places in a frame with an Ethernet header.
mod place {
    /// The protocol address of the sender of ARP over Ethernet.
    pub(crate) const ARP_SENDER: u32 = 28;
    pub(crate) const NEXT_HEADER: u32 = 20;
    /// The last four bytes of the source address.
    pub(crate) const SOURCE: u32 = 34;
    pub(crate) const ICMPV6_TYPE: u32 = 54;
    /// The last four bytes of the target of a solicitation or an advertisement.
    pub(crate) const TARGET: u32 = 74;
}

const ICMPV6: u32 = 58;
const SOLICITATION: u32 = 135;
const ADVERTISEMENT: u32 = 136;

/// One instruction: operation, where to go on if true and if false, operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) on_true: u8,
    pub(crate) on_false: u8,
    pub(crate) operand: u32,
}

fn step(code: u16, on_true: u8, on_false: u8, operand: u32) -> Instruction {
    Instruction { code, on_true, on_false, operand }
}

/// Lets through claims of these addresses, as far as they are of the family.
pub(crate) fn filter(family: Family, addresses: &[IpAddr]) -> Vec<Instruction> {
    let own = addresses.iter().filter(|address| Family::of(**address) == family);
    let own: Vec<u32> = own.map(|address| last_word(*address)).collect();
    let program = match family {
        Family::Ipv4 => [any_of(place::ARP_SENDER, &own)].concat(),
        Family::Ipv6 => {
            // What fails goes on to the end that takes nothing, one step further each time.
            let head = vec![
                step(LOAD_BYTE, 0, 0, place::NEXT_HEADER),
                step(IF_EQUAL, 1, 0, ICMPV6),
                step(RETURN, 0, 0, 0),
                step(LOAD_BYTE, 0, 0, place::ICMPV6_TYPE),
                step(IF_EQUAL, 2, 0, SOLICITATION),
                step(IF_EQUAL, 1, 0, ADVERTISEMENT),
                step(RETURN, 0, 0, 0),
            ];
            [head, any_of(place::TARGET, &own), any_of(place::SOURCE, &own)].concat()
        }
    };
    let (room, otherwise) = (program.len() < MOST, step(RETURN, 0, 0, 0));
    match room {
        true => [program, vec![otherwise]].concat(),
        // More addresses than a filter holds: every frame is read instead.
        false => vec![step(RETURN, 0, 0, TAKE)],
    }
}

/// Takes the frame if the word at that place is one of these.
fn any_of(place: u32, words: &[u32]) -> Vec<Instruction> {
    let compare = |word: &u32| [step(IF_EQUAL, 0, 1, *word), step(RETURN, 0, 0, TAKE)];
    let load = [step(LOAD_WORD, 0, 0, place)];
    load.into_iter().chain(words.iter().flat_map(compare)).collect()
}

fn last_word(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            u32::from_be_bytes([a, b, c, d])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{arp, ndisc};

    /// What the kernel would say.
    fn takes(program: &[Instruction], frame: &[u8]) -> bool {
        let (mut at, mut word) = (0, 0);
        loop {
            let Instruction { code, on_true, on_false, operand } = program[at];
            let place = operand as usize;
            at += 1;
            match code {
                LOAD_WORD => match frame.get(place..place + 4) {
                    Some(bytes) => word = u32::from_be_bytes(bytes.try_into().expect("four")),
                    None => return false,
                },
                LOAD_BYTE => match frame.get(place) {
                    Some(byte) => word = u32::from(*byte),
                    None => return false,
                },
                IF_EQUAL => at += usize::from(if word == operand { on_true } else { on_false }),
                RETURN => return operand != 0,
                other => panic!("no instruction: {other:#x}"),
            }
        }
    }

    #[test]
    fn a_claim_of_ours_comes_through_and_of_others_none() {
        let ours: [IpAddr; 4] = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "fe80::2"]
            .map(|address| address.parse().expect("an address"));
        let (v4, v6) = (filter(Family::Ipv4, &ours), filter(Family::Ipv6, &ours));
        let mac = [2, 0, 0, 0, 0, 1];
        for (last, expected) in [(1, true), (2, true), (3, false)] {
            let frame = arp::announcement([192, 0, 2, last].into(), mac);
            assert_eq!(takes(&v4, &frame), expected, "192.0.2.{last}");
        }
        for (vip, expected) in [("2001:db8::1", true), ("fe80::2", true), ("fe80::3", false)] {
            let vip = vip.parse().expect("an address");
            let frame = ndisc::announcement(vip, mac, vip, true);
            assert_eq!(takes(&v6, &frame), expected, "{vip}");
            let tcp = [&frame[..20], &[6], &frame[21..]].concat();
            assert!(!takes(&v6, &tcp), "{vip}");
        }
        assert!(!takes(&v4, &[0; 20]));
        assert!(!takes(&v6, &[0; 20]));
    }

    #[test]
    fn a_filter_never_has_more_instructions_than_the_kernel_takes() {
        for count in [0u32, 1, 1000, 2046, 2047, 2048, 5000] {
            let ours: Vec<IpAddr> = (0..count).map(|n| IpAddr::from(n.to_be_bytes())).collect();
            let program = filter(Family::Ipv4, &ours);
            assert!(program.len() <= MOST, "{count}: {}", program.len());
            let last = count.saturating_sub(1).to_be_bytes();
            let frame = arp::announcement(last.into(), [2, 0, 0, 0, 0, 1]);
            assert!(count == 0 || takes(&program, &frame), "{count}");
        }
    }
}
