//! What packet sockets let through: classic BPF, run by the kernel before it wakes anybody.
//!
//! Each filter lets through what it is about and little else, so that the noise of a big link, or
//! the traffic of a director, costs some instructions for each packet and no more. What is let
//! through is still read with care. Places are those of frames with an Ethernet header for claims,
//! and of packets without one for [`answers`] and [`returns`].

use std::net::IpAddr;

use super::{icmp, tcp};
use crate::vrrp::config::Family;

/// Instructions that the kernel takes (BPF_MAXINSNS).
const MOST: usize = 4096;

/// Of an instruction: loads of an absolute place, a comparison, an end.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// Loads counted from the end of the IPv4 header, once [`IPV4_HEADER`] has measured that.
const LOAD_HALF_AFTER: u16 = 0x48;
const LOAD_BYTE_AFTER: u16 = 0x50;
const IPV4_HEADER: u16 = 0xb1;

/// The whole frame; 0 is none of it.
const TAKE: u32 = u32::MAX;

/// Places in a frame with an Ethernet header.
mod place {
    pub(super) const ARP_OPERATION: u32 = 20;
    /// The protocol address of the sender of ARP over Ethernet.
    pub(crate) const ARP_SENDER: u32 = 28;
    pub(crate) const NEXT_HEADER: u32 = 20;
    /// The last four bytes of the source address.
    pub(crate) const SOURCE: u32 = 34;
    pub(crate) const ICMPV6_TYPE: u32 = 54;
    /// The last four bytes of the target of a solicitation or an advertisement.
    pub(crate) const TARGET: u32 = 74;
}

