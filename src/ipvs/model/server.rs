//! A virtual server: what clients reach, how it schedules, and the destinations behind it.
//!
//! [`VirtualServerId`] is what the kernel tells virtual servers apart by, [`ServerSettings`] what
//! can be changed in place. [`VirtualServer`] joins them with the destinations and sees to it that
//! address families fit.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::Serialize;
use serde::ser::SerializeStruct;

use super::destination::{Destination, DestinationId, Forward};
use super::persistence::{ClientMask, Persistence};
use super::scheduler::Scheduler;

/// The transport protocols that IPVS balances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// `IPPROTO_TCP`.
    Tcp,
    /// `IPPROTO_UDP`.
    Udp,
    /// `IPPROTO_SCTP`.
    Sctp,
}

impl Protocol {
    /// The name in capitals, as ipvsadm prints it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// The address families that IPVS balances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// `AF_INET`.
    Ipv4,
    /// `AF_INET6`.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub fn of(addr: IpAddr) -> Self {
        if addr.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// Which virtual server. The kernel has at most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VirtualServerId {
    /// Packets to this address and port; port 0 takes every port and wants persistence.
    Address {
        /// Transport protocol.
        protocol: Protocol,
        /// Virtual address.
        addr: IpAddr,
        /// Virtual port.
        port: u16,
    },
    /// Packets that the firewall marked.
    Fwmark {
        /// The mark.
        mark: NonZeroU32,
        /// Of packets of this family.
        family: Family,
    },
}

impl VirtualServerId {
    /// The address family of its clients.
    pub fn family(&self) -> Family {
        match self {
            Self::Address { addr, .. } => Family::of(*addr),
            Self::Fwmark { family, .. } => *family,
        }
    }
}

impl fmt::Display for VirtualServerId {
    /// `TCP 192.0.2.1:80`, `UDP [2001:db8::1]:53`, `FWM 7`, `FWM 7 ipv6`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { protocol, addr, port } => {
                write!(f, "{} {}", protocol.word(), SocketAddr::new(*addr, *port))
            }
            Self::Fwmark { mark, family: Family::Ipv4 } => write!(f, "FWM {mark}"),
            Self::Fwmark { mark, family: Family::Ipv6 } => write!(f, "FWM {mark} ipv6"),
        }
    }
}

/// A text that names no virtual server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} names no virtual server; it would be like TCP 192.0.2.1:80, UDP [2001:db8::1]:53, \
     SCTP 192.0.2.1:3868, FWM 7 or FWM 7 ipv6"
)]
pub struct IdError {
    /// What was given.
    pub text: String,
}

impl FromStr for VirtualServerId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_id(text).ok_or_else(|| IdError { text: text.to_owned() })
    }
}

/// Reads what [`VirtualServerId`] prints, in capitals or not.
fn parse_id(text: &str) -> Option<VirtualServerId> {
    let mut words = text.split_ascii_whitespace();
    let (kind, what, family) = (words.next()?, words.next()?, words.next());
    if words.next().is_some() {
        return None;
    }
    if kind.eq_ignore_ascii_case("fwm") {
        let family = match family {
            None => Family::Ipv4,
            Some(word) if word.eq_ignore_ascii_case("ipv6") => Family::Ipv6,
            Some(_) => return None,
        };
        return Some(VirtualServerId::Fwmark { mark: what.parse().ok()?, family });
    }
    let known = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    let protocol = known.into_iter().find(|p| kind.eq_ignore_ascii_case(p.word()))?;
    let socket: SocketAddr = what.parse().ok()?;
    family.is_none().then(|| VirtualServerId::Address {
        protocol,
        addr: socket.ip(),
        port: socket.port(),
    })
}

impl Serialize for VirtualServerId {
    /// By its fields: `protocol`, `address`, `port`, or `fwmark`, `family`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Address { protocol, addr, port } => {
                let mut out = serializer.serialize_struct("VirtualServerId", 3)?;
                out.serialize_field("protocol", protocol)?;
                out.serialize_field("address", addr)?;
                out.serialize_field("port", port)?;
                out.end()
            }
            Self::Fwmark { mark, family } => {
                let mut out = serializer.serialize_struct("VirtualServerId", 2)?;
                out.serialize_field("fwmark", mark)?;
                out.serialize_field("family", family)?;
                out.end()
            }
        }
    }
}

/// How a virtual server works, apart from its destinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerSettings {
    /// Picks the destination of a new connection.
    pub scheduler: Scheduler,
    /// Every UDP packet is scheduled on its own (`ipvsadm -o`).
    pub one_packet: bool,
    /// Whether clients stick.
    pub persistence: Option<Persistence>,
}

impl ServerSettings {
    /// A scheduler, and nothing else.
    pub const fn new(scheduler: Scheduler) -> Self {
        Self { scheduler, one_packet: false, persistence: None }
    }
}

/// A virtual server with all its destinations.
///
/// Families fit: the persistence mask is of the virtual server's family, and so is every
/// destination, except that a tunnel may lead to the other family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtualServer {
    id: VirtualServerId,
    settings: ServerSettings,
    destinations: BTreeMap<DestinationId, Destination>,
}

/// Parts of two address families that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FamilyError {
    /// A mask of the other family.
    #[error("virtual server {server} cannot have the netmask {netmask} of the other family")]
    Netmask {
        /// The virtual server.
        server: VirtualServerId,
        /// The mask that it was given.
        netmask: ClientMask,
    },
    /// A destination of the other family, not through a tunnel.
    #[error(
        "virtual server {server} cannot reach {destination} of the other family by {forward}: \
         only a tunnel can"
    )]
    Destination {
        /// The virtual server.
        server: VirtualServerId,
        /// The destination that it was given.
        destination: DestinationId,
        /// How it was to be reached.
        forward: Forward,
    },
}

