//! `[[link]]`, `[[address]]`, `[[route]]` and `[[rule]]`: what netlink knows, one to one.
//!
//! For what the sections about load balancing do not cover; a role of one's own may need nothing
//! else.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::element::{Element, FOR_EACH, WHEN};
use crate::diagnostic::Diagnostic;
use crate::document::{Field, Section, Shape, Value};
use crate::resource::address::Address;
use crate::resource::link::{Link, LinkType};
use crate::resource::route::{self, Route};
use crate::resource::rule::Rule;

const U32: Shape = Shape::Integer { min: 0, max: u32::MAX as i64 };

/// The keys of `[[link]]`.
pub const LINK: Section = Section::new(
    "link",
    "A network interface that is created, or one that is only brought up.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("name", Shape::Text, "Its name."),
        Field::optional("type", Shape::OneOf(&["dummy", "ipip", "gre"]), "What to create."),
        Field::optional("local", Shape::Address, "The outer address of a tunnel."),
        Field::optional("up", Shape::Bool, "Whether it is up.").default("true"),
    ],
);

/// The keys of `[[address]]`.
pub const ADDRESS: Section = Section::new(
    "address",
    "An address on an interface.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("address", Shape::Prefix, "With prefix length."),
        Field::required("interface", Shape::Text, "Where."),
        Field::optional("label", Shape::Text, "The name that ifconfig shows for it, IPv4 only."),
    ],
);

/// The keys of `[[route]]`.
pub const ROUTE: Section = Section::new(
    "route",
    "A route.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("to", Shape::Text, "A prefix, or \"default\"."),
        Field::optional("via", Shape::Address, "The next hop."),
        Field::optional("interface", Shape::Text, "The interface."),
        Field::optional("source", Shape::Address, "The address that packets from here carry."),
        Field::optional("table", U32, "The routing table.").default("254, main"),
        Field::optional("metric", U32, "Lower wins.").default("0"),
    ],
);

/// The keys of `[[rule]]`.
pub const RULE: Section = Section::new(
    "rule",
    "A routing policy rule.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("priority", Shape::Integer { min: 1, max: 32765 }, "Lower is first."),
        Field::required("table", U32, "The table to look into."),
        Field::optional("from", Shape::Prefix, "Only packets from here."),
        Field::optional("to", Shape::Prefix, "Only packets to here."),
        Field::optional("fwmark", U32, "Only packets with this mark."),
        Field::optional("incoming", Shape::Text, "Only packets that came in here."),
    ],
);

/// A place to route to: a prefix or `default`, which is every IPv4 address.
#[derive(Clone, Copy, Debug)]
struct Destination(IpNet);

impl Value for Destination {
    const WHAT: &'static str = "a prefix such as 192.0.2.0/24, or \"default\"";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "default" {
            return Ok(Destination(IpNet::new_assert(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)));
        }
        let net = IpNet::parse(text)?;
        if net.trunc() != net {
            return Err(format!("bits are set behind the prefix; {} would be right", net.trunc()));
        }
        Ok(Destination(net))
    }
}

/// Reads `[[link]]`.
pub fn link(e: &Element<'_>) -> Option<Link> {
    let interface = e.get::<String>("name")?.value;
    let local = e.get::<Ipv4Addr>("local").map(|l| l.value);
    let create = match (e.text("type").as_deref(), local) {
        (None, _) => None,
        (Some("ipip"), Some(local)) => Some(LinkType::Ipip { local }),
        (Some("gre"), Some(local)) => Some(LinkType::Gre { local }),
        (Some("dummy"), _) => Some(LinkType::Dummy),
        (Some(_), None) => {
            e.report(Diagnostic::error(e.place(), "a tunnel needs `local`, its outer address"));
            return None;
        }
        (Some(_), Some(_)) => return None,
    };
    let up = e.get::<bool>("up").is_none_or(|up| up.value);
    Some(Link { interface, create, up })
}

/// Reads `[[address]]`.
pub fn address(e: &Element<'_>) -> Option<Address> {
    Some(Address {
        address: e.get::<IpNet>("address")?.value,
        interface: e.get::<String>("interface")?.value,
        label: e.text("label"),
    })
}

/// Reads `[[route]]`.
pub fn route(e: &Element<'_>) -> Option<Route> {
    let destination = e.get::<Destination>("to")?;
    let via = e.get::<IpAddr>("via").map(|v| v.value);
    let interface = e.text("interface");
    if via.is_none() && interface.is_none() {
        let title = "a route needs `via`, `interface`, or both";
        e.report(Diagnostic::error(destination.place, title));
        return None;
    }
    Some(Route {
        destination: destination.value.0,
        via,
        interface,
        source: e.get::<IpAddr>("source").map(|s| s.value),
        table: e.get::<u32>("table").map_or(route::MAIN_TABLE, |t| t.value),
        metric: e.get::<u32>("metric").map_or(0, |m| m.value),
    })
}

/// Reads `[[rule]]`.
pub fn rule(e: &Element<'_>) -> Option<Rule> {
    let from = e.get::<IpNet>("from").map(|p| p.value);
    let to = e.get::<IpNet>("to").map(|p| p.value);
    Some(Rule {
        priority: e.get::<u32>("priority")?.value,
        from,
        to,
        fwmark: e.get::<u32>("fwmark").map(|m| m.value),
        incoming: e.text("incoming"),
        table: e.get::<u32>("table")?.value,
        ipv6: from.or(to).is_some_and(|p| p.addr().is_ipv6()),
    })
}
