//! Where a virtual server sends packets: a real server, and how to reach it.
//!
//! [`DestinationId`] is what the kernel tells destinations apart by; [`Destination`] is what can be
//! changed without losing connections. Whether address families fit is the business of the virtual
//! server that a destination is put into.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::Serialize;

/// Which destination: its address and port. Within one virtual server there is one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationId {
    /// Address of the real server.
    pub addr: IpAddr,
    /// Its port; 0 for all ports, under a firewall mark.
    pub port: u16,
}

impl fmt::Display for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.addr, self.port).fmt(f)
    }
}

impl FromStr for DestinationId {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<SocketAddr>().map(|a| Self { addr: a.ip(), port: a.port() })
    }
}

impl Serialize for DestinationId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How a destination is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Destination {
    /// How packets get there.
    pub forward: Forward,
    /// Its share of new connections.
    pub weight: Weight,
    /// When it counts as overloaded.
    #[serde(skip_serializing_if = "Thresholds::are_off")]
    pub thresholds: Thresholds,
}

impl Destination {
    /// A destination of weight 1 without thresholds.
    pub const fn new(forward: Forward) -> Self {
        Self { forward, weight: Weight::ONE, thresholds: Thresholds::OFF }
    }
}

/// How packets reach a destination (`IP_VS_CONN_F_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "ForwardText")]
pub enum Forward {
    /// NAT: addresses are rewritten, answers come back through here.
    Masquerade,
    /// The director itself serves it.
    Local,
    /// Packets are wrapped and sent to another network.
    Tunnel(Tunnel),
    /// Direct routing: only the MAC address changes.
    Route,
    /// Past the real servers to the address that the client asked for (transparent caches).
    Bypass,
}

/// What packets are wrapped in on their way to a destination (`IP_VS_CONN_F_TUNNEL_TYPE_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tunnel {
    /// Plain IP in IP.
    Ipip,
    /// Generic UDP encapsulation.
    Gue {
        /// UDP port that the real server listens on; the kernel refuses 0.
        port: NonZeroU16,
        /// What is done about checksums.
        flags: TunnelFlags,
    },
    /// Generic routing encapsulation.
    Gre {
        /// Whether a checksum is put in (`IP_VS_TUNNEL_ENCAP_FLAG_CSUM`).
        checksum: bool,
    },
}

/// Checksums of a GUE tunnel (`IP_VS_TUNNEL_ENCAP_FLAG_*`).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelFlags {
    /// The outer UDP header has one.
    pub checksum: bool,
    /// The inner one is left to the receiver.
    pub remote_checksum: bool,
}

impl Forward {
    /// The short word: `nat`, `local`, `tun`, `dr`, `bypass`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Masquerade => "nat",
            Self::Local => "local",
            Self::Tunnel(_) => "tun",
            Self::Route => "dr",
            Self::Bypass => "bypass",
        }
    }
}

impl fmt::Display for Forward {
    /// The short word, and what a tunnel is made of: `tun gue port 6080 checksum`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        let Self::Tunnel(tunnel) = self else {
            return Ok(());
        };
        match tunnel {
            Tunnel::Ipip => f.write_str(" ipip"),
            Tunnel::Gue { port, flags } => {
                write!(f, " gue port {port}")?;
                f.write_str(if flags.checksum { " checksum" } else { "" })?;
                f.write_str(if flags.remote_checksum { " remote-checksum" } else { "" })
            }
            Tunnel::Gre { checksum } => {
                f.write_str(if *checksum { " gre checksum" } else { " gre" })
            }
        }
    }
}

/// A [`Forward`] as people read it in JSON.
#[derive(Serialize)]
struct ForwardText(String);

impl From<Forward> for ForwardText {
    fn from(forward: Forward) -> Self {
        Self(forward.to_string())
    }
}

/// How many connections a destination has, and which packets it had, as the kernel counts them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// Established ones.
    pub active: u32,
    /// Those that begin or end, and those that the other director told of.
    pub inactive: u32,
    /// Clients that stay with it (persistence).
    pub persistent: u32,
    /// Packets that went to it, since it came into the table.
    #[serde(skip)]
    pub sent: u64,
    /// Packets of its own that came back through this host, as with masquerading.
    #[serde(skip)]
    pub returned: u64,
}

