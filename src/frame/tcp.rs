//! TCP segments without data, as whole IP packets of either family (RFC 9293, 791, 8200).
//!
//! Just enough to knock at a port by hand and to understand what comes back: a SYN, a reset, and
//! who said what to whom. Checksums of what comes in are not looked at: a segment that never left
//! the machine, as between virtual ones, has none yet. Whoever asks knows an answer by its
//! acknowledgement number. Reading never panics, and gives nothing for what is not whole.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::checksum::Sum;
use super::{ndisc, tunnel};

/// The protocol number.
pub(crate) const PROTOCOL: u8 = 6;
/// The EtherType of IPv4.
pub(crate) const IPV4_ETHERTYPE: u16 = 0x0800;
/// Of an IPv4 header without options, and of IPv6's.
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
/// What fits into Ethernet's 1500 bytes after both headers (RFC 9293 3.7.1).
const SEGMENT_IPV4: u16 = 1460;
const SEGMENT_IPV6: u16 = 1440;
/// Any window will do: no byte of data is to come.
const WINDOW: u16 = 64240;

/// The control bits (RFC 9293 3.1).
pub(crate) mod flag {
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RESET: u8 = 0x04;
    pub(crate) const ACK: u8 = 0x10;
}

/// What a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) sequence: u32,
    pub(crate) acknowledgement: u32,
    pub(crate) flags: u8,
}

impl Segment {
    /// Whether these bits are set, whatever the others are.
    pub(crate) fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The packet that carries it, with this TTL or hop limit. Ends of two families make none.
    pub(crate) fn packet(&self, hops: u8) -> Vec<u8> {
        let (source, destination) = (self.source.ip(), self.destination.ip());
        let mut segment = self.bytes();
        let sum = Sum::pseudo_header(source, destination, PROTOCOL, segment.len()).add(&segment);
        segment[16..18].copy_from_slice(&sum.checksum().to_be_bytes());
        wrap(source, destination, PROTOCOL, hops, &segment)
    }

    /// Without the checksum.
    fn bytes(&self) -> Vec<u8> {
        let most = if self.source.is_ipv4() { SEGMENT_IPV4 } else { SEGMENT_IPV6 };
        let [high, low] = most.to_be_bytes();
        // RFC 9293 3.7.1: only a SYN says how long a segment may be.
        let options: &[u8] = if self.has(flag::SYN) { &[2, 4, high, low] } else { &[] };
        let words = u8::try_from((TCP_HEADER + options.len()) / 4).expect("six at most");
        let mut bytes = Vec::with_capacity(TCP_HEADER + options.len());
        bytes.extend(self.source.port().to_be_bytes());
        bytes.extend(self.destination.port().to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledgement.to_be_bytes());
        bytes.extend([words << 4, self.flags]);
        bytes.extend(WINDOW.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(options);
        bytes
    }
}

/// The SYN that opens a connection.
pub(crate) fn syn(source: SocketAddr, destination: SocketAddr, sequence: u32) -> Segment {
    Segment { source, destination, sequence, acknowledgement: 0, flags: flag::SYN }
}

/// The reset that ends what this answer is of (RFC 9293 3.5.2: it takes its number from the
/// acknowledgement).
pub(crate) fn reset(answer: &Segment) -> Segment {
    Segment {
        source: answer.destination,
        destination: answer.source,
        sequence: answer.acknowledgement,
        acknowledgement: 0,
        flags: flag::RESET,
    }
}

/// A packet of either family in an Ethernet frame.
pub(crate) fn framed(to: [u8; 6], from: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let ethertype = if tunnel::is_v6(packet) { ndisc::ETHERTYPE } else { IPV4_ETHERTYPE };
    [&to[..], &from, &ethertype.to_be_bytes(), packet].concat()
}

/// The segment in a packet. A fragment is none.
pub(crate) fn segment(packet: &[u8]) -> Option<Segment> {
    let ip = Ip::of(packet)?;
    let head = ip.payload.first_chunk::<TCP_HEADER>()?;
    (ip.protocol == PROTOCOL).then(|| {
        let number =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let port = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        Segment {
            source: SocketAddr::new(ip.source, port(0)),
            destination: SocketAddr::new(ip.destination, port(2)),
            sequence: number(4),
            acknowledgement: number(8),
            flags: head[13],
        }
    })
}

/// A packet of either family: what its header says, and what is after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ip<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) payload: &'a [u8],
}

impl<'a> Ip<'a> {
    /// Reads a packet. What ends sooner than its header says, as quotes in ICMP do, is taken as far
    /// as it goes. Extension headers of IPv6 are not followed: nobody puts them before TCP.
    pub(crate) fn of(packet: &'a [u8]) -> Option<Ip<'a>> {
        match packet.first()? >> 4 {
            4 => Ip::v4(packet),
            6 => Ip::v6(packet),
            _ => None,
        }
    }

    fn v4(packet: &'a [u8]) -> Option<Ip<'a>> {
        let head = packet.first_chunk::<IPV4_HEADER>()?;
        let long = usize::from(head[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([head[2], head[3]]));
        // More to come, or not the first part.
        let is_fragment = u16::from_be_bytes([head[6], head[7]]) & 0x3fff != 0;
        let payload = packet.get(long.max(IPV4_HEADER)..total.min(packet.len()))?;
        let [source, destination] = [12, 16]
            .map(|at| Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]).into());
        (!is_fragment).then_some(Ip { source, destination, protocol: head[9], payload })
    }

    fn v6(packet: &'a [u8]) -> Option<Ip<'a>> {
        let (head, rest) = packet.split_first_chunk::<IPV6_HEADER>()?;
        let length = usize::from(u16::from_be_bytes([head[4], head[5]]));
        let source = Ipv6Addr::from(*head[8..].first_chunk::<16>()?).into();
        let destination = Ipv6Addr::from(*head.last_chunk::<16>()?).into();
        let payload = rest.get(..length.min(rest.len()))?;
        Some(Ip { source, destination, protocol: head[6], payload })
    }
}

/// An IP packet around a payload.
fn wrap(source: IpAddr, destination: IpAddr, protocol: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (source, destination) else {
        return wrap_v6(source, destination, protocol, hops, payload);
    };
    let total = u16::try_from(IPV4_HEADER + payload.len()).expect("a segment without data");
    let [high, low] = total.to_be_bytes();
    // Not to be taken apart, so that it needs no number of its own (RFC 6864 4.1).
    let mut packet = vec![0x45, 0, high, low, 0, 0, 0x40, 0, hops, protocol, 0, 0];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    let checksum = Sum::default().add(&packet).checksum();
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(payload);
    packet
}

fn wrap_v6(source: IpAddr, destination: IpAddr, protocol: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (source, destination) else {
        return Vec::new();
    };
    let length = u16::try_from(payload.len()).expect("a segment without data");
    let [high, low] = length.to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, high, low, protocol, hops];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(payload);
    packet
}

#[cfg(test)]
mod tests;
