//! What a virtual router is told: by the role file, the cluster file and nobody else.
//!
//! The types hold no value that the protocol cannot carry. The other directors are in the cluster
//! file, so each router knows its peers with their addresses and priorities; routers of other
//! makes that are in no file are heard all the same where multicast carries them.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use ipnet::IpNet;

/// Centiseconds in the Max Advertise Interval field: 12 bits, 0 excluded (RFC 9568 5.2.7, erratum
/// 8301).
const MOST_CENTISECONDS: u64 = 4095;

/// The version of the protocol that a router speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// RFC 3768, for IPv4 only.
    V2,
    /// RFC 5798 and RFC 9568.
    #[default]
    V3,
}

/// The family of the addresses that a router advertises, and of its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// To 224.0.0.18, or to the peers' IPv4 addresses.
    Ipv4,
    /// To ff02::12, or to the peers' IPv6 addresses.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }
}

/// How often the Active router advertises itself. v3: 10 ms to 40.95 s in steps of 10 ms (RFC 9568
/// 5.2.7); v2: 1 s to 255 s in whole seconds (RFC 3768 5.3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(Duration);

impl Interval {
    /// One second, the default of both RFCs.
    pub const DEFAULT: Interval = Interval(Duration::from_secs(1));

    /// An interval that the version can carry. `Err` says what it could.
    pub fn new(version: Version, every: Duration) -> Result<Self, IntervalError> {
        let (step, most) = match version {
            Version::V2 => (Duration::from_secs(1), 255),
            Version::V3 => (Duration::from_millis(10), MOST_CENTISECONDS),
        };
        let steps = every.as_nanos() / step.as_nanos();
        let whole = every.as_nanos().is_multiple_of(step.as_nanos());
        match whole && steps >= 1 && steps <= u128::from(most) {
            true => Ok(Interval(every)),
            false => Err(IntervalError { version, every }),
        }
    }

    /// From the field of a v3 advertisement. `None` for 0, which is to be discarded (RFC 9568
    /// erratum 8301), and for what 12 bits do not hold.
    pub fn from_centiseconds(field: u16) -> Option<Self> {
        let fits = field >= 1 && u64::from(field) <= MOST_CENTISECONDS;
        fits.then(|| Interval(Duration::from_millis(u64::from(field) * 10)))
    }

    /// From the field of a v2 advertisement. `None` for 0.
    pub fn from_seconds(field: u8) -> Option<Self> {
        (field >= 1).then(|| Interval(Duration::from_secs(u64::from(field))))
    }

    /// For the field of a v3 advertisement: at most 4095.
    pub fn centiseconds(self) -> u16 {
        u16::try_from((self.0.as_millis() / 10).min(u128::from(MOST_CENTISECONDS)))
            .expect("4095 fits")
    }

    /// For the field of a v2 advertisement: at most 255, at least 1.
    pub fn seconds(self) -> u8 {
        u8::try_from(self.0.as_secs().clamp(1, 255)).expect("255 fits")
    }

    /// As a span.
    pub fn get(self) -> Duration {
        self.0
    }
}

/// An interval that no packet of that version carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalError {
    /// The version.
    pub version: Version,
    /// What was asked for.
    pub every: Duration,
}

impl fmt::Display for IntervalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Version::V2 => {
                write!(f, "VRRPv2 advertises every 1s to 255s in whole seconds, not every ")?;
            }
            Version::V3 => {
                write!(f, "VRRPv3 advertises every 10ms to 40.95s in steps of 10ms, not every ")?;
            }
        }
        write!(f, "{:?}", self.every)
    }
}

impl std::error::Error for IntervalError {}

/// Who is to hold the VIPs: 1 to 254; 255 owns the addresses (RFC 9568 5.2.4).
pub type Priority = NonZeroU8;

/// The priority of the router that owns the addresses.
pub const OWNER: Priority = NonZeroU8::MAX;

/// What a router of higher priority does about an Active one of lower priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preempt {
    /// Takes over when its own timer runs out, as the RFCs have it.
    Now,
    /// Never: whoever was first stays.
    Never,
    /// After it has seen the lower one for this long, counted from the moment from which it could
    /// have taken over.
    After(Duration),
}

