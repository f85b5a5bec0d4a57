//! What a virtual server is apart from its servers.
//!
//! Its address or mark, its scheduler, and how long a client keeps its server.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use super::super::element::Element;
use crate::diagnostic::Diagnostic;
use crate::document::{Value, one_of};
use crate::ipvs::model::{
    self, ClientMask, Family, Persistence, Protocol, Scheduler, SchedulerName, Seconds,
    ServerSettings, VirtualServerId,
};

impl Value for SocketAddr {
    const WHAT: &'static str = "an address with a port, such as 127.0.0.1:80";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            format!("`{text}` is no address with a port; it would be like 127.0.0.1:80")
        })
    }
}

impl Value for Protocol {
    const WHAT: &'static str = "a transport protocol";

    fn parse(text: &str) -> Result<Self, String> {
        let words = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp), ("sctp", Protocol::Sctp)];
        one_of("protocol", &words, text)
    }
}

impl Value for SchedulerName {
    const WHAT: &'static str = "an IPVS scheduler";

    /// Only schedulers of the mainline kernel: a name nobody knows is a slip of the pen.
    fn parse(text: &str) -> Result<Self, String> {
        let known = SchedulerName::KNOWN;
        let words: Vec<(&'static str, SchedulerName)> =
            known.iter().map(|name| (name.as_str(), *name)).collect();
        one_of("scheduler", &words, text)
    }
}

/// Ports, from `80`, `80,443` or `[80, 443]` (as a list variable renders); each once, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(pub Vec<u16>);

impl Value for Ports {
    const WHAT: &'static str = "a port or several: 80 or \"80,443\"";
    const LISTS: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split([',', '[', ']', ' ']).filter(|part| !part.is_empty());
        let port = |part: &str| match part.trim_matches('"').parse::<u16>() {
            Ok(port) => Ok(port),
            Err(_) => Err(format!("`{part}` is no port; one is a whole number from 0 to 65535")),
        };
        let ports: BTreeSet<u16> = parts.map(port).collect::<Result<_, _>>()?;
        match ports.is_empty() {
            false => Ok(Ports(ports.into_iter().collect())),
            true => Err("no port is named".into()),
        }
    }
}

/// Which virtual servers the section is about; `None` if it is wrong.
pub fn ids(e: &Element<'_>) -> Option<Vec<VirtualServerId>> {
    if let Some(mark) = e.get::<u32>("fwmark") {
        let family = match e.text("family").as_deref() {
            Some("ipv6") => Family::Ipv6,
            Some(_) | None => Family::Ipv4,
        };
        let Some(mark) = NonZeroU32::new(mark.value) else {
            e.report(Diagnostic::error(mark.place, "0 is no mark: every packet has it"));
            return None;
        };
        return Some(vec![VirtualServerId::Fwmark { mark, family }]);
    }
    let Some(addr) = e.get::<IpAddr>("address") else {
        e.report(Diagnostic::error(e.place(), "a virtual server needs `address` or `fwmark`"));
        return None;
    };
    let ports = match e.get::<Ports>("ports") {
        Some(ports) => ports.value.0,
        // Wrong ones are not every port.
        None if e.has("ports") => return None,
        None => vec![0],
    };
    let protocol = e.get::<Protocol>("protocol").map_or(Protocol::Tcp, |p| p.value);
    let id = |port| VirtualServerId::Address { protocol, addr: addr.value, port };
    Some(ports.into_iter().map(id).collect())
}

/// How they work; `None` if it is wrong.
pub fn settings(e: &Element<'_>, family: Family) -> Option<ServerSettings> {
    let name = e.get::<SchedulerName>("scheduler")?;
    let flags = e.get::<String>("flags").map(|flags| flags.value).unwrap_or_default();
    let mut flags: Vec<&str> = flags.split([',', ' ']).filter(|f| !f.is_empty()).collect();
    let one_packet = flags.contains(&"ops");
    flags.retain(|f| *f != "ops");
    let scheduler = Scheduler::with_flags(name.value, flags)
        .map_err(|error| e.report(e.mistake("flags", error.to_string())))
        .ok()?;
    Some(ServerSettings { scheduler, one_packet, persistence: persistence(e, family)? })
}

/// `None` if it is wrong, `Some(None)` if there is none.
fn persistence(e: &Element<'_>, family: Family) -> Option<Option<Persistence>> {
    let Some(time) = e.get::<Duration>("persistence").filter(|t| !t.value.is_zero()) else {
        return Some(None);
    };
    let wrong = |key, what: String| e.report(e.mistake(key, what));
    let long = |error: model::SecondsError| wrong("persistence", error.to_string());
    let timeout = Seconds::try_from(time.value).map_err(long).ok()?;
    let netmask = match (e.text("netmask"), family) {
        (None, Family::Ipv4) => ClientMask::EACH_V4,
        (None, Family::Ipv6) => ClientMask::EACH_V6,
        (Some(text), family) => mask(&text, family).map_err(|why| wrong("netmask", why)).ok()?,
    };
    let refused = |error: model::NameError| wrong("persistence-engine", error.to_string());
    let engine = match e.text("persistence-engine") {
        Some(text) => Some(text.parse().map_err(refused).ok()?),
        None => None,
    };
    Some(Some(Persistence { timeout, netmask, engine }))
}

fn mask(text: &str, family: Family) -> Result<ClientMask, String> {
    let length = text.parse::<u32>();
    match (family, length) {
        (Family::Ipv4, Ok(length)) => ClientMask::prefix4(length).map_err(|e| e.to_string()),
        (Family::Ipv6, Ok(length)) => ClientMask::prefix6(length).map_err(|e| e.to_string()),
        (Family::Ipv4, Err(_)) => text.parse().map(ClientMask::V4).map_err(|_| {
            format!(
                "`{text}` is no netmask; it would be like 255.255.255.0, or a length such as 24"
            )
        }),
        (Family::Ipv6, Err(_)) => {
            Err(format!("`{text}` is no prefix length; it would be a number from 1 to 128"))
        }
    }
}
