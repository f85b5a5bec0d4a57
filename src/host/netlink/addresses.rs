//! Addresses on interfaces.
//!
//! Every address is added with our mark, and an IPv6 one without duplicate detection. One that is
//! on an interface already is an error here; what to make of it is the kind's to decide.

use std::net::IpAddr;

use ipnet::IpNet;
use nix::errno::Errno;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol,
    AddressScope,
};

use super::links::{Names, index};
use super::{MARK, Netlink, NetlinkError, VIP_MARK, deleted, gather, made};

/// An address as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAddress {
    /// Address and prefix length.
    pub address: IpNet,
    /// The interface.
    pub interface: String,
    /// The label; the kernel gives every IPv4 address one, by default the interface's name.
    pub label: Option<String>,
    /// Whether it carries [`MARK`]. Kernels before 5.18 drop the mark.
    pub marked: bool,
    /// Whether it carries [`VIP_MARK`].
    pub vip: bool,
    /// Whether the kernel removes it by itself some day.
    pub leased: bool,
    /// Whether it lives only as long as another address of its subnet does.
    pub secondary: bool,
}

impl Netlink {
    /// All addresses of both families.
    pub async fn addresses(&self) -> Result<Vec<FoundAddress>, NetlinkError> {
        let names = self.link_names().await?;
        let dump = self.handle.address().get().execute();
        gather("the list of addresses", dump, |message| found(&message, &names)).await
    }

    /// Adds an address with our mark.
    pub async fn add_address(
        &self,
        address: IpNet,
        interface: &str,
        label: Option<&str>,
    ) -> Result<(), NetlinkError> {
        let what = format!("address {address} on {interface}");
        let index = index(interface, "add", || what.clone())?;
        let mut request = self.handle.address().add(index, address.addr(), address.prefix_len());
        let message = request.message_mut();
        *message = self::message(index, address, label);
        message.attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(MARK)));
        if address.addr().is_ipv6() {
            // A VIP must answer at once; duplicates are VRRP's business, not the kernel's.
            message.header.flags |= AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        made("add", &what, request.execute().await)
    }

    /// Deletes an address.
    pub async fn delete_address(
        &self,
        address: IpNet,
        interface: &str,
    ) -> Result<(), NetlinkError> {
        let what = format!("address {address} on {interface}");
        let Ok(index) = index(interface, "delete", || what.clone()) else {
            return Ok(());
        };
        let answer = self.handle.address().del(message(index, address, None)).execute().await;
        deleted(&what, &[Errno::EADDRNOTAVAIL, Errno::ENODEV], answer)
    }
}

fn message(index: u32, address: IpNet, label: Option<&str>) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match address {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = address.prefix_len();
    message.header.index = index;
    message.header.scope = AddressScope::Universe;
    message.attributes.push(AddressAttribute::Local(address.addr()));
    message.attributes.push(AddressAttribute::Address(address.addr()));
    if let Some(label) = label {
        message.attributes.push(AddressAttribute::Label(label.to_owned()));
    }
    message
}

fn found(message: &AddressMessage, names: &Names) -> Option<FoundAddress> {
    let (mut local, mut address, mut label, mut protocol) = (None::<IpAddr>, None, None, 0);
    let mut leased = false;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(a) => local = Some(*a),
            AddressAttribute::Address(a) => address = Some(*a),
            AddressAttribute::Label(l) => label = Some(l.clone()),
            AddressAttribute::Protocol(p) => protocol = u8::from(*p),
            AddressAttribute::CacheInfo(info) => leased = info.ifa_valid != u32::MAX,
            _ => {}
        }
    }
    // On a point-to-point interface `Address` is the peer's; `Local` is always our own.
    let address = IpNet::new(local.or(address)?, message.header.prefix_len).ok()?;
    Some(FoundAddress {
        address,
        interface: names.name(message.header.index),
        label,
        marked: protocol == MARK,
        vip: protocol == VIP_MARK,
        leased,
        secondary: message.header.flags.contains(AddressHeaderFlags::Secondary),
    })
}
