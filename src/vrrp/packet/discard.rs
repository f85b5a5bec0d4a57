//! Why an advertisement is not heeded, and what is odd about one that is.
//!
//! The first reasons can be seen in the packet itself; the later ones only by a router, which
//! knows what it is told to expect. Each is a plain sentence with the numbers in it. A password is
//! never in one.

use std::net::{IpAddr, Ipv6Addr};

use thiserror::Error;

use crate::vrrp::config::{Family, Interval, Version};

/// Why a packet is discarded. It then changes nothing: no state, no timer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Discard {
    /// RFC 9568 5.1.1.3 and 5.1.2.3: it may have come through a router.
    #[error("its TTL or hop limit is {ttl}, and only 255 shows that it is from this link")]
    Ttl {
        /// What the IP header said.
        ttl: u8,
    },
    /// What must be verified cannot be.
    #[error("its TTL or hop limit is not known, and must be verified to be 255")]
    TtlUnknown,
    /// No IP header has addresses of two families.
    #[error("it is said to go from {from} to {to}, which are of two families")]
    Families {
        /// The source.
        from: IpAddr,
        /// The destination.
        to: IpAddr,
    },
    /// The packet is not complete.
    #[error("it has {length} bytes, and should have at least {needed}")]
    Truncated {
        /// The bytes that are there.
        length: usize,
        /// The bytes that its version and count of addresses ask for.
        needed: usize,
    },
    /// Neither 2 nor 3.
    #[error("its version is {version}, and only 2 and 3 are spoken")]
    Version {
        /// The field.
        version: u8,
    },
    /// RFC 3768 knows no IPv6.
    #[error("it is of version 2 over IPv6, which is not defined")]
    V2OverIpv6,
    /// RFC 9568 5.2.2: an unknown type must be discarded.
    #[error("its type is {kind}, and only 1, an advertisement, is defined")]
    Type {
        /// The field.
        kind: u8,
    },
    /// RFC 9568 5.2.5 with erratum 8299.
    #[error("it counts 0 addresses, and must have at least 1")]
    NoAddress,
    /// RFC 9568 5.2.7 with erratum 8301; for version 2 likewise.
    #[error("its advertisement interval is 0, with which no router could be timed")]
    NoInterval,
    /// Damaged, or another form of the checksum.
    #[error("its checksum is {found:#06x}, and should be {right:#06x}")]
    Checksum {
        /// The field.
        found: u16,
        /// What it should be; of the two forms for v3 over IPv4, the one with pseudo-header.
        right: u16,
    },
    /// Authentication by IP Authentication Header, which RFC 3768 took out.
    #[error("it is authenticated by AH (type 2), which is not spoken; use none or PASS")]
    AuthHeader,
    /// RFC 3768 5.3.6: an unknown type must be discarded.
    #[error("its authentication type is {kind}, and only 0, none, and 1, PASS, are spoken")]
    AuthType {
        /// The field.
        kind: u8,
    },
    /// Nobody here is told of that virtual router.
    #[error("nobody here has virtual router {vrid} over {} on this interface", name(*.family))]
    UnknownRouter {
        /// Its identifier.
        vrid: u8,
        /// The family of the packet.
        family: Family,
    },
    /// One of our own came back.
    #[error("it is from {from}, which is this host's own address")]
    OwnAddress {
        /// The source.
        from: IpAddr,
    },
    /// A unicast packet of a host that is not a peer.
    #[error("it is from {from}, and the cluster file here has no other host of this router there")]
    Stranger {
        /// The source.
        from: IpAddr,
    },
    /// RFC 9568 7.1: the version must be that of the router.
    #[error("it is of version {}, and this router speaks {}", number(*.theirs), number(*.ours))]
    VersionDiffers {
        /// Of the packet.
        theirs: Version,
        /// Of this router.
        ours: Version,
    },
    /// RFC 3768 7.1: the authentication must be that of the router.
    #[error("it has no password, and this router has one")]
    NoPassword,
    /// RFC 3768 7.1: the authentication must be that of the router.
    #[error("it has a password, and this router has none")]
    UnwantedPassword,
    /// RFC 3768 7.1: the authentication must be that of the router.
    #[error("its password is not that of this router")]
    WrongPassword,
    /// RFC 3768 7.1: of version 2, the interval must be that of the router.
    #[error("its interval is {:?}, and this router's {:?}", .theirs.get(), .ours.get())]
    IntervalDiffers {
        /// Of the packet.
        theirs: Interval,
        /// Of this router.
        ours: Interval,
    },
    /// RFC 3768 7.1: of version 2 and not from the owner, the addresses must be the router's.
    #[error("its addresses differ: {}", differing(.only_there, .only_here))]
    AddressesDiffer {
        /// In the packet, and not of this router.
        only_there: Vec<IpAddr>,
        /// Of this router, and not in the packet.
        only_here: Vec<IpAddr>,
    },
}

impl Discard {
    /// Whether somebody should do something about it: the packet is for a router that is ours, and
    /// its sender is told something else. The router tells of it itself.
    pub fn is_misconfiguration(&self) -> bool {
        matches!(
            self,
            Discard::VersionDiffers { .. }
                | Discard::IntervalDiffers { .. }
                | Discard::NoPassword
                | Discard::UnwantedPassword
                | Discard::WrongPassword
        )
    }
}

/// What is odd about a packet that is heeded all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// RFC 9568 5.1.2.1 wants the link-local address of the interface. Routers that know each other
    /// by global addresses are heard.
    SourceNotLinkLocal(Ipv6Addr),
    /// RFC 9568 erratum 8300 would discard it. FRR sends such packets, and keepalived takes them.
    FirstNotLinkLocal(Ipv6Addr),
    /// More bytes than the packet needs, which the RFCs allow.
    Trailing(usize),
    /// The interval of a v3 packet is not that of this router, which uses the sender's.
    IntervalDiffers {
        /// Of the packet.
        theirs: Interval,
        /// Of this router.
        ours: Interval,
    },
    /// The addresses are not those of this router.
    AddressesDiffer {
        /// In the packet, and not of this router.
        only_there: Vec<IpAddr>,
        /// Of this router, and not in the packet.
        only_here: Vec<IpAddr>,
    },
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Note::SourceNotLinkLocal(from) => write!(f, "its source {from} is not link-local"),
            Note::FirstNotLinkLocal(first) => {
                write!(f, "its first address {first} is not link-local")
            }
            Note::Trailing(bytes) => write!(f, "{bytes} bytes follow the packet"),
            Note::IntervalDiffers { theirs, ours } => {
                let (theirs, ours) = (theirs.get(), ours.get());
                write!(f, "its interval is {theirs:?}, and this router's {ours:?}")
            }
            Note::AddressesDiffer { only_there, only_here } => {
                write!(f, "its addresses differ: {}", differing(only_there, only_here))
            }
        }
    }
}

fn name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

fn number(version: Version) -> u8 {
    match version {
        Version::V2 => 2,
        Version::V3 => 3,
    }
}

fn differing(only_there: &[IpAddr], only_here: &[IpAddr]) -> String {
    let list = |addresses: &[IpAddr]| {
        let words: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    };
    format!("only there {}, only here {}", list(only_there), list(only_here))
}
