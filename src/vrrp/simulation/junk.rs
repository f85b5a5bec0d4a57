//! Packets that no router may heed, each wrong in one way.
//!
//! All but the bytes of noise are whole advertisements of the highest priority for the router, so
//! that a receiver that misses the one fault would yield to them.

use std::net::IpAddr;
use std::time::Duration;

use super::bug::mirrored;
use super::random::Random;
use super::scenario::Junk;
use crate::vrrp::config::{Family, Interval, RouterConfig, Transport, Version};
use crate::vrrp::packet::{self, Advert, Auth, Envelope, GROUP_IPV4, GROUP_IPV6};

/// Where the interval of a v3 advertisement is (RFC 9568 5.1).
const INTERVAL: std::ops::Range<usize> = 4..6;

/// One packet of that kind for that router, or none where that kind cannot be.
pub fn make(kind: Junk, router: &RouterConfig, random: &mut Random) -> Option<(Vec<u8>, Envelope)> {
    let multicast = router.transport == Transport::Multicast;
    let peer = router.peers.first()?.address;
    let group: IpAddr = match router.family {
        Family::Ipv4 => GROUP_IPV4.into(),
        Family::Ipv6 => GROUP_IPV6.into(),
    };
    let destination = if multicast { group } else { router.source };
    let source = match kind {
        Junk::Own => router.source,
        // An address that no host has: theirs are low.
        Junk::Foreign if !multicast => mirrored(peer),
        _ => peer,
    };
    let ttl = if kind == Junk::Foreign { 254 } else { packet::TTL };
    if kind == Junk::Foreign && !multicast && router.family == Family::Ipv6 {
        // A link-local source is of this link.
        return None;
    }
    let envelope = Envelope { source, destination, ttl: Some(ttl) };
    let mut advert = Advert {
        version: router.version,
        vrid: router.vrid.get(),
        priority: 254,
        interval: router.interval,
        addresses: router.advertised(),
        auth: router.password.map_or(Auth::None, Auth::Pass),
    };
    match kind {
        Junk::Vrid => advert.vrid = 200,
        Junk::Version => {
            advert.version = match (router.version, router.family) {
                (Version::V3, Family::Ipv6) => return None,
                (Version::V3, Family::Ipv4) => Version::V2,
                (Version::V2, _) => Version::V3,
            };
            advert.interval = Interval::DEFAULT;
        }
        Junk::Password if router.version == Version::V2 => {
            advert.auth = Auth::Pass(*b"guesswrk");
        }
        Junk::Password => return None,
        Junk::Interval if router.version == Version::V2 => {
            let other = router.interval.get() + Duration::from_secs(1);
            advert.interval = Interval::new(Version::V2, other).ok()?;
        }
        _ => {}
    }
    let mut bytes = Vec::new();
    packet::emit(&advert, source, destination, router.checksum, &mut bytes);
    match kind {
        Junk::Noise => bytes = (0..random.position(64)).map(|_| random.byte()).collect(),
        Junk::Checksum => bytes[6] ^= 1 << random.position(8),
        Junk::Short => bytes.truncate(random.position(bytes.len())),
        Junk::Interval if router.version == Version::V3 => without_interval(&mut bytes),
        _ => {}
    }
    Some((bytes, envelope))
}

/// An advertisement of a router of another make, which is in no file. Only multicast carries it.
pub fn stranger(
    router: &RouterConfig,
    source: IpAddr,
    priority: u8,
) -> Option<(Vec<u8>, Envelope)> {
    let destination: IpAddr = match (router.transport, router.family) {
        (Transport::Unicast, _) => return None,
        (Transport::Multicast, Family::Ipv4) => GROUP_IPV4.into(),
        (Transport::Multicast, Family::Ipv6) => GROUP_IPV6.into(),
    };
    let advert = Advert {
        version: router.version,
        vrid: router.vrid.get(),
        priority,
        interval: router.interval,
        addresses: router.advertised(),
        auth: router.password.map_or(Auth::None, Auth::Pass),
    };
    let envelope = Envelope { source, destination, ttl: Some(packet::TTL) };
    let mut bytes = Vec::new();
    packet::emit(&advert, source, destination, router.checksum, &mut bytes);
    Some((bytes, envelope))
}

/// Takes the interval out and lets the checksum be right: it is the complement of a sum.
fn without_interval(bytes: &mut [u8]) {
    let interval = u16::from_be_bytes([bytes[INTERVAL.start], bytes[INTERVAL.start + 1]]);
    let checksum = u16::from_be_bytes([bytes[6], bytes[7]]);
    let (sum, carry) = checksum.overflowing_add(interval);
    bytes[INTERVAL].fill(0);
    bytes[6..8].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
}
