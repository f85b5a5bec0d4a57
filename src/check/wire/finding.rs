//! What is found wrong on a link, as sentences: who does what, and what mends it.
//!
//! A fault is its own name: as long as the same is wrong it is the same fault, and it is told once
//! when it begins and once when it is over, or when nobody looks any more whether it is.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::ipvs::VirtualServerId;

/// Word of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It has begun.
    Found(Fault),
    /// It is over.
    Over(Fault),
    /// It was found, and nobody looks any more.
    Unknown(Fault),
}

/// Something that is wrong on a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A host that must not answers who has a VIP, and so takes clients from the director.
    Leak {
        /// The VIP.
        vip: IpAddr,
        /// Where.
        interface: String,
        /// From which Ethernet address.
        mac: [u8; 6],
        /// The real server; `None` is a stranger.
        host: Option<String>,
    },
    /// Several directors answer who has a VIP.
    Duplicate {
        /// The VIP.
        vip: IpAddr,
        /// Where.
        interface: String,
        /// Who.
        holders: Vec<String>,
    },
    /// The replies of a real server to its clients come to this director.
    Returns {
        /// The VIP that they come from.
        vip: IpAddr,
        /// Where.
        interface: String,
        /// From which Ethernet address.
        mac: [u8; 6],
        /// The real server.
        host: String,
    },
    /// A real server is not on the link by which packets have to reach it.
    Elsewhere {
        /// Its address.
        server: IpAddr,
        /// Which it is.
        host: String,
        /// Where it should be.
        interface: String,
        /// Whether its address lies outside of the interface's subnets.
        outside: bool,
    },
    /// The replies of a masqueraded server go another way than through this director.
    OneWay {
        /// What is sent to it.
        id: VirtualServerId,
        /// Where it takes it.
        server: SocketAddr,
        /// Which it is.
        host: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Found(fault) => fault.found(f),
            Finding::Over(fault) => fault.over(f),
            Finding::Unknown(fault) => {
                f.write_str("whether this is still so is not known: ")?;
                fault.found(f)
            }
        }
    }
}

impl Fault {
    fn found(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Leak { vip, interface, mac, host: Some(host) } => write!(
                f,
                "real server {host} ({}) answers {} for the VIP {vip} on {interface}, so that \
                 clients pass the director by: {}",
                Mac(mac),
                asked(*vip),
                silencer(*vip)
            ),
            Fault::Leak { vip, interface, mac, host: None } => write!(
                f,
                "{}, neither a director nor a real server, answers {} for the VIP {vip} on \
                 {interface}: the switch knows its port; take the VIP from it, or have it not \
                 answer for others",
                Mac(mac),
                asked(*vip)
            ),
            Fault::Duplicate { vip, interface, holders } => write!(
                f,
                "{} hold the VIP {vip} on {interface} at the same time: do they hear each other's \
                 VRRP? `converge routers` on both tells",
                holders.join(" and ")
            ),
            Fault::Returns { vip, interface, mac, host } => write!(
                f,
                "real server {host} ({}) sends its replies from the VIP {vip} through this \
                 director, by {interface}: in direct routing its gateway has to be a router, not \
                 the director; `ip route replace default via ROUTER` there",
                Mac(mac)
            ),
            Fault::Elsewhere { server, host, interface, outside } => {
                let why = match outside {
                    true => "it lies outside of the interface's subnets and",
                    false => "its own address answers checks, but it",
                };
                write!(
                    f,
                    "real server {host} ({server}) is not on the link of {interface}: {why} does \
                     not answer {} there; direct routing cannot reach it, give it an address on \
                     that link or use forward = \"tun\"",
                    asked(*server)
                )
            }
            Fault::OneWay { id, server, host } => write!(
                f,
                "real server {host} ({server}) answers checks, but of what clients of {id} send it \
                 nothing comes back through this director: with forward = \"nat\" its default \
                 route has to lead through the director, `ip route replace default via DIRECTOR` \
                 there, and clients on its own link cannot be served"
            ),
        }
    }

    fn over(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Leak { vip, interface, mac, host } => {
                let who = host.as_ref().map(|host| format!("real server {host} "));
                write!(
                    f,
                    "{}({}) no longer answers {} for the VIP {vip} on {interface}",
                    who.unwrap_or_default(),
                    Mac(mac),
                    asked(*vip)
                )
            }
            Fault::Duplicate { vip, interface, .. } => {
                write!(f, "the VIP {vip} on {interface} is no longer held twice")
            }
            Fault::Returns { vip, host, .. } => write!(
                f,
                "no more replies of real server {host} from the VIP {vip} came through this \
                 director"
            ),
            Fault::Elsewhere { server, host, interface, .. } => {
                write!(f, "real server {host} ({server}) is on the link of {interface}")
            }
            Fault::OneWay { id, server, host } => write!(
                f,
                "what real server {host} ({server}) replies to clients of {id} comes back through \
                 this director"
            ),
        }
    }
}

/// How an address is asked for.
fn asked(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ARP" } else { "neighbour discovery" }
}

/// What keeps a real server from answering.
fn silencer(vip: IpAddr) -> String {
    match vip {
        IpAddr::V4(_) => "`sysctl -w net.ipv4.conf.all.arp_ignore=1 \
                          net.ipv4.conf.all.arp_announce=2` there, or converge with role realserver"
            .to_owned(),
        IpAddr::V6(_) => {
            format!(
                "the VIP belongs on lo there, `ip address add {vip}/128 dev lo`, and nowhere else"
            )
        }
    }
}

struct Mac<'a>(&'a [u8; 6]);

impl fmt::Display for Mac<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, last] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{last:02x}")
    }
}
