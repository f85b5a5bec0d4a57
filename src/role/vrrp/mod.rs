//! `[[vrrp]]`: a virtual router that this host is one of.
//!
//! The section says what the host tells the others and when it takes over. Which VIPs go with it
//! the `[[hold]]` sections say; who the others are follows from the cluster file: every host whose
//! role has a router of the same name ([`super::election`]).

pub mod words;

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use words::{FamilyChoice, RouterName, Vrid, written};

use super::element::{Element, FOR_EACH, WHEN};
use crate::cluster::HostEntry;
use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Field, Section, Shape, Spanned};
use crate::vrrp::config::{
    Announcing, Checksum, Family, Interval, Preempt, Priority, RouterConfig, Transport, Version,
    Vip,
};

/// The keys of `[[vrrp]]`.
pub const SECTION: Section = Section::new(
    "vrrp",
    "A virtual router: the VIPs that move together between the hosts that have a router of this \
     name.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("name", Shape::Text, "Its name, the same on every host that has it."),
        Field::optional("interface", Shape::Text, "The interface that it speaks on.")
            .default("the one of this host's address"),
        Field::optional("vrid", Shape::Text, "Its identifier on the wire, 1 to 255, or auto.")
            .default("\"auto\", which follows from the names of cluster and router"),
        Field::optional(
            "priority",
            Shape::Integer { min: 1, max: 255 },
            "The host with the highest one is preferred; 255 is for the owner of the addresses.",
        )
        .default("100"),
        Field::optional(
            "prefer",
            Shape::Text,
            "The host that is to hold it: its priority is 250 whatever `priority` says.",
        )
        .default("\"\""),
        Field::optional(
            "interval",
            Shape::Duration,
            "How often the active one says that it is; after three of silence another takes over. \
             Version 3: 10ms to 40.95s in steps of 10ms; version 2: whole seconds.",
        )
        .default("\"1s\""),
        Field::optional(
            "version",
            Shape::Integer { min: 2, max: 3 },
            "Of the protocol; 2 is for old peers, with whole seconds and IPv4 alone.",
        )
        .default("3"),
        Field::optional(
            "preempt",
            Shape::Text,
            "What it does about an active one of lower priority: now, never, or after 30s.",
        )
        .default("\"now\""),
        Field::optional("start-delay", Shape::Duration, "How long it is silent after a start.")
            .default("\"0s\""),
        Field::optional(
            "transport",
            Shape::OneOf(words::TRANSPORTS),
            "Where advertisements go: to each of the other hosts, or to the group of all routers.",
        )
        .default("unicast"),
        Field::optional(
            "family",
            Shape::OneOf(words::FAMILIES),
            "Of its advertisements; VIPs of the other family move with them.",
        )
        .default("auto: IPv4 if it has an IPv4 VIP, else IPv6"),
        Field::optional(
            "checksum",
            Shape::OneOf(words::CHECKSUMS),
            "Of version 3 over IPv4: with the pseudo-header, as keepalived and FRR have it, or \
             over the message alone, as Cisco and Juniper do. Both are taken.",
        )
        .default("pseudo-header"),
        Field::optional(
            "password",
            Shape::Text,
            "Version 2, and 8 bytes at most: what others want to see. It protects nothing.",
        )
        .default("\"\""),
        Field::optional("sync-group", Shape::Text, "Routers of one group are active together.")
            .default("\"\""),
        Field::optional(
            "garp-repeat",
            Shape::Integer { min: 1, max: 100 },
            "How many announcements of each VIP a takeover sends.",
        )
        .default("5"),
        Field::optional("garp-delay", Shape::Duration, "When it sends as many again; 0s: never.")
            .default("\"5s\""),
        Field::optional("garp-refresh", Shape::Duration, "How often one more; 0s: never.")
            .default("\"60s\""),
    ],
);

/// The priority of a host that is preferred.
pub const PREFERRED: Priority = NonZeroU8::new(250).expect("not zero");

const HUNDRED: Priority = NonZeroU8::new(100).expect("not zero");

/// A virtual router as one host's role has it.
#[derive(Clone, Debug)]
pub struct Vrrp {
    /// The section.
    pub place: Place,
    /// What it says. Places do not count when two are compared.
    pub says: Says,
}

/// What the keys of a section say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Says {
    /// `name`.
    pub name: Spanned<String>,
    /// `interface`.
    pub interface: Spanned<String>,
    /// `vrid`, found or derived.
    pub vrid: Spanned<NonZeroU8>,
    /// `priority`.
    pub priority: Spanned<Priority>,
    /// `prefer`.
    pub prefer: Option<Spanned<String>>,
    /// `interval`.
    pub interval: Spanned<Interval>,
    /// `version`.
    pub version: Spanned<Version>,
    /// `preempt`.
    pub preempt: Spanned<Preempt>,
    /// `start-delay`.
    pub start_delay: Duration,
    /// `transport`.
    pub transport: Spanned<Transport>,
    /// `family`.
    pub family: Spanned<FamilyChoice>,
    /// `checksum`.
    pub checksum: Checksum,
    /// `password`.
    pub password: Option<Spanned<String>>,
    /// `sync-group`.
    pub sync_group: Option<Spanned<String>>,
    /// `garp-…`.
    pub announcing: Announcing,
}

