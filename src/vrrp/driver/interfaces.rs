//! What is known of this host's interfaces and addresses, from what the kernel says.
//!
//! A dump fills the table, and each message after it changes what it names, in the kernel's own
//! order. Nothing else writes here: what we add or delete ourselves is in the table when the
//! kernel has said so.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use rtnetlink::packet_route::AddressFamily::{Inet, Inet6, Unspec};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage,
};
use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, LinkAttribute, LinkFlags, LinkMessage,
};

/// Who made it: `IFA_PROTO` of a VIP that VRRP put there. The reconcile's own addresses carry 118
/// and it does not touch these. It must never change, or a new version would not know its own.
pub const VIP_MARK: u8 = 119;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    /// The kernel's number for it.
    pub(super) index: u32,
    /// Its name.
    pub(super) name: String,
    /// Its MAC address; tunnels have none.
    pub(super) mac: Option<[u8; 6]>,
    /// Whether packets can leave by it: up, with carrier.
    pub(super) running: bool,
    /// Whether it wants neighbours to be found by ARP or NDP.
    pub(super) arp: bool,
    /// Whether it forwards IPv6, which makes this host a router to its neighbours there.
    pub(super) router: bool,
}

/// An address on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The label; IPv4 only.
    pub(super) label: Option<String>,
    /// Whether it carries [`VIP_MARK`]. Kernels before 5.18 drop the mark.
    pub(super) marked: bool,
    /// Whether the kernel removes it by itself some day.
    pub(super) finite: bool,
    /// Whether it may be used already: duplicate detection is over, or there is none.
    pub(super) usable: bool,
}

/// All interfaces and addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Interfaces {
    links: BTreeMap<u32, Interface>,
    addresses: BTreeMap<(u32, IpNet), Found>,
}

impl Interfaces {
    /// The interface of a name.
    pub(super) fn named(&self, name: &str) -> Option<&Interface> {
        self.links.values().find(|link| link.name == name)
    }

    /// The interface of a number.
    pub(super) fn numbered(&self, index: u32) -> Option<&Interface> {
        self.links.get(&index)
    }

    /// An address on the interface of a number. An IPv6 address is there once, with any prefix.
    pub(super) fn found(&self, index: u32, address: IpNet) -> Option<(IpNet, &Found)> {
        let same = |net: IpNet| match address {
            IpNet::V4(_) => net == address,
            IpNet::V6(_) => net.addr() == address.addr(),
        };
        self.on(index).find(|(net, _)| same(*net))
    }

    /// Every address, with the number of its interface.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (u32, IpNet, &Found)> {
        self.addresses.iter().map(|((index, net), found)| (*index, *net, found))
    }

    /// The addresses on an interface.
    pub(super) fn on(&self, index: u32) -> impl Iterator<Item = (IpNet, &Found)> {
        let all = IpNet::new(Ipv4Addr::UNSPECIFIED.into(), 0).expect("a prefix of no bits");
        let from = self.addresses.range((index, all)..);
        from.take_while(move |((on, _), _)| *on == index).map(|((_, net), found)| (*net, found))
    }

    /// Takes in what the kernel said.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what a kernel may send is an open list")]
    pub(super) fn apply(&mut self, message: &RouteNetlinkMessage) {
        match message {
            // A message of a bridge about its port has the port's number and little else.
            RouteNetlinkMessage::NewLink(link) => {
                let before = self.links.get(&link.header.index);
                if let Some(link) = read_link(link, before) {
                    self.links.insert(link.index, link);
                }
            }
            // That a port has left its bridge is said as a deletion, too, of the bridge's family.
            RouteNetlinkMessage::DelLink(link) if link.header.interface_family == Unspec => {
                self.addresses.retain(|(index, _), _| *index != link.header.index);
                self.links.remove(&link.header.index);
            }
            RouteNetlinkMessage::NewAddress(address) => {
                if let Some((key, found)) = read_address(address) {
                    self.addresses.insert(key, found);
                }
            }
            RouteNetlinkMessage::DelAddress(address) => {
                if let Some((key, _)) = read_address(address) {
                    self.addresses.remove(&key);
                }
            }
            _ => {}
        }
    }
}

/// What a short message does not say is as before.
fn read_link(message: &LinkMessage, before: Option<&Interface>) -> Option<Interface> {
    let family = message.header.interface_family;
    if ![Unspec, Inet, Inet6].contains(&family) {
        return None;
    }
    let (mut name, mut mac) = (None, None);
    let mut router = before.is_some_and(|before| before.router);
    for attribute in &message.attributes {
        if let LinkAttribute::AfSpecUnspec(families) = attribute {
            router = forwards(families).unwrap_or(router);
        }
        if let LinkAttribute::IfName(n) = attribute {
            name = Some(n.clone());
        }
        if let LinkAttribute::Address(bytes) = attribute {
            mac = <[u8; 6]>::try_from(bytes.as_slice()).ok();
        }
    }
    let flags = message.header.flags;
    let running = flags.contains(LinkFlags::Up) && flags.contains(LinkFlags::Running);
    let arp = !flags.contains(LinkFlags::Noarp);
    Some(Interface { index: message.header.index, name: name?, mac, running, arp, router })
}

fn forwards(families: &[AfSpecUnspec]) -> Option<bool> {
    let ipv6 = families.iter().filter_map(|family| match family {
        AfSpecUnspec::Inet6(settings) => Some(settings),
        _ => None,
    });
    ipv6.flatten().find_map(|setting| match setting {
        AfSpecInet6::DevConf(settings) => Some(settings.forwarding != 0),
        _ => None,
    })
}

fn read_address(message: &AddressMessage) -> Option<((u32, IpNet), Found)> {
    let (mut local, mut address, mut label, mut marked) = (None::<IpAddr>, None, None, false);
    let (mut finite, mut flags) = (false, AddressFlags::empty());
    for attribute in &message.attributes {
        if let AddressAttribute::Local(a) = attribute {
            local = Some(*a);
        }
        if let AddressAttribute::Address(a) = attribute {
            address = Some(*a);
        }
        if let AddressAttribute::Label(l) = attribute {
            label = Some(l.clone());
        }
        if let AddressAttribute::Protocol(p) = attribute {
            marked = u8::from(*p) == VIP_MARK;
        }
        if let AddressAttribute::CacheInfo(info) = attribute {
            finite = info.ifa_valid != u32::MAX;
        }
        if let AddressAttribute::Flags(f) = attribute {
            flags = *f;
        }
    }
    // On a point-to-point interface `Address` is the peer's; `Local` is always our own.
    let net = IpNet::new(local.or(address)?, message.header.prefix_len).ok()?;
    let unusable = AddressFlags::Tentative | AddressFlags::Dadfailed;
    let usable = !flags.intersects(unusable)
        && !message.header.flags.intersects(AddressHeaderFlags::Tentative);
    Some(((message.header.index, net), Found { label, marked, finite, usable }))
}
