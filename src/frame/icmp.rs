//! ICMP of both families (RFC 792, RFC 4443): echoes, and what a host says when it does not take
//! a segment of ours.
//!
//! An error quotes the packet that it is about; only one that quotes our own can be told apart from
//! noise, so who asks compares the quote. Reading never panics, and gives nothing for what is not
//! whole.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::checksum::Sum;
use super::tcp::{self, Ip};

const ICMPV4: u8 = 1;
const ICMPV6: u8 = 58;
/// Type, code, checksum, identifier and sequence number; or four bytes before the quote.
const HEADER: usize = 8;

/// Types of messages.
pub(crate) mod kind {
    pub(crate) const ECHO_V4: u8 = 8;
    pub(crate) const ECHO_V6: u8 = 128;
    pub(crate) const REPLY_V4: u8 = 0;
    pub(crate) const REPLY_V6: u8 = 129;
    pub(crate) const UNREACHABLE_V4: u8 = 3;
    pub(crate) const UNREACHABLE_V6: u8 = 1;
    pub(crate) const REDIRECT_V4: u8 = 5;
    pub(crate) const EXPIRED_V4: u8 = 11;
    pub(crate) const EXPIRED_V6: u8 = 3;
}

/// An echo, without its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Echo<'a> {
    pub(crate) identifier: u16,
    pub(crate) sequence: u16,
    pub(crate) payload: &'a [u8],
}

impl Echo<'_> {
    /// The message that asks for it. IPv6's checksum is left to the kernel, which always makes it.
    pub(crate) fn request(&self, v6: bool) -> Vec<u8> {
        let mut message = vec![if v6 { kind::ECHO_V6 } else { kind::ECHO_V4 }, 0, 0, 0];
        message.extend(self.identifier.to_be_bytes());
        message.extend(self.sequence.to_be_bytes());
        message.extend(self.payload);
        let checksum = Sum::default().add(&message).checksum();
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        message
    }

    /// The echo in a message of this type.
    fn of(message: &[u8], wanted: u8) -> Option<Echo<'_>> {
        let (&[kind, code, _, _, a, b, c, d], payload) = message.split_first_chunk::<HEADER>()?;
        let echo = Echo {
            identifier: u16::from_be_bytes([a, b]),
            sequence: u16::from_be_bytes([c, d]),
            payload,
        };
        (kind == wanted && code == 0).then_some(echo)
    }

    /// The reply in a message.
    pub(crate) fn reply(message: &[u8], v6: bool) -> Option<Echo<'_>> {
        Echo::of(message, if v6 { kind::REPLY_V6 } else { kind::REPLY_V4 })
    }

    /// The request in a message, as an error gives it back.
    pub(crate) fn asked(message: &[u8], v6: bool) -> Option<Echo<'_>> {
        Echo::of(message, if v6 { kind::ECHO_V6 } else { kind::ECHO_V4 })
    }
}

/// What a host says that does not take a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It would pass it on and cannot.
    Unreachable,
    /// It takes it for its own, but the port is closed.
    Port,
    /// It may not.
    Prohibited,
    /// It would pass it on, but it has come too far.
    Expired,
    /// It passes it on, and knows a better way.
    Redirected,
}

impl Refused {
    /// What a message of this type and code says, if it is such a word.
    pub(crate) fn of(kind: u8, code: u8, v6: bool) -> Option<Refused> {
        match (v6, kind, code) {
            (false, kind::UNREACHABLE_V4, 0 | 1 | 5..=8 | 11 | 12) => Some(Refused::Unreachable),
            (false, kind::UNREACHABLE_V4, 2 | 3) => Some(Refused::Port),
            (false, kind::UNREACHABLE_V4, 9 | 10 | 13..=15) => Some(Refused::Prohibited),
            (false, kind::REDIRECT_V4, _) => Some(Refused::Redirected),
            (false, kind::EXPIRED_V4, 0) | (true, kind::EXPIRED_V6, 0) => Some(Refused::Expired),
            (true, kind::UNREACHABLE_V6, 0 | 2 | 3) => Some(Refused::Unreachable),
            (true, kind::UNREACHABLE_V6, 4) => Some(Refused::Port),
            (true, kind::UNREACHABLE_V6, 1 | 5 | 6) => Some(Refused::Prohibited),
            _ => None,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Unreachable => "host unreachable",
            Refused::Port => "port unreachable",
            Refused::Prohibited => "administratively prohibited",
            Refused::Expired => "time exceeded",
            Refused::Redirected => "redirect",
        })
    }
}

/// An error about a TCP segment: who says what, and the ends and the number of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) from: IpAddr,
    pub(crate) why: Refused,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) sequence: u32,
}

