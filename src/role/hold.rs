//! `[[hold]]`: a VIP that a director holds while it is the active one.
//!
//! It is the last thing that is made and the first that is removed, and it is not made while what
//! is served under it could not be.

use ipnet::IpNet;

use super::element::{Element, FOR_EACH, WHEN};
use super::want::Want;
use crate::diagnostic::Place;
use crate::document::{Field, Section, Shape};
use crate::ipvs::VirtualServerId;
use crate::resource::address::Address;
use crate::resource::{Id, Resource};
use crate::situation::Situation;

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
    ],
);

/// A VIP to hold.
#[derive(Clone, Debug)]
pub struct Hold {
    place: Place,
    address: IpNet,
    interface: String,
    label: Option<String>,
}

impl Hold {
    /// Reads the section.
    pub fn read(e: &Element<'_>) -> Option<Self> {
        let address = e.get::<IpNet>("address")?;
        let interface = e.get::<String>("interface")?.value;
        let label = e.text("label").filter(|_| address.value.addr().is_ipv4());
        Some(Hold { place: e.place(), address: address.value, interface, label })
    }

    /// The VIP, last of all: it needs what is served under it.
    pub fn expand(&self, situation: &Situation, want: &mut Want) {
        if !situation.holds_vips() {
            return;
        }
        let needs: Vec<Id> = want.ids(|id| self.serves(want, id));
        let address = Address {
            address: self.address,
            interface: self.interface.clone(),
            label: self.label.clone(),
        };
        want.add_after(&self.place, address, needs);
    }

    /// Whether the VIP would draw traffic that goes nowhere without this.
    fn serves(&self, want: &Want, id: &Id) -> bool {
        let vip = self.address.addr();
        match want.get(id) {
            Some(Resource::VirtualServer(server)) => match server.id() {
                VirtualServerId::Address { addr, .. } => addr == vip,
                VirtualServerId::Fwmark { .. } => true,
            },
            Some(Resource::Snat(snat)) => snat.vip == vip,
            Some(Resource::Sysctl(sysctl)) => FORWARDING.contains(&sysctl.key.as_str()),
            Some(_) | None => false,
        }
    }
}

/// What NAT cannot do without.
const FORWARDING: [&str; 3] =
    ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.vs.conntrack"];