impl std::ops::Add for Connections {
    type Output = Connections;

    fn add(self, other: Connections) -> Connections {
        Connections {
            active: self.active.saturating_add(other.active),
            inactive: self.inactive.saturating_add(other.inactive),
            persistent: self.persistent.saturating_add(other.persistent),
            sent: self.sent.saturating_add(other.sent),
            returned: self.returned.saturating_add(other.returned),
        }
    }
}

/// A share of new connections, 0 to 2147483647; 0 takes no new ones and keeps those it has.
///
/// The attribute is unsigned, the kernel's field a signed 32-bit number, below 0 `ERANGE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Weight(u32);

/// A weight that the kernel would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("weight {weight} is not between 0 and 2147483647")]
pub struct WeightError {
    /// What was asked for.
    pub weight: u32,
}

impl Weight {
    /// No new connections.
    pub const ZERO: Self = Self(0);
    /// What ipvsadm gives without `-w`.
    pub const ONE: Self = Self(1);

    /// Takes a weight.
    pub fn new(weight: u32) -> Result<Self, WeightError> {
        if i32::try_from(weight).is_ok() { Ok(Self(weight)) } else { Err(WeightError { weight }) }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Weight {
    type Error = WeightError;

    fn try_from(weight: u32) -> Result<Self, WeightError> {
        Self::new(weight)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Numbers of connections at which a destination stops and starts to take new ones.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Thresholds {
    upper: u32,
    lower: u32,
}

/// Thresholds that the kernel would refuse (`ERANGE`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("lower threshold {lower} is above the upper one, {upper}")]
pub struct ThresholdError {
    /// Upper threshold asked for, in connections.
    pub upper: u32,
    /// Lower threshold asked for, in connections.
    pub lower: u32,
}

impl Thresholds {
    /// Never overloaded.
    pub const OFF: Self = Self { upper: 0, lower: 0 };

    /// Overloaded from `upper` connections on (0: never) until they fall below `lower` (0: three
    /// quarters of `upper`). `lower` may not exceed `upper`.
    pub fn new(upper: u32, lower: u32) -> Result<Self, ThresholdError> {
        if lower > upper {
            return Err(ThresholdError { upper, lower });
        }
        Ok(Self { upper, lower })
    }

    /// Connections from which on no new ones come; 0 for no limit.
    pub const fn upper(self) -> u32 {
        self.upper
    }

    /// Connections below which new ones come again; 0 for three quarters of the upper one.
    pub const fn lower(self) -> u32 {
        self.lower
    }

    /// Whether there is no limit.
    pub const fn are_off(&self) -> bool {
        self.upper == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_refuses_cannot_be_made() {
        assert_eq!(Weight::new(i32::MAX.cast_unsigned()).map(Weight::get), Ok(2_147_483_647));
        assert_eq!(Weight::new(1 << 31), Err(WeightError { weight: 1 << 31 }));
        assert_eq!(Thresholds::new(10, 11), Err(ThresholdError { upper: 10, lower: 11 }));
        assert!(Thresholds::new(10, 10).is_ok());
    }

    #[test]
    fn a_destination_is_told_in_the_words_of_the_field() {
        let gue = Forward::Tunnel(Tunnel::Gue {
            port: NonZeroU16::MIN,
            flags: TunnelFlags { checksum: true, remote_checksum: false },
        });
        assert_eq!(gue.to_string(), "tun gue port 1 checksum");
        let json = serde_json::to_value(Destination::new(Forward::Route)).ok();
        assert_eq!(json, Some(serde_json::json!({"forward": "dr", "weight": 1})));
    }

    #[test]
    fn an_id_reads_back_what_it_prints() {
        for text in ["192.168.100.40:80", "[2001:db8::40]:0"] {
            assert_eq!(text.parse::<DestinationId>().map(|id| id.to_string()), Ok(text.into()));
        }
    }
}
