//! `[[receive]]`: how a real server takes packets that came for a VIP.
//!
//! Direct routing: the VIP stands on `lo` with a full mask,
//! and the host keeps silent about it on the wire, which has to be so *before* the VIP is there.
//! Tunnels: the same on the tunnel's device, with the reverse-path filter loosened there. NAT: the
//! way back leads through the director. FULLNAT: nothing at all, which is its charm.

use std::net::IpAddr;

use ipnet::IpNet;

use super::element::{Element, FOR_EACH, WHEN};
use super::method::{GUE_PORT, Method, TunnelKind};
use super::want::Want;
use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Field, Section, Shape};
use crate::resource::address::Address;
use crate::resource::arp_filter::ArpFilter;
use crate::resource::gue_port::GuePort;
use crate::resource::link::Link;
use crate::resource::module::Module;
use crate::resource::route::Route;
use crate::resource::sysctl::{self, Sysctl};
use crate::resource::{Id, route};

/// The keys of `[[receive]]`.
pub const SECTION: Section = Section::new(
    "receive",
    "Takes packets for a VIP as the forwarding method wants it.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("vip", Shape::Address, "The VIP."),
        Field::required("forward", Shape::OneOf(Method::WORDS), "The directors' method."),
        Field::optional("tunnel", Shape::OneOf(TunnelKind::WORDS), "With forward = \"tun\".")
            .default("ipip"),
        Field::optional("arp", Shape::OneOf(&["sysctl", "arptables"]), "How the VIP is hidden.")
            .default("sysctl"),
        Field::optional("gateway", Shape::Text, "With forward = \"nat\": the way back.")
            .default("the only director"),
        Field::optional("label", Shape::Text, "What follows the colon in the VIP's label.")
            .default("0"),
        Field::optional("host-route", Shape::Bool, "Whether a host route to the VIP is kept.")
            .default("true"),
    ],
);

/// How ARP is kept from telling of the VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    Sysctl,
    Arptables,
}

/// A VIP whose packets come here.
#[derive(Clone, Debug)]
pub struct Receive {
    place: Place,
    vip: IpAddr,
    method: Method,
    tunnel: TunnelKind,
    silence: Silence,
    gateway: Option<IpAddr>,
    label: String,
    host_route: bool,
    own: IpAddr,
    interface: String,
}

impl Receive {
    /// Reads the section. `own` is this host's address, on `interface`; `directors` are the
    /// addresses of all directors.
    pub fn read(
        e: &Element<'_>,
        own: IpAddr,
        interface: &str,
        directors: &[IpAddr],
    ) -> Option<Self> {
        let vip = e.get::<IpAddr>("vip")?;
        let method = e.get::<Method>("forward")?;
        let silence = match e.text("arp").as_deref() {
            Some("arptables") => Silence::Arptables,
            Some(_) | None => Silence::Sysctl,
        };
        let gateway = match (e.text("gateway"), directors) {
            (Some(_), _) => Some(e.get::<IpAddr>("gateway")?.value),
            (None, [only]) => Some(*only),
            (None, _) => None,
        };
        if method.value == Method::Nat && gateway.is_none() {
            e.report(no_gateway(e.place(), directors.len()));
            return None;
        }
        Some(Receive {
            place: e.place(),
            vip: vip.value,
            method: method.value,
            tunnel: e.get::<TunnelKind>("tunnel").map(|t| t.value).unwrap_or_default(),
            silence,
            gateway,
            label: e.text("label").unwrap_or_else(|| "0".into()),
            host_route: e.get::<bool>("host-route").is_none_or(|r| r.value),
            own,
            interface: interface.to_owned(),
        })
    }

    /// What this host needs for that.
    pub fn expand(&self, want: &mut Want) {
        match self.method {
            Method::Dr => self.direct(want),
            Method::Tun => self.tunnelled(want),
            Method::Nat => self.translated(want),
            Method::Fullnat => {}
        }
    }

