//! What the kernel tells unasked: that a link, an address, a route or a rule changed.
//!
//! Only that something did; an overrun of the socket counts as a change. What VRRP does to its own
//! VIPs several times a minute is not told.

use std::io;

use futures_util::{Stream, StreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::{MulticastGroup, new_multicast_connection};

use super::VIP_MARK;

const GROUPS: [MulticastGroup; 7] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];

/// One item for each change. Served by a task of the runtime that this is called in.
pub fn changes() -> io::Result<impl Stream<Item = ()>> {
    let (connection, _handle, messages) = new_multicast_connection(&GROUPS)?;
    tokio::spawn(connection);
    Ok(messages.filter_map(async |(message, _)| is_change(&message).then_some(())))
}

fn is_change(message: &NetlinkMessage<RouteNetlinkMessage>) -> bool {
    match &message.payload {
        NetlinkPayload::InnerMessage(
            RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address),
        ) => !is_vip(address),
        NetlinkPayload::InnerMessage(_) | NetlinkPayload::Overrun(_) => true,
        _ => false,
    }
}

fn is_vip(address: &AddressMessage) -> bool {
    let mark = |a: &AddressAttribute| match a {
        AddressAttribute::Protocol(protocol) => u8::from(*protocol) == VIP_MARK,
        _ => false,
    };
    address.attributes.iter().any(mark)
}
