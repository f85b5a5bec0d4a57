//! Advertisements as bytes: VRRPv2 (RFC 3768) over IPv4, VRRPv3 (RFC 5798, RFC 9568 with errata
//! 8298 to 8301) over IPv4 and IPv6.
//!
//! [`parse`] makes every check that needs nothing but the packet and what the IP header said; it
//! gives an [`Advert`] or the reason for the [`Discard`], and never panics. Whether the advert is
//! for a router of ours (identifier, version, password, interval of version 2, peers, addresses)
//! is judged by the router. [`emit`] makes what [`parse`] takes.
//!
//! Of version 2, authentication by none and by a plain password (PASS) is spoken.

mod discard;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::config::{Checksum, Family, Interval, Version};
use crate::frame::checksum::Sum;

pub use discard::{Discard, Note};

/// The IP protocol or next header (RFC 9568 5.1.1.4).
pub const PROTOCOL: u8 = 112;
/// Where IPv4 advertisements go (RFC 9568 5.1.1.2).
pub const GROUP_IPV4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where IPv6 advertisements go (RFC 9568 5.1.2.2).
pub const GROUP_IPV6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// The TTL and hop limit that every advertisement is sent with (RFC 9568 5.1.1.3).
pub const TTL: u8 = 255;
/// The addresses that fit in one advertisement: the count has 8 bits.
pub const MOST_ADDRESSES: usize = 255;
/// The longest advertisement: 255 IPv6 addresses. A buffer of this size cuts none off.
pub const MOST_BYTES: usize = HEADER + MOST_ADDRESSES * 16;

/// Bytes before the addresses.
const HEADER: usize = 8;
/// Where the checksum is.
const CHECKSUM: std::ops::Range<usize> = 6..8;
/// Bytes after the addresses of version 2, whatever the authentication is (RFC 3768 5.3.10).
const AUTH_DATA: usize = 8;
/// The only type (RFC 9568 5.2.2).
const ADVERTISEMENT: u8 = 1;
/// The Max Advertise Interval without the reserved bits before it (RFC 9568 5.2.6).
const INTERVAL_BITS: u16 = 0x0fff;

/// Authentication types of version 2 (RFC 2338 5.3.6; RFC 3768 keeps only 0).
mod auth_type {
    pub(super) const NONE: u8 = 0;
    pub(super) const PASS: u8 = 1;
    pub(super) const HEADER: u8 = 2;
}

/// What an advertisement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// The version of the packet.
    pub version: Version,
    /// The virtual router. 0 is nobody's, and not refused here.
    pub vrid: u8,
    /// 1 to 254; 0 resigns, 255 owns the addresses (RFC 9568 5.2.4).
    pub priority: u8,
    /// How often the sender advertises itself.
    pub interval: Interval,
    /// The addresses in the packet's order, 1 to [`MOST_ADDRESSES`], all of the packet's family.
    pub addresses: Vec<IpAddr>,
    /// The authentication of version 2; version 3 has none.
    pub auth: Auth,
}

/// The authentication of a version 2 packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// None; the only one of version 3.
    None,
    /// A password that anybody can read on the wire, filled up with zeros.
    Pass([u8; 8]),
    /// Another type, which is sent without data and never comes out of [`parse`].
    Other(u8),
}

/// Shows no password, so that no log can.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Auth::None => f.write_str("None"),
            Auth::Pass(_) => f.write_str("Pass(…)"),
            Auth::Other(kind) => write!(f, "Other({kind})"),
        }
    }
}

/// What the IP header of a packet said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who sent it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// Its TTL or hop limit, where the socket told.
    pub ttl: Option<u8>,
}

/// What the receiver is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Packets of its own link: the TTL or hop limit must be 255 (RFC 9568 7.1). A packet to a
    /// multicast group must have it in any case. On unicast it says nothing: keepalived sends IPv6
    /// with 64, and peers may be behind a router.
    pub multicast: bool,
}

/// An advertisement that came in whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What it says.
    pub advert: Advert,
    /// What its checksum covers. Only v3 over IPv4 leaves a choice: version 2 has
    /// [`Checksum::Message`], IPv6 [`Checksum::PseudoHeader`].
    pub checksum: Checksum,
    /// What is odd about it.
    pub notes: Vec<Note>,
}

