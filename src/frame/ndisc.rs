//! Neighbour discovery (RFC 4861) as far as a VIP needs it: to announce it, to ask for it, and to
//! hear who else has it.
//!
//! Frames are plain bytes with their Ethernet header, without VLAN tag, as packet sockets have
//! them. Reading one makes the checks of RFC 4861 7.1, never panics, and gives nothing for what is
//! not whole. ICMPv6 behind extension headers is not looked for: no neighbour sends it so.

use std::net::{IpAddr, Ipv6Addr};

use super::checksum::Sum;
use super::claim::{Claim, How};

/// The EtherType of IPv6, for sockets and filters.
pub const ETHERTYPE: u16 = 0x86dd;
/// Bytes of an announcement.
pub const BYTES: usize = HEADERS + ADVERTISEMENT_BYTES;

/// All nodes of the link (RFC 4291 2.7.1), and their MAC (RFC 2464 7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ETHERNET: usize = 14;
/// Ethernet and IPv6.
const HEADERS: usize = ETHERNET + 40;
/// Type to target, and one option.
const ADVERTISEMENT_BYTES: usize = BEFORE_OPTIONS + 8;
/// Of a solicitation as of an advertisement: type, code, checksum, flags and target.
const BEFORE_OPTIONS: usize = 24;
const ICMPV6: u8 = 58;
/// It shows that the packet is from this link (RFC 4861 7.1.1, 7.1.2).
const HOP_LIMIT: u8 = 255;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// The flags of an advertisement (RFC 4861 4.4).
mod flag {
    pub(super) const ROUTER: u8 = 0x80;
    pub(super) const SOLICITED: u8 = 0x40;
    pub(super) const OVERRIDE: u8 = 0x20;
}

/// The options that carry a MAC (RFC 4861 4.6.1), 8 bytes each.
mod option {
    pub(super) const SOURCE: u8 = 1;
    pub(super) const TARGET: u8 = 2;
}

/// The frame that tells the whole link that `vip` is at `mac`: an unsolicited neighbour
/// advertisement that overrides what is known (RFC 9568 6.4.2, RFC 4861 7.2.6). `source` is an
/// address of the interface that it leaves by; keepalived uses the VIP. `router` says that this
/// host forwards IPv6: hosts drop their routes through a router that says it is none (RFC 4861
/// 7.2.5).
pub fn announcement(vip: Ipv6Addr, mac: [u8; 6], source: Ipv6Addr, router: bool) -> Vec<u8> {
    let flags = flag::OVERRIDE | if router { flag::ROUTER } else { 0 };
    let mut message = vec![ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    message.extend(vip.octets());
    message.extend([option::TARGET, 1]);
    message.extend(mac);
    frame((ALL_NODES_MAC, mac), (source, ALL_NODES), message)
}

/// The frame that asks who has `wanted` (RFC 4861 7.2.2), from an address of the interface that it
/// leaves by: all whose addresses end like it, or only the one who had it so far.
pub fn solicitation(
    mac: [u8; 6],
    asker: Ipv6Addr,
    wanted: Ipv6Addr,
    last: Option<[u8; 6]>,
) -> Vec<u8> {
    let mut message = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    message.extend(wanted.octets());
    message.extend([option::SOURCE, 1]);
    message.extend(mac);
    let [.., a, b, c] = wanted.octets();
    // RFC 4291 2.7.1 and RFC 2464 7.
    let group =
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let (to, destination) = match last {
        Some(last) => (last, wanted),
        None => ([0x33, 0x33, 0xff, a, b, c], group),
    };
    frame((to, mac), (asker, destination), message)
}

/// A message of ICMPv6 on its way to a MAC from one, with its checksum.
fn frame(
    (to, from): ([u8; 6], [u8; 6]),
    (source, destination): (Ipv6Addr, Ipv6Addr),
    mut message: Vec<u8>,
) -> Vec<u8> {
    let sum = pseudo_header(source, destination, message.len()).add(&message);
    message[2..4].copy_from_slice(&sum.checksum().to_be_bytes());
    let mut frame = Vec::with_capacity(BYTES);
    frame.extend(to);
    frame.extend(from);
    frame.extend(ETHERTYPE.to_be_bytes());
    let length = u8::try_from(message.len()).expect("a header of 24 bytes and an option of 8");
    frame.extend([0x60, 0, 0, 0, 0, length, ICMPV6, HOP_LIMIT]);
    frame.extend(source.octets());
    frame.extend(destination.octets());
    frame.extend(message);
    frame
}

/// Which address the sender of a frame says is its own. An advertisement claims its target,
/// solicited or not; a solicitation the address that it is asked from, for the one who is asked
/// learns it (RFC 4861 7.2.3). One that asks whether an address is free comes from no address (RFC
/// 4862 5.4.2) and claims nothing yet.
pub fn claimed(frame: &[u8]) -> Option<Claim> {
    let packet = Packet::of(frame)?;
    let (head, mut options) = packet.message.split_first_chunk::<BEFORE_OPTIONS>()?;
    let &[kind, code, _, _, flags, _, _, _, ref target @ ..] = head;
    let target = Ipv6Addr::from(*target);
    // RFC 4861 7.1.1 and 7.1.2: the code is 0, and nobody resolves a group's address.
    if code != 0 || target.is_multicast() {
        return None;
    }
    let (to_group, answers) = (packet.destination.is_multicast(), flags & flag::SOLICITED != 0);
    let (address, carrier, how) = match kind {
        SOLICITATION => (packet.source, option::SOURCE, How::Asking),
        // RFC 4861 7.1.2: what goes to a group answers nobody.
        ADVERTISEMENT if to_group && answers => return None,
        ADVERTISEMENT if answers => (target, option::TARGET, How::Answering),
        ADVERTISEMENT => (target, option::TARGET, How::Announced),
        _ => return None,
    };
    // To a neighbour that has just used it, the MAC need not be repeated (RFC 4861 4.4).
    let mut mac = packet.sender;
    while let Some((option, rest)) = next_option(options)? {
        if let [kind, 1, carried @ ..] = option
            && *kind == carrier
        {
            mac = *carried.first_chunk()?;
        }
        options = rest;
    }
    let can_be_held = !(address.is_unspecified() || address.is_multicast());
    can_be_held.then_some(Claim { address: IpAddr::V6(address), mac, how })
}

/// A whole ICMPv6 message of this link with a right checksum.
struct Packet<'a> {
    sender: [u8; 6],
    source: Ipv6Addr,
    destination: Ipv6Addr,
    message: &'a [u8],
}

