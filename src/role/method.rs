//! The words for forwarding methods and tunnels in role files.
//!
//! Directors and real servers have to agree on them, so both sides read them here.

use crate::document::{Value, one_of};

/// How a director hands packets on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Direct routing: only the MAC address changes; answers go straight to the client.
    #[default]
    Dr,
    /// Addresses are rewritten; answers come back through the director.
    Nat,
    /// Wrapped in a tunnel; answers go straight to the client.
    Tun,
    /// NAT both ways: real servers see the director as the client. On a mainline kernel this is
    /// masquerading by IPVS plus connection tracking plus source NAT.
    Fullnat,
}

impl Method {
    /// The words, in the order of the variants.
    pub const WORDS: &'static [&'static str] = &["dr", "nat", "tun", "fullnat"];
}

impl Value for Method {
    const WHAT: &'static str = "a forwarding method";

    fn parse(text: &str) -> Result<Self, String> {
        let words = [
            ("dr", Method::Dr),
            ("nat", Method::Nat),
            ("tun", Method::Tun),
            ("fullnat", Method::Fullnat),
        ];
        one_of("forwarding method", &words, text)
    }
}

/// The port that real servers take GUE packets on, IANA's number for it.
pub const GUE_PORT: u16 = 6080;

/// What a tunnel is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TunnelKind {
    /// IP in IP.
    #[default]
    Ipip,
    /// Generic UDP encapsulation.
    Gue,
    /// Generic routing encapsulation.
    Gre,
}

impl TunnelKind {
    /// The words, in the order of the variants.
    pub const WORDS: &'static [&'static str] = &["ipip", "gue", "gre"];

    /// The module and the device that it brings, where packets come out on a real server. What
    /// comes out of GUE is IP in IP.
    pub fn receiver(self, ipv4: bool) -> (&'static str, &'static str) {
        match (self, ipv4) {
            (TunnelKind::Ipip | TunnelKind::Gue, true) => ("ipip", "tunl0"),
            (TunnelKind::Ipip | TunnelKind::Gue, false) => ("ip6_tunnel", "ip6tnl0"),
            (TunnelKind::Gre, true) => ("ip_gre", "gre0"),
            (TunnelKind::Gre, false) => ("ip6_gre", "ip6gre0"),
        }
    }
}

impl Value for TunnelKind {
    const WHAT: &'static str = "a tunnel type";

    fn parse(text: &str) -> Result<Self, String> {
        let words =
            [("ipip", TunnelKind::Ipip), ("gue", TunnelKind::Gue), ("gre", TunnelKind::Gre)];
        one_of("tunnel type", &words, text)
    }
}
