//! What is said of a knock that was not answered as it should be: what is wrong, and what mends it.
//!
//! The words stay the same as long as the same is wrong, so they name no number of any packet. That
//! a server answers the link but takes nothing for the VIP is proof enough of the way to it.

use super::Door;
use crate::check::config::Way;
use crate::check::outcome::Failure;
use crate::frame::icmp::{Refusal, Refused};
use crate::frame::tunnel::Tunnel;

/// How nothing came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nobody on the link has the server's address.
    Nowhere,
    /// The server is on the link, but takes nothing for the VIP.
    OnlyLink,
    /// Not even the link hears of the server any more.
    Gone,
    /// Nothing came, and a tunnel does not tell why.
    Tunnel,
}

impl Silence {
    pub(super) fn failure(self, door: &Door) -> Failure {
        let (server, vip) = (door.server, door.vip.ip());
        match self {
            Silence::Nowhere => {
                let asked = if server.is_ipv4() { "ARP" } else { "neighbour discovery" };
                Failure::silent(format!("{server} does not answer {asked}: it is not on this link"))
            }
            Silence::OnlyLink => {
                let mends = mend(door);
                Failure::answered(format!("it takes no packets for {vip}: {mends}"))
            }
            Silence::Gone => Failure::silent(format!("no answer from {vip}, nor from {server}")),
            Silence::Tunnel => {
                let mends = mend(door);
                Failure::silent(format!("no answer from {vip} through its tunnel: {mends}"))
            }
        }
    }
}

/// Nothing listens there.
pub(super) fn closed(door: &Door) -> String {
    format!("it takes packets for {}, but port {} is closed", door.vip.ip(), door.vip.port())
}

/// Somebody said that it does not take the packet.
pub(super) fn refused(door: &Door, refusal: &Refusal) -> String {
    match refusal.why {
        Refused::Unreachable | Refused::Expired | Refused::Redirected => passed_on(door),
        Refused::Port | Refused::Prohibited => {
            let (from, why) = (refusal.from, refusal.why);
            format!("packets for {} are rejected by {from}: {why}", door.vip)
        }
    }
}

/// The server has no VIP, and forwards.
pub(super) fn passed_on(door: &Door) -> String {
    format!("it passes packets for {} on instead of taking them: {}", door.vip.ip(), mend(door))
}

/// What is to be done on a server that lacks the VIP.
fn mend(door: &Door) -> String {
    let vip = door.vip.ip();
    let bits = if vip.is_ipv4() { 32 } else { 128 };
    let (port, device) = match (door.way, vip.is_ipv4()) {
        (Way::Direct, _) => (None, "lo"),
        (Way::Tunnel(Tunnel::Ipip), true) => (None, "tunl0"),
        (Way::Tunnel(Tunnel::Ipip), false) => (None, "ip6tnl0"),
        (Way::Tunnel(Tunnel::Gre), true) => (None, "gre0"),
        (Way::Tunnel(Tunnel::Gre), false) => (None, "ip6gre0"),
        // What comes out of the port is IP in IP.
        (Way::Tunnel(Tunnel::Gue(port)), true) => (Some(port), "tunl0"),
        (Way::Tunnel(Tunnel::Gue(port)), false) => (Some(port), "ip6tnl0"),
    };
    let family = if door.server.is_ipv4() { "" } else { "-6 " };
    let port = port.map(|port| format!("`ip {family}fou add port {port} gue` and "));
    let port = port.unwrap_or_default();
    format!(
        "{port}`ip address add {vip}/{bits} dev {device}` there, or converge with role realserver"
    )
}