/// Reads the payload of an IP packet. The order is that of RFC 9568 7.1, except that fields are
/// believed only once the checksum is right.
pub fn parse(payload: &[u8], envelope: &Envelope, expect: &Expect) -> Result<Received, Discard> {
    check_ttl(envelope, expect)?;
    let family = family_of(envelope)?;
    let Some((header, _)) = payload.split_first_chunk::<HEADER>() else {
        return Err(Discard::Truncated { length: payload.len(), needed: HEADER });
    };
    let &[version_type, vrid, priority, count, fifth, sixth, _, _] = header;
    let version = version_of(version_type, family)?;
    let needed = needed(version, family, count)?;
    let Some(message) = payload.get(..needed) else {
        return Err(Discard::Truncated { length: payload.len(), needed });
    };
    let checksum = checksum_of(message, version, envelope)?;
    let interval = match version {
        Version::V2 => Interval::from_seconds(sixth),
        // The bits before the interval are reserved and ignored (RFC 9568 5.2.6).
        Version::V3 => {
            Interval::from_centiseconds(u16::from_be_bytes([fifth, sixth]) & INTERVAL_BITS)
        }
    };
    let interval = interval.ok_or(Discard::NoInterval)?;
    let auth = match version {
        Version::V2 => auth_of(fifth, message)?,
        Version::V3 => Auth::None,
    };
    let addresses = addresses_of(message, family, count);
    let notes = notes_on(envelope.source, &addresses, payload.len() - needed);
    let advert = Advert { version, vrid, priority, interval, addresses, auth };
    Ok(Received { advert, checksum, notes })
}

