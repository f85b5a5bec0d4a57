//! Packets inside of packets, as IPVS sends them to a server's tunnel device (ip_vs_xmit.c): IP in
//! IP (RFC 2003, 2473), generic routing encapsulation without options (RFC 2784) and generic UDP
//! encapsulation without extensions (draft-ietf-intarea-gue).
//!
//! The kernel makes the outer IP header; what lies between the two is made here.

use super::{ndisc, tcp};

/// IPv4 and IPv6 as payloads, and GRE (IANA protocol numbers).
const IPV4: u8 = 4;
const IPV6: u8 = 41;
const GRE: u8 = 47;

/// What a packet is wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tunnel {
    /// IP in IP.
    Ipip,
    /// Generic routing encapsulation.
    Gre,
    /// Generic UDP encapsulation, to this port.
    Gue(u16),
}

/// What carries a wrapped packet over IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Carrier {
    /// IP itself, as this protocol.
    Protocol(u8),
    /// UDP.
    Udp,
}

impl Tunnel {
    /// What carries it.
    pub(crate) fn carrier(self, inner_is_v6: bool) -> Carrier {
        match self {
            Tunnel::Ipip => Carrier::Protocol(inner(inner_is_v6)),
            Tunnel::Gre => Carrier::Protocol(GRE),
            Tunnel::Gue(_) => Carrier::Udp,
        }
    }

    /// The port that it goes to, 0 where there are none.
    pub(crate) fn port(self) -> u16 {
        match self {
            Tunnel::Ipip | Tunnel::Gre => 0,
            Tunnel::Gue(port) => port,
        }
    }

    /// The payload of what carries a packet.
    pub(crate) fn wrap(self, packet: &[u8]) -> Vec<u8> {
        let is_v6 = is_v6(packet);
        match self {
            Tunnel::Ipip => packet.to_vec(),
            Tunnel::Gre => {
                // RFC 2784 2.1: no checksum, version 0, and an EtherType.
                let protocol = if is_v6 { ndisc::ETHERTYPE } else { tcp::IPV4_ETHERTYPE };
                [&[0, 0], &protocol.to_be_bytes()[..], packet].concat()
            }
            // Version 0, a data message without optional fields, and no flags.
            Tunnel::Gue(_) => [&[0, inner(is_v6), 0, 0], packet].concat(),
        }
    }
}

/// Whether a packet is of IPv6.
pub(crate) fn is_v6(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first >> 4 == 6)
}

fn inner(is_v6: bool) -> u8 {
    if is_v6 { IPV6 } else { IPV4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: [u8; 3] = [0x45, 1, 2];
    const V6: [u8; 3] = [0x60, 1, 2];

    #[test]
    fn ip_in_ip_is_the_packet_itself_as_its_own_protocol() {
        assert_eq!(Tunnel::Ipip.wrap(&V4), V4);
        assert_eq!(Tunnel::Ipip.carrier(false), Carrier::Protocol(4));
        assert_eq!(Tunnel::Ipip.carrier(true), Carrier::Protocol(41));
    }

    #[test]
    fn gre_says_what_it_carries() {
        assert_eq!(Tunnel::Gre.wrap(&V4), [0, 0, 8, 0, 0x45, 1, 2]);
        assert_eq!(Tunnel::Gre.wrap(&V6), [0, 0, 0x86, 0xdd, 0x60, 1, 2]);
        assert_eq!(Tunnel::Gre.carrier(true), Carrier::Protocol(47));
        assert_eq!(Tunnel::Gre.port(), 0);
    }

    #[test]
    fn gue_says_what_it_carries_and_goes_to_a_port() {
        assert_eq!(Tunnel::Gue(6080).wrap(&V4), [0, 4, 0, 0, 0x45, 1, 2]);
        assert_eq!(Tunnel::Gue(6080).wrap(&V6), [0, 41, 0, 0, 0x60, 1, 2]);
        assert_eq!(Tunnel::Gue(6080).carrier(false), Carrier::Udp);
        assert_eq!(Tunnel::Gue(6080).port(), 6080);
    }
}
