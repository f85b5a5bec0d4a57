//! `[[hold]]`: a VIP of a virtual router, which the host holds while that router is Active.
//!
//! Where other hosts have the router too, the VIP is no resource: VRRP moves it and says when.
//! Where none has, the host holds it at once. Then it is the last thing that is made and the first
//! that is removed, and it is not made while what is served under it could not be.

use ipnet::IpNet;

use super::element::{Element, FOR_EACH, WHEN};
use super::want::Want;
use crate::diagnostic::Place;
use crate::document::{Field, Section, Shape, Spanned};
use crate::ipvs::VirtualServerId;
use crate::resource::address::Address;
use crate::resource::sysctl::{self, Sysctl};
use crate::resource::{Desired, Id, Resource};
use crate::vrrp::config::Vip;

/// The keys of `[[hold]]`.
pub const SECTION: Section = Section::new(
    "hold",
    "A VIP that this host holds: at once if no other host could, else while it is active.",
    &[
        FOR_EACH,
        WHEN,
        Field::required("address", Shape::Prefix, "The VIP with its prefix length, mostly /32."),
        Field::required("interface", Shape::Text, "The interface that it goes on."),
        Field::optional("label", Shape::Text, "The name that ifconfig shows for it, IPv4 only.")
            .default("\"\""),
        Field::optional("router", Shape::Text, "The virtual router that it belongs to.")
            .default("the only one"),
    ],
);

/// A VIP to hold.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The section.
    pub place: Place,
    /// The VIP.
    pub address: Spanned<IpNet>,
    /// The router that the section names.
    pub router: Option<Spanned<String>>,
    interface: String,
    label: Option<String>,
}

impl Hold {
    /// Reads the section.
    pub fn read(e: &Element<'_>) -> Option<Self> {
        let address = e.get::<IpNet>("address")?;
        let interface = e.get::<String>("interface")?.value;
        let label = e.text("label").filter(|_| address.value.addr().is_ipv4());
        let router = e.get::<String>("router").filter(|router| !router.value.is_empty());
        Some(Hold { place: e.place(), address, router, interface, label })
    }

    /// The VIP as its router knows it.
    pub fn vip(&self) -> Vip {
        let (interface, label) = (self.interface.clone(), self.label.clone());
        Vip { address: self.address.value, interface, label }
    }

    /// The VIP where nobody else could hold it, last of all: it needs what is served under it.
    pub fn expand(&self, want: &mut Want) {
        let needs: Vec<Id> = want.ids(|id| want.get(id).is_some_and(|r| self.is_served_by(r)));
        let Vip { address, interface, label } = self.vip();
        want.add_after(&self.place, Address { address, interface, label }, needs);
    }

    /// What the interface needs for a VIP that comes and goes: without it the kernel takes all other
    /// addresses of the subnet along with the first of them.
    pub fn prepare(&self, want: &mut Want) {
        let address = self.address.value;
        if address.addr().is_ipv4() && address.prefix_len() < 32 {
            let key = sysctl::of_interface("ipv4", &self.interface, "promote_secondaries");
            want.add_default(&self.place, Sysctl { key, value: "1".into() });
        }
    }

    /// What has to stand before the VIP may be held.
    pub fn needs<'a>(&'a self, desired: &'a Desired) -> impl Iterator<Item = Id> + 'a {
        let serving = desired.state.iter().filter(|(_, resource)| self.is_served_by(resource));
        serving.map(|(id, _)| id.clone())
    }

    /// Whether the VIP would draw traffic that goes nowhere without this.
    fn is_served_by(&self, resource: &Resource) -> bool {
        let vip = self.address.value.addr();
        match resource {
            Resource::VirtualServer(server) => match server.id() {
                VirtualServerId::Address { addr, .. } => addr == vip,
                VirtualServerId::Fwmark { .. } => true,
            },
            Resource::Snat(snat) => snat.vip == vip,
            Resource::Sysctl(sysctl) => FORWARDING.contains(&sysctl.key.as_str()),
            _ => false,
        }
    }
}

/// What NAT cannot do without.
const FORWARDING: [&str; 3] =
    ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.vs.conntrack"];