/// Which IPv4 checksum a v3 router sends. Both are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// Over pseudo-header and message, as keepalived, FRR and RFC 5798.
    #[default]
    PseudoHeader,
    /// Over the message only, as RFC 9568 5.2.8, Cisco and Juniper.
    Message,
}

/// Where advertisements go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// To every peer of the cluster file, one packet each.
    #[default]
    Unicast,
    /// To 224.0.0.18 or ff02::12.
    Multicast,
}

/// Another director with the same virtual router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its host's name.
    pub name: String,
    /// Its address, of the router's family where it has one.
    pub address: IpAddr,
    /// The priority that the files give it.
    pub priority: Priority,
}

/// A VIP of a router.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vip {
    /// Address and prefix length.
    pub address: IpNet,
    /// The interface that it goes on.
    pub interface: String,
    /// The label that ifconfig(8) shows; IPv4 only.
    pub label: Option<String>,
}

/// How the VIPs are announced: gratuitous ARP (RFC 9568 6.4.2), unsolicited NA (RFC 4861 7.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcing {
    /// How many for each VIP at a takeover, back to back. 1 to 100.
    pub repeat: u8,
    /// When the second burst of as many comes. Zero: none.
    pub delay: Duration,
    /// One for each VIP that often while Active. Zero: never.
    pub refresh: Duration,
}

impl Default for Announcing {
    fn default() -> Self {
        let (delay, refresh) = (Duration::from_secs(5), Duration::from_secs(60));
        Announcing { repeat: 5, delay, refresh }
    }
}

/// A virtual router on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterConfig {
    /// Its name, the same on every director.
    pub name: String,
    /// The virtual router identifier (RFC 9568 5.2.3).
    pub vrid: NonZeroU8,
    /// The family of its packets and of the VIPs in them.
    pub family: Family,
    /// The version of its packets.
    pub version: Version,
    /// The interface that it runs on.
    pub interface: String,
    /// This host's address on it, which breaks ties. IPv6: the link-local one, filled in by the
    /// driver where the files have another.
    pub source: IpAddr,
    /// Where advertisements go.
    pub transport: Transport,
    /// Every other director with this router, without this host.
    pub peers: Vec<Peer>,
    /// This host's priority before tracking.
    pub priority: Priority,
    /// How often it advertises.
    pub interval: Interval,
    /// What it does about a lower Active one.
    pub preempt: Preempt,
    /// How long it keeps silent after a start.
    pub start_delay: Duration,
    /// The IPv4 checksum that it sends.
    pub checksum: Checksum,
    /// v2: the first 8 bytes of a password that anybody can read on the wire.
    pub password: Option<[u8; 8]>,
    /// The routers that become and cease to be Active together have one name here.
    pub sync_group: Option<String>,
    /// The VIPs. Those of the router's family are in its advertisements, in this order; the others
    /// move with them.
    pub vips: Vec<Vip>,
    /// How VIPs are announced.
    pub announcing: Announcing,
}

impl RouterConfig {
    /// The addresses in the advertisements.
    pub fn advertised(&self) -> Vec<IpAddr> {
        let own = self.vips.iter().map(|vip| vip.address.addr());
        own.filter(|address| Family::of(*address) == self.family).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_what_its_version_can_carry() {
        let v3 = |ms| Interval::new(Version::V3, Duration::from_millis(ms));
        assert_eq!(v3(10).map(Interval::centiseconds), Ok(1));
        assert_eq!(v3(40_950).map(Interval::centiseconds), Ok(4095));
        for wrong in [0, 5, 15, 40_960] {
            assert!(v3(wrong).is_err(), "{wrong} ms");
        }
        let v2 = |ms| Interval::new(Version::V2, Duration::from_millis(ms));
        assert_eq!(v2(255_000).map(Interval::seconds), Ok(255));
        for wrong in [0, 100, 1500, 256_000] {
            assert!(v2(wrong).is_err(), "{wrong} ms");
        }
    }

    #[test]
    fn an_interval_of_zero_is_none() {
        assert_eq!(Interval::from_centiseconds(0), None);
        assert_eq!(Interval::from_centiseconds(4096), None);
        assert_eq!(Interval::from_seconds(0), None);
    }
}
