//! Says anything as VRRP to the multicast group, right or wrong, from a host of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use converge::vrrp::config::{Checksum, Interval, Version};
use converge::vrrp::packet::{Advert, Auth, GROUP_IPV4, PROTOCOL, emit};
use socket2::{Domain, Protocol, Socket, Type};

use super::ear::within;
use super::pairing::{Family, VRID};
use crate::failover::segment::Segment;

/// Host `c`.
const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);

pub struct Voice(Socket);

impl Voice {
    /// Speaks from host `c`.
    pub fn of_c(segment: &Segment) -> Voice {
        let socket = within(segment, "c", || {
            let vrrp = Some(Protocol::from(i32::from(PROTOCOL)));
            Socket::new(Domain::IPV4, Type::RAW, vrrp).expect("a raw socket")
        });
        socket.set_multicast_if_v4(&OWN).expect("its own address");
        Voice(socket)
    }

    /// One packet.
    pub fn say(&self, ttl: u32, bytes: &[u8]) {
        self.0.set_multicast_ttl_v4(ttl).expect("a TTL");
        let group = SocketAddr::new(GROUP_IPV4.into(), 0);
        self.0.send_to(bytes, &group.into()).expect("a packet goes out");
    }
}

/// A right advertisement from `c`, of version 3 or 2.
pub fn advert(version: Version, priority: u8) -> Vec<u8> {
    let vip: IpAddr = Family::Ipv4.vip().parse().expect("an address");
    let interval = Interval::new(version, Duration::from_secs(1)).expect("a second");
    let (addresses, auth) = (vec![vip], Auth::None);
    let advert = Advert { version, vrid: VRID, priority, interval, addresses, auth };
    let mut bytes = Vec::new();
    emit(&advert, OWN.into(), GROUP_IPV4.into(), Checksum::PseudoHeader, &mut bytes);
    bytes
}

/// The same with other bytes from `at` on, and a checksum that is right for them.
pub fn altered(mut bytes: Vec<u8>, at: usize, new: &[u8]) -> Vec<u8> {
    // RFC 1624: only what differs counts.
    let mut sum = u32::from(!u16::from_be_bytes([bytes[6], bytes[7]]));
    let before = words(&bytes);
    bytes[at..at + new.len()].copy_from_slice(new);
    sum += words(&bytes) + (0xffff - before % 0xffff);
    bytes[6..8].copy_from_slice(&(!folded(sum)).to_be_bytes());
    bytes
}

fn words(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum()
}

fn folded(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("folded")
}
