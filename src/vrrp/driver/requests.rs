//! How the kernel is told to add, renew and delete a VIP.
//!
//! Each is added with our mark and a lease. An IPv6 VIP is added without duplicate detection, for
//! it must answer at once, and deprecated, so that the host's own connections do not leave from an
//! address that may go at any moment. IPv4 knows no such thing; there, the label is set.

use ipnet::IpNet;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol,
    AddressScope, CacheInfo,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::VIP_MARK;
use super::vips::Change;
use crate::vrrp::config::Vip;

/// The message and its flags.
pub(super) fn request(change: &Change) -> (RouteNetlinkMessage, u16) {
    match change {
        // Never over an address that is there: it would become ours.
        Change::Add { vip, index, lease, routed } => {
            let message = leased(vip, *index, *lease, *routed);
            (RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
        }
        Change::Renew { vip, index, lease, routed } => {
            let message = leased(vip, *index, *lease, *routed);
            (RouteNetlinkMessage::NewAddress(message), NLM_F_REPLACE)
        }
        Change::Remove { index, address } => {
            (RouteNetlinkMessage::DelAddress(message(*index, *address)), 0)
        }
    }
}

fn message(index: u32, address: IpNet) -> AddressMessage {
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
    message
}

fn leased(vip: &Vip, index: u32, lease: u32, routed: bool) -> AddressMessage {
    let mut message = message(index, vip.address);
    let mut info = CacheInfo::default();
    info.ifa_valid = lease;
    let attributes = &mut message.attributes;
    attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(VIP_MARK)));
    match vip.address {
        IpNet::V4(_) => {
            info.ifa_preferred = lease;
            let label = vip.label.as_ref().unwrap_or(&vip.interface);
            attributes.push(AddressAttribute::Label(label.clone()));
        }
        IpNet::V6(_) => {
            let route = if routed { AddressFlags::empty() } else { AddressFlags::Noprefixroute };
            attributes.push(AddressAttribute::Flags(AddressFlags::Nodad | route));
            message.header.flags |= AddressHeaderFlags::Nodad;
        }
    }
    attributes.push(AddressAttribute::CacheInfo(info));
    message
}