/// The error in a packet.
pub(crate) fn refusal(packet: &[u8]) -> Option<Refusal> {
    let ip = Ip::of(packet)?;
    let v6 = match (ip.source, ip.protocol) {
        (IpAddr::V4(_), ICMPV4) => false,
        (IpAddr::V6(_), ICMPV6) => true,
        _ => return None,
    };
    let (&[kind, code, ..], quote) = ip.payload.split_first_chunk::<HEADER>()?;
    let why = Refused::of(kind, code, v6)?;
    let quoted = Ip::of(quote)?;
    // RFC 792: of what is quoted, the first eight bytes after its header have to be there.
    let &[a, b, c, d, e, f, g, h] = quoted.payload.first_chunk::<8>()?;
    (quoted.protocol == tcp::PROTOCOL).then(|| Refusal {
        from: ip.source,
        why,
        source: SocketAddr::new(quoted.source, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(quoted.destination, u16::from_be_bytes([c, d])),
        sequence: u32::from_be_bytes([e, f, g, h]),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn syn() -> Vec<u8> {
        let ends = ["10.77.0.9:40000", "10.77.0.100:80"].map(|at| at.parse().expect("an end"));
        tcp::syn(ends[0], ends[1], 0x0102_0304).packet(2)
    }

    /// A host without the VIP that forwards: the SYN came too far.
    fn expired() -> Vec<u8> {
        let syn = syn();
        let mut packet = vec![0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 10, 77, 0, 1, 10, 77, 0, 9];
        packet.extend([11, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend(&syn[..28]);
        packet
    }

    #[test]
    fn an_error_names_the_segment_that_it_is_about() {
        let refusal = refusal(&expired()).expect("an error");
        assert_eq!(refusal.from, IpAddr::from([10, 77, 0, 1]));
        assert_eq!(refusal.why, Refused::Expired);
        assert_eq!(refusal.source.to_string(), "10.77.0.9:40000");
        assert_eq!(refusal.destination.to_string(), "10.77.0.100:80");
        assert_eq!(refusal.sequence, 0x0102_0304);
    }

    #[test]
    fn an_error_of_ipv6_does_so_too() {
        let ends = ["[2001:db8::9]:40000", "[2001:db8::100]:80"];
        let ends = ends.map(|at| at.parse().expect("an end"));
        let syn = tcp::syn(ends[0], ends[1], 7).packet(2);
        let mut packet = vec![0x60, 0, 0, 0, 0, 72, 58, 64];
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        packet.extend([1, 1, 0, 0, 0, 0, 0, 0]);
        packet.extend(syn);
        let refusal = refusal(&packet).expect("an error");
        assert_eq!((refusal.why, refusal.sequence), (Refused::Prohibited, 7));
        assert_eq!(refusal.source, ends[0]);
    }

    #[test]
    fn a_cut_error_and_one_about_something_else_say_nothing() {
        let whole = expired();
        for length in 0..whole.len() {
            assert_eq!(refusal(&whole[..length]), None, "{length} bytes");
        }
        // Another protocol around and inside, another type, a quote of no packet.
        for (place, byte) in [(9, 6), (20, 0), (21, 1), (37, 17), (28, 0)] {
            let mut other = whole.clone();
            other[place] = byte;
            assert_eq!(refusal(&other), None, "byte {place} is {byte}");
        }
    }

    #[test]
    fn an_echo_is_asked_for_and_comes_back() {
        let echo = Echo { identifier: 0x0102, sequence: 0x0304, payload: b"abcd" };
        let request = echo.request(false);
        assert_eq!(request, [8, 0, 0x2f, 0x33, 1, 2, 3, 4, b'a', b'b', b'c', b'd']);
        assert_eq!(Echo::reply(&request, false), None);
        assert_eq!(Echo::asked(&request, false), Some(echo));
        let reply = [&[0, 0], &request[2..]].concat();
        assert_eq!(Echo::reply(&reply, false), Some(echo));
        assert_eq!(Echo::reply(&reply, true), None);
        assert_eq!(Echo::reply(&reply[..7], false), None);
        assert_eq!(echo.request(true)[0], kind::ECHO_V6);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn no_packet_makes_it_panic(
            noise in proptest::collection::vec(any::<u8>(), 0..120),
            damage in proptest::collection::vec((0..56usize, any::<u8>()), 0..4),
            length in 0..=56usize,
        ) {
            refusal(&noise);
            Echo::reply(&noise, false);
            let mut packet = expired();
            damage.into_iter().for_each(|(place, byte)| packet[place] = byte);
            refusal(&packet[..length]);
        }
    }
}