impl VirtualServer {
    /// A virtual server without destinations.
    pub fn new(id: VirtualServerId, settings: ServerSettings) -> Result<Self, FamilyError> {
        let mask = settings.persistence.map(|p| p.netmask);
        let fits = match (mask, id.family()) {
            (None, _)
            | (Some(ClientMask::V4(_)), Family::Ipv4)
            | (Some(ClientMask::V6(_)), Family::Ipv6) => true,
            (Some(ClientMask::V4(_)), Family::Ipv6) | (Some(ClientMask::V6(_)), Family::Ipv4) => {
                false
            }
        };
        match mask {
            Some(netmask) if !fits => Err(FamilyError::Netmask { server: id, netmask }),
            Some(_) | None => Ok(Self { id, settings, destinations: BTreeMap::new() }),
        }
    }

    /// Adds a destination, or replaces the one of the same address and port.
    pub fn insert_destination(
        &mut self,
        id: DestinationId,
        destination: Destination,
    ) -> Result<Option<Destination>, FamilyError> {
        let tunnel = matches!(destination.forward, Forward::Tunnel(_));
        if Family::of(id.addr) != self.id.family() && !tunnel {
            let (server, forward) = (self.id, destination.forward);
            return Err(FamilyError::Destination { server, destination: id, forward });
        }
        Ok(self.destinations.insert(id, destination))
    }

    /// Takes a destination out.
    pub fn remove_destination(&mut self, id: &DestinationId) -> Option<Destination> {
        self.destinations.remove(id)
    }

    /// Gives all destinations at once, as a dump brings them.
    pub fn with_destinations(
        mut self,
        destinations: impl IntoIterator<Item = (DestinationId, Destination)>,
    ) -> Result<Self, FamilyError> {
        for (id, destination) in destinations {
            self.insert_destination(id, destination)?;
        }
        Ok(self)
    }

    /// Which one it is.
    pub fn id(&self) -> VirtualServerId {
        self.id
    }

    /// How it works.
    pub fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    /// Where its packets go.
    pub fn destinations(&self) -> &BTreeMap<DestinationId, Destination> {
        &self.destinations
    }
}

impl Serialize for VirtualServer {
    /// By the words that users know; what is off is left out.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ServerSettings { scheduler, one_packet, persistence } = &self.settings;
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        struct Text<'a> {
            #[serde(flatten)]
            id: VirtualServerId,
            scheduler: &'a str,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            flags: Vec<&'static str>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            one_packet: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            persistence: &'a Option<Persistence>,
            destinations: &'a BTreeMap<DestinationId, Destination>,
        }
        Text {
            id: self.id,
            scheduler: scheduler.name.as_str(),
            flags: scheduler.flags.names(scheduler.name),
            one_packet: *one_packet,
            persistence,
            destinations: &self.destinations,
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SchedulerName, Seconds, Tunnel};
    use super::*;

    fn id(text: &str) -> VirtualServerId {
        text.parse().unwrap_or_else(|e| panic!("{e}"))
    }

    fn rr() -> ServerSettings {
        ServerSettings::new(SchedulerName::Rr.into())
    }

    #[test]
    fn an_id_reads_back_what_it_prints() {
        for text in ["TCP 192.0.2.1:80", "UDP [2001:db8::1]:53", "SCTP 192.0.2.1:0", "FWM 7 ipv6"] {
            assert_eq!(id(text).to_string(), text);
        }
        assert_eq!(id("fwm 4294967295").to_string(), "FWM 4294967295");
        for wrong in
            ["", "TCP", "TCP 192.0.2.1", "FWM 0", "FWM 7 ipv4", "ICMP 192.0.2.1:0", "TCP a b c"]
        {
            assert_eq!(wrong.parse::<VirtualServerId>(), Err(IdError { text: wrong.into() }));
        }
    }

    #[test]
    fn families_have_to_fit() {
        let netmask = ClientMask::EACH_V6;
        let persistence = Some(Persistence { timeout: Seconds::MIN, netmask, engine: None });
        let settings = ServerSettings { persistence, ..rr() };
        let server = id("TCP 192.0.2.1:80");
        assert_eq!(
            VirtualServer::new(server, settings),
            Err(FamilyError::Netmask { server, netmask })
        );
        assert!(VirtualServer::new(id("FWM 1 ipv6"), settings).is_ok());

        let mut web = VirtualServer::new(server, rr()).unwrap_or_else(|e| panic!("{e}"));
        let destination = DestinationId {
            addr: "2001:db8::1".parse().unwrap_or_else(|e| panic!("{e}")),
            port: 80,
        };
        assert!(web.insert_destination(destination, Destination::new(Forward::Route)).is_err());
        let tunnel = Destination::new(Forward::Tunnel(Tunnel::Ipip));
        assert_eq!(web.insert_destination(destination, tunnel), Ok(None));
    }

    #[test]
    fn json_has_the_words_of_the_field() {
        let mut web =
            VirtualServer::new(id("TCP 192.0.2.1:80"), rr()).unwrap_or_else(|e| panic!("{e}"));
        let destination = "192.0.2.9:80".parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            web.insert_destination(destination, Destination::new(Forward::Masquerade)),
            Ok(None)
        );
        assert_eq!(
            serde_json::to_value(&web).ok(),
            Some(serde_json::json!({
                "protocol": "tcp", "address": "192.0.2.1", "port": 80, "scheduler": "rr",
                "destinations": {"192.0.2.9:80": {"forward": "nat", "weight": 1}},
            }))
        );
    }
}
