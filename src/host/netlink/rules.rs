//! Routing policy rules that look into a table.
//!
//! Rules that do something else (goto, prohibit) are not read. What a rule has beyond the fields
//! here makes it elaborate. Every rule is added, and deleted, with our mark.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::errno::Errno;
use rtnetlink::IpVersion;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{RouteHeader, RouteProtocol};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};

use super::{MARK, Netlink, NetlinkError, deleted, gather, made};

/// A rule as the kernel has it, or is to have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundRule {
    /// Lower is asked first.
    pub priority: u32,
    /// Only packets from here.
    pub from: Option<IpNet>,
    /// Only packets to here.
    pub to: Option<IpNet>,
    /// Only packets with this mark.
    pub fwmark: Option<u32>,
    /// Only packets that came in here.
    pub incoming: Option<String>,
    /// The table to look into.
    pub table: u32,
    /// The family.
    pub ipv6: bool,
    /// Who made it; [`MARK`] is us.
    pub protocol: u8,
    /// Whether it has something that this struct has no field for.
    pub elaborate: bool,
}

impl FoundRule {
    fn shown(&self) -> String {
        format!("rule {} lookup {}", self.priority, self.table)
    }
}

impl Netlink {
    /// All rules of both families that look into a table.
    pub async fn rules(&self) -> Result<Vec<FoundRule>, NetlinkError> {
        let mut all = Vec::new();
        for version in [IpVersion::V4, IpVersion::V6] {
            let dump = self.handle.rule().get(version).execute();
            all.extend(gather("the routing rules", dump, |message| found(&message)).await?);
        }
        Ok(all)
    }

    /// Adds a rule with our mark.
    pub async fn add_rule(&self, rule: &FoundRule) -> Result<(), NetlinkError> {
        let mut request = self.handle.rule().add();
        *request.message_mut() = message(rule);
        made("add", &rule.shown(), request.execute().await)
    }

    /// Deletes a rule that carries our mark.
    pub async fn delete_rule(&self, rule: &FoundRule) -> Result<(), NetlinkError> {
        let answer = self.handle.rule().del(message(rule)).execute().await;
        deleted(&rule.shown(), &[Errno::ENOENT, Errno::ESRCH], answer)
    }
}

fn message(rule: &FoundRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = if rule.ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.action = RuleAction::ToTable;
    message.header.table = u8::try_from(rule.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    let mut add = |attribute| message.attributes.push(attribute);
    add(RuleAttribute::Priority(rule.priority));
    add(RuleAttribute::Table(rule.table));
    add(RuleAttribute::Protocol(RouteProtocol::Other(MARK)));
    if let Some(mark) = rule.fwmark {
        add(RuleAttribute::FwMark(mark));
    }
    if let Some(interface) = &rule.incoming {
        add(RuleAttribute::Iifname(interface.clone()));
    }
    if let Some(from) = rule.from {
        message.header.src_len = from.prefix_len();
        message.attributes.push(RuleAttribute::Source(from.trunc().addr()));
    }
    if let Some(to) = rule.to {
        message.header.dst_len = to.prefix_len();
        message.attributes.push(RuleAttribute::Destination(to.trunc().addr()));
    }
    message
}

fn found(message: &RuleMessage) -> Option<FoundRule> {
    let header = &message.header;
    if header.action != RuleAction::ToTable {
        return None;
    }
    let any = match header.family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let net = |len: u8| (len > 0).then(|| IpNet::new(any, len).ok()).flatten();
    let mut rule = FoundRule {
        table: u32::from(header.table),
        ipv6: any.is_ipv6(),
        from: net(header.src_len),
        to: net(header.dst_len),
        elaborate: header.tos != 0 || header.flags.contains(RuleFlags::Invert),
        ..FoundRule::default()
    };
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::Table(table) => rule.table = *table,
            RuleAttribute::Source(a) => rule.from = IpNet::new(*a, header.src_len).ok(),
            RuleAttribute::Destination(a) => rule.to = IpNet::new(*a, header.dst_len).ok(),
            RuleAttribute::FwMark(mark) => rule.fwmark = Some(*mark),
            RuleAttribute::Iifname(name) => rule.incoming = Some(name.clone()),
            RuleAttribute::Protocol(p) => rule.protocol = (*p).into(),
            // The kernel fills in the full mask where a mark was given without one.
            RuleAttribute::FwMask(mask) => rule.elaborate |= *mask != u32::MAX,
            // And "no suppression", which is the default.
            RuleAttribute::SuppressPrefixLen(u32::MAX) => {}
            _ => rule.elaborate = true,
        }
    }
    Some(rule)
}