/// Makes `out` the payload of an IP packet from `source` to `destination`; what was in it is gone.
/// The form of the checksum is a choice only for v3 over IPv4.
///
/// # Panics
///
/// If the addresses are none, more than [`MOST_ADDRESSES`], or not all of one family, or if
/// version 2 is to go over IPv6: whoever made the advert has not checked its configuration.
pub fn emit(
    advert: &Advert,
    source: IpAddr,
    destination: IpAddr,
    checksum: Checksum,
    out: &mut Vec<u8>,
) {
    let family = Family::of(destination);
    assert_eq!(Family::of(source), family, "a packet has addresses of one family");
    assert!(advert.version == Version::V3 || family == Family::Ipv4, "RFC 3768 knows no IPv6");
    let count = u8::try_from(advert.addresses.len()).unwrap_or(0);
    assert!(count > 0, "an advert has 1 to 255 addresses, not {}", advert.addresses.len());
    out.clear();
    let (number, [fifth, sixth]) = match advert.version {
        Version::V2 => (2, [type_of(advert.auth), advert.interval.seconds()]),
        Version::V3 => (3, advert.interval.centiseconds().to_be_bytes()),
    };
    let version_type = (number << 4) | ADVERTISEMENT;
    out.extend([version_type, advert.vrid, advert.priority, count, fifth, sixth, 0, 0]);
    for address in &advert.addresses {
        assert_eq!(Family::of(*address), family, "{address} is not of the packet's family");
        match address {
            IpAddr::V4(address) => out.extend(address.octets()),
            IpAddr::V6(address) => out.extend(address.octets()),
        }
    }
    if advert.version == Version::V2 {
        out.extend(data_of(advert.auth));
    }
    let start = match covered(advert.version, family, checksum) {
        Checksum::Message => Sum::default(),
        Checksum::PseudoHeader => Sum::pseudo_header(source, destination, PROTOCOL, out.len()),
    };
    let sum = start.add(out).checksum();
    out[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
}

/// What the checksum covers, given the choice for v3 over IPv4.
fn covered(version: Version, family: Family, chosen: Checksum) -> Checksum {
    match (version, family) {
        // RFC 3768 5.3.8: the message only.
        (Version::V2, Family::Ipv4 | Family::Ipv6) => Checksum::Message,
        // RFC 5798 5.2.8 has a pseudo-header for both families, RFC 9568 5.2.8 for IPv6 only.
        (Version::V3, Family::Ipv4) => chosen,
        (Version::V3, Family::Ipv6) => Checksum::PseudoHeader,
    }
}

/// RFC 9568 7.1 and RFC 3768 7.1: "MUST verify that the IP TTL is 255", where it can say something.
fn check_ttl(envelope: &Envelope, expect: &Expect) -> Result<(), Discard> {
    if !expect.multicast && !envelope.destination.is_multicast() {
        return Ok(());
    }
    match envelope.ttl {
        Some(TTL) => Ok(()),
        Some(ttl) => Err(Discard::Ttl { ttl }),
        None => Err(Discard::TtlUnknown),
    }
}

fn family_of(envelope: &Envelope) -> Result<Family, Discard> {
    let (from, to) = (envelope.source, envelope.destination);
    match Family::of(from) == Family::of(to) {
        true => Ok(Family::of(from)),
        false => Err(Discard::Families { from, to }),
    }
}

/// RFC 9568 7.1: version and type, which share a byte.
fn version_of(version_type: u8, family: Family) -> Result<Version, Discard> {
    let version = match (version_type >> 4, family) {
        (2, Family::Ipv4) => Version::V2,
        (2, Family::Ipv6) => return Err(Discard::V2OverIpv6),
        (3, Family::Ipv4 | Family::Ipv6) => Version::V3,
        (version, Family::Ipv4 | Family::Ipv6) => return Err(Discard::Version { version }),
    };
    match version_type & 0x0f {
        ADVERTISEMENT => Ok(version),
        kind => Err(Discard::Type { kind }),
    }
}

/// The bytes of a complete packet (RFC 9568 7.1, RFC 3768 7.1).
fn needed(version: Version, family: Family, count: u8) -> Result<usize, Discard> {
    let after = match version {
        Version::V2 => AUTH_DATA,
        Version::V3 => 0,
    };
    match count {
        0 => Err(Discard::NoAddress),
        count => Ok(HEADER + usize::from(count) * width(family) + after),
    }
}

fn width(family: Family) -> usize {
    match family {
        Family::Ipv4 => 4,
        Family::Ipv6 => 16,
    }
}

/// RFC 9568 7.1: "MUST verify the VRRP checksum". Of v3 over IPv4 both forms are right.
fn checksum_of(message: &[u8], version: Version, envelope: &Envelope) -> Result<Checksum, Discard> {
    let family = Family::of(envelope.source);
    let (from, to) = (envelope.source, envelope.destination);
    let start = |form| match form {
        Checksum::Message => Sum::default(),
        Checksum::PseudoHeader => Sum::pseudo_header(from, to, PROTOCOL, message.len()),
    };
    // The more usual form first: for some addresses both come to the same.
    let forms = [Checksum::PseudoHeader, Checksum::Message];
    let mut allowed = forms.map(|form| covered(version, family, form)).into_iter();
    if let Some(form) = allowed.find(|form| start(*form).add(message).is_right()) {
        return Ok(form);
    }
    let found = u16::from_be_bytes([message[CHECKSUM.start], message[CHECKSUM.start + 1]]);
    let usual = start(covered(version, family, Checksum::PseudoHeader));
    let others = usual.add(&message[..CHECKSUM.start]).add(&message[CHECKSUM.end..]);
    Err(Discard::Checksum { found, right: others.checksum() })
}

/// RFC 3768 5.3.6 and 5.3.10: the data of type 0 is ignored, an unknown type is discarded.
fn auth_of(kind: u8, message: &[u8]) -> Result<Auth, Discard> {
    match kind {
        auth_type::NONE => Ok(Auth::None),
        auth_type::PASS => {
            let password = message.last_chunk::<AUTH_DATA>();
            Ok(Auth::Pass(*password.expect("a complete packet of version 2 ends with them")))
        }
        auth_type::HEADER => Err(Discard::AuthHeader),
        kind => Err(Discard::AuthType { kind }),
    }
}

fn addresses_of(message: &[u8], family: Family, count: u8) -> Vec<IpAddr> {
    let list = message[HEADER..].chunks_exact(width(family)).take(usize::from(count));
    let address = |bytes: &[u8]| match family {
        Family::Ipv4 => IpAddr::from(*bytes.first_chunk::<4>().expect("as wide as it is")),
        Family::Ipv6 => IpAddr::from(*bytes.first_chunk::<16>().expect("as wide as it is")),
    };
    list.map(address).collect()
}

fn notes_on(source: IpAddr, addresses: &[IpAddr], trailing: usize) -> Vec<Note> {
    let global = |address: IpAddr| match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => (!address.is_unicast_link_local()).then_some(address),
    };
    let first = addresses.first().copied().and_then(global);
    let all = [
        global(source).map(Note::SourceNotLinkLocal),
        first.map(Note::FirstNotLinkLocal),
        (trailing > 0).then_some(Note::Trailing(trailing)),
    ];
    all.into_iter().flatten().collect()
}

fn type_of(auth: Auth) -> u8 {
    match auth {
        Auth::None => auth_type::NONE,
        Auth::Pass(_) => auth_type::PASS,
        Auth::Other(kind) => kind,
    }
}

fn data_of(auth: Auth) -> [u8; AUTH_DATA] {
    match auth {
        Auth::Pass(password) => password,
        Auth::None | Auth::Other(_) => [0; AUTH_DATA],
    }
}

#[cfg(test)]
mod tests;
