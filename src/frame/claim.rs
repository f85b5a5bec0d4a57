//! Somebody says on the link that an address is theirs.
//!
//! ARP says it for IPv4, neighbour discovery for IPv6; either way whoever hears it sends to that
//! MAC from then on. About a VIP it means that another host holds it, or that our own word came
//! back.

use std::fmt;
use std::net::IpAddr;

/// An address and the MAC that is said to have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// What is claimed.
    pub address: IpAddr,
    /// Where it is said to be. The receiver tells by it whether it hears itself.
    pub mac: [u8; 6],
    /// To whom, and on what occasion.
    pub how: How,
}

/// On what occasion an address is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// To the whole link and unasked, as whoever takes an address over says it.
    Announced,
    /// By asking for another address in its name: whoever hears the question may learn from it.
    Asking,
    /// To a single host, which asked. Nobody else hears it.
    Answering,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, last] = self.mac;
        write!(f, "{} is at {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{last:02x}", self.address)
    }
}