    fn direct(&self, want: &mut Want) {
        let mut needs = self.keep_silent("lo", want);
        // Loose where packets come in: on a host with several networks answers leave elsewhere.
        needs.extend(self.loose_reverse_path(&self.interface, want));
        self.vip_on("lo", needs, want);
    }

    fn tunnelled(&self, want: &mut Want) {
        let (module, device) = self.tunnel.receiver(self.vip.is_ipv4());
        let module = want.add(&self.place, Module { module: module.into() });
        let link = Link { interface: device.into(), create: None, up: true };
        let link = want.add_after(&self.place, link, [module]);
        let mut needs = self.keep_silent(device, want);
        if self.tunnel == TunnelKind::Gue {
            let fou = want.add(&self.place, Module { module: "fou".into() });
            let port = GuePort::new(GUE_PORT, self.own.is_ipv6());
            needs.push(want.add_after(&self.place, port, [fou]));
        }
        // What comes out of the tunnel is answered elsewhere.
        needs.extend(self.loose_reverse_path(device, want));
        needs.push(link);
        self.vip_on(device, needs, want);
    }

    fn translated(&self, want: &mut Want) {
        let Some(gateway) = self.gateway else { return };
        let everywhere = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        let route = Route {
            destination: everywhere.parse().expect("a constant prefix"),
            via: Some(gateway),
            interface: None,
            source: None,
            table: route::MAIN_TABLE,
            metric: 0,
        };
        want.add(&self.place, route);
    }

    /// The kernel takes the larger of this and conf.all (ip-sysctl: rp_filter); 2 is loose.
    fn loose_reverse_path(&self, device: &str, want: &mut Want) -> Option<Id> {
        let key = sysctl::of_interface("ipv4", device, "rp_filter");
        let sysctl = Sysctl { key, value: "2".into() };
        self.vip.is_ipv4().then(|| want.add_default(&self.place, sysctl))
    }

    fn vip_on(&self, device: &str, needs: Vec<Id>, want: &mut Want) {
        let label = self.vip.is_ipv4().then(|| format!("{device}:{}", self.label));
        // "Must be all ones": with a shorter mask the host would think the whole net is local.
        let address = IpNet::from(self.vip);
        let address = Address { address, interface: device.into(), label };
        want.add_after(&self.place, address, needs);
        if self.host_route {
            let route = Route {
                destination: IpNet::from(self.vip),
                via: None,
                interface: Some(device.into()),
                source: None,
                table: route::MAIN_TABLE,
                metric: 0,
            };
            want.add(&self.place, route);
        }
    }

    /// What keeps ARP silent about the VIP. IPv6 needs nothing: a neighbour solicitation is
    /// answered only for addresses of the interface that it came in on.
    fn keep_silent(&self, device: &str, want: &mut Want) -> Vec<Id> {
        match (self.vip, self.own, self.silence) {
            (IpAddr::V6(_), _, _) => Vec::new(),
            (IpAddr::V4(vip), IpAddr::V4(source), Silence::Arptables) => {
                vec![want.add(&self.place, ArpFilter { vip, source })]
            }
            (IpAddr::V4(_), _, _) => self.arp_sysctls(device, want),
        }
    }

    fn arp_sysctls(&self, device: &str, want: &mut Want) -> Vec<Id> {
        let mut ids = Vec::new();
        for interface in ["all", device] {
            for (key, value) in [("arp_ignore", "1"), ("arp_announce", "2")] {
                let key = format!("net.ipv4.conf.{interface}.{key}");
                ids.push(want.add_default(&self.place, Sysctl { key, value: value.into() }));
            }
        }
        ids
    }
}

fn no_gateway(place: Place, directors: usize) -> Diagnostic {
    let title = match directors {
        0 => "forward = \"nat\" needs a director, and no host of this cluster is one".to_owned(),
        n => format!("forward = \"nat\" needs one way back, and this cluster has {n} directors"),
    };
    Diagnostic::error(place, title)
        .label("answers would not come back through the director")
        .help("set `gateway` under [vars] to an address that moves with the VIPs")
}