impl Vrrp {
    /// Reads the section for a host of this cluster.
    pub fn read(e: &Element<'_>, me: &HostEntry, cluster: &str) -> Option<Self> {
        let place = e.place();
        let name = e.get::<RouterName>("name")?.map(|RouterName(name)| name);
        let own = || Spanned::new(me.interface.value.to_string(), place.clone());
        let version = e.get_or("version", Version::V3);
        let every = e.get_or("interval", Interval::DEFAULT.get());
        let interval = Interval::new(version.value, every.value).unwrap_or_else(|error| {
            let place = e.origin("interval").map_or(every.place.clone(), |said| said.place);
            e.report(Diagnostic::error(place, error.to_string()));
            Interval::DEFAULT
        });
        let interval = Spanned::new(interval, every.place);
        let vrid = e.get_or("vrid", Vrid::Auto).map(|vrid| vrid.or_of(cluster, &name.value));
        let says = Says {
            interface: e.origin("interface").unwrap_or_else(own),
            vrid,
            priority: e.get_or("priority", HUNDRED),
            prefer: e.origin("prefer"),
            interval,
            version,
            preempt: e.get_or("preempt", Preempt::Now),
            start_delay: e.get_or("start-delay", Duration::ZERO).value,
            transport: e.get_or("transport", Transport::default()),
            family: e.get_or("family", FamilyChoice::Auto),
            checksum: e.get_or("checksum", Checksum::default()).value,
            password: e.origin("password"),
            sync_group: e.origin("sync-group"),
            announcing: announcing(e),
            name,
        };
        Some(Vrrp { place, says })
    }

    /// What the router is told on this host, without its peers.
    pub fn config(&self, me: &HostEntry, vips: Vec<Vip>) -> RouterConfig {
        let says = &self.says;
        let preferred = says.prefer.as_ref().is_some_and(|p| p.value == me.name.as_str());
        RouterConfig {
            name: says.name.value.clone(),
            vrid: says.vrid.value,
            family: self.family(&vips),
            version: says.version.value,
            interface: says.interface.value.clone(),
            source: me.address.addr(),
            transport: says.transport.value,
            peers: Vec::new(),
            priority: if preferred { PREFERRED } else { says.priority.value },
            interval: says.interval.value,
            preempt: says.preempt.value,
            start_delay: says.start_delay,
            checksum: says.checksum,
            password: says.password.as_ref().map(|password| on_the_wire(&password.value)),
            sync_group: says.sync_group.as_ref().map(|group| group.value.clone()),
            vips,
            announcing: says.announcing,
        }
    }

    fn family(&self, vips: &[Vip]) -> Family {
        let is_v4 = |vip: &Vip| matches!(vip.address.addr(), IpAddr::V4(_));
        match self.says.family.value {
            FamilyChoice::Ipv4 => Family::Ipv4,
            FamilyChoice::Ipv6 => Family::Ipv6,
            FamilyChoice::Auto if vips.is_empty() || vips.iter().any(is_v4) => Family::Ipv4,
            FamilyChoice::Auto => Family::Ipv6,
        }
    }
}

impl Says {
    /// The keys that say something else in the other, with what each of both says.
    pub fn differing(&self, other: &Says) -> Vec<(&'static str, String, String)> {
        let both = self.told().into_iter().zip(other.told());
        both.filter(|((_, one), (_, other))| one != other)
            .map(|((key, one), (_, other))| (key, one, other))
            .collect()
    }

    /// Every key with its value as it might be written.
    fn told(&self) -> [(&'static str, String); 17] {
        let text = |text: &Option<Spanned<String>>| match text {
            Some(text) => format!("\"{text}\""),
            None => "\"\"".into(),
        };
        let Announcing { repeat, delay, refresh } = self.announcing;
        [
            ("interface", self.interface.value.clone()),
            ("vrid", self.vrid.to_string()),
            ("priority", self.priority.to_string()),
            ("prefer", text(&self.prefer)),
            ("interval", written(self.interval.get())),
            ("version", words::of_version(self.version.value).into()),
            ("preempt", words::of_preempt(self.preempt.value)),
            ("start-delay", written(self.start_delay)),
            ("transport", words::of_transport(self.transport.value).into()),
            ("family", words::of_family(self.family.value).into()),
            ("checksum", words::of_checksum(self.checksum).into()),
            ("password", text(&self.password)),
            ("sync-group", text(&self.sync_group)),
            ("garp-repeat", repeat.to_string()),
            ("garp-delay", written(delay)),
            ("garp-refresh", written(refresh)),
            ("name", self.name.value.clone()),
        ]
    }
}

fn announcing(e: &Element<'_>) -> Announcing {
    let standard = Announcing::default();
    Announcing {
        repeat: e.get_or("garp-repeat", standard.repeat).value,
        delay: e.get_or("garp-delay", standard.delay).value,
        refresh: e.get_or("garp-refresh", standard.refresh).value,
    }
}

/// The first 8 bytes, filled up with zeroes (RFC 2338 5.3.10).
fn on_the_wire(password: &str) -> [u8; 8] {
    let mut field = [0; 8];
    field.iter_mut().zip(password.bytes()).for_each(|(to, from)| *to = from);
    field
}