const ARP_REPLY: u32 = 2;
const ICMPV4: u32 = 1;
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
pub(crate) fn claims(family: Family, addresses: &[IpAddr]) -> Vec<Instruction> {
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

/// Lets through frames in which somebody answers who has an address.
pub(crate) fn replies(family: Family) -> Vec<Instruction> {
    let (load, place, wanted) = match family {
        Family::Ipv4 => (LOAD_HALF, place::ARP_OPERATION, ARP_REPLY),
        Family::Ipv6 => (LOAD_BYTE, place::ICMPV6_TYPE, ADVERTISEMENT),
    };
    let head = match family {
        Family::Ipv4 => Vec::new(),
        Family::Ipv6 => only(LOAD_BYTE, place::NEXT_HEADER, ICMPV6).to_vec(),
    };
    [head, only(load, place, wanted).to_vec(), vec![step(RETURN, 0, 0, TAKE)]].concat()
}

/// Lets through packets of TCP to this port, and errors of ICMP about segments from it.
pub(crate) fn answers(family: Family, port: u16) -> Vec<Instruction> {
    let port = u32::from(port);
    match family {
        // A quote of ours has no options, so that its places are known.
        Family::Ipv4 => vec![
            step(LOAD_BYTE, 0, 0, 9),
            step(IPV4_HEADER, 0, 0, 0),
            step(IF_EQUAL, 0, 2, u32::from(tcp::PROTOCOL)),
            step(LOAD_HALF_AFTER, 0, 0, 2),
            step(IF_EQUAL, 4, 3, port),
            step(IF_EQUAL, 0, 2, ICMPV4),
            step(LOAD_HALF_AFTER, 0, 0, 8 + 20),
            step(IF_EQUAL, 1, 0, port),
            step(RETURN, 0, 0, 0),
            step(RETURN, 0, 0, TAKE),
        ],
        Family::Ipv6 => vec![
            step(LOAD_BYTE, 0, 0, 6),
            step(IF_EQUAL, 0, 2, u32::from(tcp::PROTOCOL)),
            step(LOAD_HALF, 0, 0, 40 + 2),
            step(IF_EQUAL, 4, 3, port),
            step(IF_EQUAL, 0, 2, ICMPV6),
            step(LOAD_HALF, 0, 0, 40 + 8 + 40),
            step(IF_EQUAL, 1, 0, port),
            step(RETURN, 0, 0, 0),
            step(RETURN, 0, 0, TAKE),
        ],
    }
}

/// Lets through packets for this host from one of these addresses.
pub(crate) fn returns(family: Family, from: &[IpAddr]) -> Vec<Instruction> {
    let own = from.iter().filter(|address| Family::of(**address) == family);
    let own: Vec<u32> = own.map(|address| last_word(*address)).collect();
    let place = match family {
        Family::Ipv4 => 12,
        Family::Ipv6 => 8 + 12,
    };
    let program = any_of(place, &own);
    match program.len() < MOST {
        true => [program, nothing()].concat(),
        false => nothing(),
    }
}

/// Lets nothing through.
pub(crate) fn nothing() -> Vec<Instruction> {
    vec![step(RETURN, 0, 0, 0)]
}

/// Lets through replies to echoes of this identifier. The socket is a raw one: IPv4 comes with its
/// header, IPv6 without.
pub(crate) fn echoes(family: Family, identifier: u16) -> Vec<Instruction> {
    let (kind, after, measure) = match family {
        Family::Ipv4 => (icmp::kind::REPLY_V4, true, vec![step(IPV4_HEADER, 0, 0, 0)]),
        Family::Ipv6 => (icmp::kind::REPLY_V6, false, Vec::new()),
    };
    let (byte, half) =
        if after { (LOAD_BYTE_AFTER, LOAD_HALF_AFTER) } else { (LOAD_BYTE, LOAD_HALF) };
    let kind = only(byte, 0, u32::from(kind)).to_vec();
    let ours = only(half, 4, u32::from(identifier)).to_vec();
    [measure, kind, ours, vec![step(RETURN, 0, 0, TAKE)]].concat()
}

/// Goes on only if what is loaded is this.
fn only(load: u16, place: u32, wanted: u32) -> [Instruction; 3] {
    [step(load, 0, 0, place), step(IF_EQUAL, 1, 0, wanted), step(RETURN, 0, 0, 0)]
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
    use crate::frame::icmp::Echo;
    use crate::frame::{arp, ndisc};

    /// What the kernel would say.
    fn takes(program: &[Instruction], frame: &[u8]) -> bool {
        let (mut at, mut word, mut header) = (0, 0, 0);
        let number = |place: usize, bytes: usize| {
            let bytes = frame.get(place..place + bytes)?.iter();
            Some(bytes.fold(0u32, |number, byte| number << 8 | u32::from(*byte)))
        };
        loop {
            let Instruction { code, on_true, on_false, operand } = program[at];
            let place = operand as usize;
            at += 1;
            let loaded = match code {
                LOAD_WORD => number(place, 4),
                LOAD_HALF => number(place, 2),
                LOAD_BYTE => number(place, 1),
                LOAD_HALF_AFTER => number(header + place, 2),
                LOAD_BYTE_AFTER => number(header + place, 1),
                IPV4_HEADER => number(place, 1),
                _ => Some(word),
            };
            let Some(loaded) = loaded else { return false };
            match code {
                IPV4_HEADER => header = (loaded as usize & 15) * 4,
                LOAD_WORD | LOAD_HALF | LOAD_BYTE | LOAD_HALF_AFTER | LOAD_BYTE_AFTER => {
                    word = loaded;
                }
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
        let (v4, v6) = (claims(Family::Ipv4, &ours), claims(Family::Ipv6, &ours));
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
            let program = claims(Family::Ipv4, &ours);
            assert!(program.len() <= MOST, "{count}: {}", program.len());
            let last = count.saturating_sub(1).to_be_bytes();
            let frame = arp::announcement(last.into(), [2, 0, 0, 0, 0, 1]);
            assert!(count == 0 || takes(&program, &frame), "{count}");
        }
    }
    #[test]
    fn only_answers_of_a_link_are_replies() {
        let (asker, wanted) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let mut frame = arp::request([2, 0, 0, 0, 0, 1], asker, wanted, None);
        assert!(!takes(&replies(Family::Ipv4), &frame));
        frame[21] = 2;
        assert!(takes(&replies(Family::Ipv4), &frame));
        let vip = "2001:db8::1".parse().expect("an address");
        let asked = ndisc::solicitation([2, 0, 0, 0, 0, 1], vip, vip, None);
        let told = ndisc::announcement(vip, [2, 0, 0, 0, 0, 1], vip, true);
        assert!(!takes(&replies(Family::Ipv6), &asked));
        assert!(takes(&replies(Family::Ipv6), &told));
    }

    #[test]
    fn answers_to_our_port_and_errors_about_it_come_through() {
        let ends = [
            (Family::Ipv4, "10.0.0.1:80", "10.0.0.2:40000"),
            (Family::Ipv6, "[2001:db8::1]:80", "[2001:db8::2]:40000"),
        ];
        for (family, server, own) in ends {
            let (server, own) = (server.parse().expect("an end"), own.parse().expect("an end"));
            let filter = answers(family, 40000);
            let (asked, answer) = (tcp::syn(own, server, 1), tcp::syn(server, own, 1));
            assert!(takes(&filter, &answer.packet(2)), "{server}");
            assert!(!takes(&filter, &asked.packet(2)), "{server}");
            let mut error = answer.packet(2);
            let (protocol, kind, header) = match family {
                Family::Ipv4 => (9, 1, 20),
                Family::Ipv6 => (6, 58, 40),
            };
            error[protocol] = kind;
            error.truncate(header);
            error.extend([0; 8]);
            let noise = [&error[..], &answer.packet(2)].concat();
            error.extend(asked.packet(2));
            assert!(takes(&filter, &error), "{server}");
            assert!(!takes(&filter, &noise), "{server}");
            assert!(!takes(&filter, &[0x45; 20]), "{server}");
        }
    }

    #[test]
    fn what_comes_from_a_vip_comes_through_and_else_nothing() {
        let vips: [IpAddr; 2] = ["10.0.0.1", "2001:db8::1"].map(|a| a.parse().expect("one"));
        for (family, own, other) in [
            (Family::Ipv4, "10.0.0.1:80", "10.0.0.2:80"),
            (Family::Ipv6, "[2001:db8::1]:80", "[2001:db8::2]:80"),
        ] {
            let (own, other) = (own.parse().expect("an end"), other.parse().expect("an end"));
            let filter = returns(family, &vips);
            assert!(takes(&filter, &tcp::syn(own, other, 1).packet(2)), "{own}");
            assert!(!takes(&filter, &tcp::syn(other, own, 1).packet(2)), "{own}");
            assert!(!takes(&nothing(), &tcp::syn(own, other, 1).packet(2)), "{own}");
        }
    }

    #[test]
    fn only_replies_to_our_own_echoes_come_through() {
        let asked = Echo { identifier: 7, sequence: 1, payload: b"" }.request(true);
        let mut reply = asked.clone();
        reply[0] = icmp::kind::REPLY_V6;
        for (identifier, ours) in [(7, true), (8, false)] {
            assert_eq!(takes(&echoes(Family::Ipv6, identifier), &reply), ours);
            assert!(!takes(&echoes(Family::Ipv6, identifier), &asked));
            let v4 = [&[0x45; 20], &[0, 0, 0, 0, 0, 7, 0, 1][..]].concat();
            assert_eq!(takes(&echoes(Family::Ipv4, identifier), &v4), ours);
        }
    }
}