impl<'a> Packet<'a> {
    fn of(frame: &'a [u8]) -> Option<Self> {
        let (headers, after) = frame.split_first_chunk::<HEADERS>()?;
        let (ethernet, ipv6) = headers.split_first_chunk::<ETHERNET>()?;
        let (fixed, addresses) = ipv6.split_first_chunk::<8>()?;
        let &[version_class, _, _, _, high, low, next_header, hop_limit] = fixed;
        let is_ipv6 = ethernet.ends_with(&ETHERTYPE.to_be_bytes()) && version_class >> 4 == 6;
        if !is_ipv6 || next_header != ICMPV6 || hop_limit != HOP_LIMIT {
            return None;
        }
        // Ethernet may have padded what follows.
        let message = after.get(..usize::from(u16::from_be_bytes([high, low])))?;
        let source = Ipv6Addr::from(*addresses.first_chunk::<16>()?);
        let destination = Ipv6Addr::from(*addresses.last_chunk::<16>()?);
        let sum = pseudo_header(source, destination, message.len()).add(message);
        let sender = *ethernet.get(6..)?.first_chunk::<6>()?;
        sum.is_right().then_some(Packet { sender, source, destination, message })
    }
}

/// The first option and what follows it; `Some(None)` at the end, `None` where one is of no length
/// or not whole, which spoils the message (RFC 4861 7.1.1, 7.1.2).
fn next_option(options: &[u8]) -> Option<Option<(&[u8], &[u8])>> {
    if options.is_empty() {
        return Some(None);
    }
    let length = usize::from(*options.get(1)?) * 8;
    if length == 0 {
        return None;
    }
    options.split_at_checked(length).map(Some)
}

fn pseudo_header(source: Ipv6Addr, destination: Ipv6Addr, length: usize) -> Sum {
    Sum::pseudo_header(IpAddr::V6(source), IpAddr::V6(destination), ICMPV6, length)
}

#[cfg(test)]
mod tests;
