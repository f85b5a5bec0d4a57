//! A network interface that we create or bring up.
//!
//! Ours carry the alias `converge`. The kernel takes no alias while it creates an interface, so one
//! is created under a name that is ours alone, gets its alias, and is renamed last: a crash in
//! between leaves nothing that looks foreign. An interface that somebody else created is brought up
//! or taken down as wanted and never removed.

use std::net::Ipv4Addr;

use serde::Serialize;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::netlink::{FoundLink, Netlink};
use crate::host::{Foreign, Host, HostError};

/// The alias by which our interfaces are known.
const ALIAS: &str = "converge";
/// The name of an interface that is not finished yet.
const UNFINISHED: &str = "converge-new";

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its name, at most 15 bytes.
    pub interface: String,
    /// What to create; `None` for an interface that something else creates (`tunl0` by its module).
    pub create: Option<LinkType>,
    /// Whether it is up.
    pub up: bool,
}

/// What sort of interface we create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkType {
    /// A dummy interface, to hold addresses.
    Dummy,
    /// An IP-in-IP tunnel end that takes packets from any peer to `local`.
    Ipip {
        /// The outer address of this host.
        local: Ipv4Addr,
    },
    /// A GRE tunnel end that takes packets from any peer to `local`.
    Gre {
        /// The outer address of this host.
        local: Ipv4Addr,
    },
}

impl LinkType {
    fn word(&self) -> &'static str {
        match self {
            LinkType::Dummy => "dummy",
            LinkType::Ipip { .. } => "ipip",
            LinkType::Gre { .. } => "gre",
        }
    }

    fn local(&self) -> Option<Ipv4Addr> {
        match self {
            LinkType::Dummy => None,
            LinkType::Ipip { local } | LinkType::Gre { local } => Some(*local),
        }
    }

    /// The type of an interface, if it is one that we could have created.
    fn of(found: &FoundLink) -> Option<LinkType> {
        let local = found.local.unwrap_or(Ipv4Addr::UNSPECIFIED);
        match found.kind.as_deref()? {
            "dummy" => Some(LinkType::Dummy),
            "ipip" if found.remote.is_none() => Some(LinkType::Ipip { local }),
            "gre" if found.remote.is_none() => Some(LinkType::Gre { local }),
            _ => None,
        }
    }
}

fn is_ours(found: &FoundLink) -> bool {
    found.name == UNFINISHED || found.alias.as_deref() == Some(ALIAS) && created_by_type(found)
}

/// An alias on hardware is not our mark: we create no hardware.
fn created_by_type(found: &FoundLink) -> bool {
    matches!(found.kind.as_deref(), Some("dummy" | "ipip" | "gre"))
}

/// What of the kernel's interfaces concerns us.
fn concerning(found: &[FoundLink], scope: &Scope<'_, Link>) -> Vec<Link> {
    let seen = |f: &FoundLink| {
        let wanted = scope.wanted.iter().find(|w| w.interface == f.name);
        if wanted.is_none() && !is_ours(f) {
            return None;
        }
        let create = match wanted {
            Some(Link { create: None, .. }) => None,
            Some(Link { create: Some(_), .. }) | None => LinkType::of(f),
        };
        Some(Link { interface: f.name.clone(), create, up: f.up })
    };
    found.iter().filter_map(seen).collect()
}

impl ResourceKind for Link {
    const KIND: Kind = Kind::Link;
    const MEMORY: Memory = Memory::Mark;

    fn name(&self) -> String {
        self.interface.clone()
    }

    async fn observe(host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        let found = host.netlink().await?.links().await?;
        Ok(concerning(&found, scope))
    }

    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for change in changes {
            results.push(bring_about(host, change.after).await);
        }
        results
    }

    async fn remove(host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for link in gone {
            results.push(delete(host, link).await);
        }
        results
    }
}

async fn bring_about(host: &Host, wanted: &Link) -> Result<(), HostError> {
    let netlink = host.netlink().await?;
    let found = netlink.links().await?;
    let standing = found.iter().find(|f| f.name == wanted.interface);
    if let Some(create) = &wanted.create
        && standing.and_then(LinkType::of).as_ref() != Some(create)
    {
        if let Some(standing) = standing {
            if !is_ours(standing) {
                return Err(foreign(wanted, create, standing).into());
            }
            netlink.delete_link(standing).await?;
        }
        if let Some(unfinished) = found.iter().find(|f| f.name == UNFINISHED) {
            netlink.delete_link(unfinished).await?;
        }
        make(netlink, &wanted.interface, create).await?;
    }
    Ok(netlink.set_link_up(&wanted.interface, wanted.up).await?)
}

async fn make(netlink: &Netlink, name: &str, create: &LinkType) -> Result<(), HostError> {
    netlink.create_link(UNFINISHED, create.word(), create.local()).await?;
    netlink.set_link_alias(UNFINISHED, ALIAS).await?;
    Ok(netlink.rename_link(UNFINISHED, name).await?)
}

async fn delete(host: &Host, link: &Link) -> Result<(), HostError> {
    let netlink = host.netlink().await?;
    let found = netlink.links().await?;
    match found.iter().find(|f| f.name == link.interface && is_ours(f)) {
        Some(standing) => Ok(netlink.delete_link(standing).await?),
        None => Ok(()),
    }
}

fn foreign(wanted: &Link, create: &LinkType, standing: &FoundLink) -> Foreign {
    let kind = standing.kind.as_deref().unwrap_or("hardware");
    let local = standing.local.map(|l| format!(" local {l}")).unwrap_or_default();
    let remote = standing.remote.map(|r| format!(" remote {r}")).unwrap_or_default();
    Foreign {
        wanted: format!("interface {} of type {}", wanted.interface, create.word()),
        stands: format!("an interface of that name and of type {kind}{local}{remote}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, kind: Option<&str>, alias: Option<&str>) -> FoundLink {
        FoundLink {
            index: 7,
            name: name.into(),
            kind: kind.map(str::to_owned),
            alias: alias.map(str::to_owned),
            ..FoundLink::default()
        }
    }

    fn see(found: &[FoundLink], wanted: &[&Link]) -> Vec<Link> {
        concerning(found, &Scope { wanted, ours: [].into() })
    }

    #[test]
    fn only_interfaces_with_our_alias_are_ours() {
        let kernel = [
            found("eth0", None, Some("converge")),
            found("mine", Some("dummy"), Some("converge")),
            found("theirs", Some("dummy"), None),
        ];
        let names: Vec<String> = see(&kernel, &[]).into_iter().map(|l| l.interface).collect();
        assert_eq!(names, ["mine"]);
    }

    #[test]
    fn an_interface_that_was_never_finished_is_ours() {
        assert_eq!(see(&[found(UNFINISHED, Some("dummy"), None)], &[]).len(), 1);
    }

    #[test]
    fn a_tunnel_to_one_peer_is_not_one_that_takes_packets_from_anybody() {
        let mut tunnel = found("t", Some("ipip"), None);
        tunnel.local = Some(Ipv4Addr::LOCALHOST);
        assert_eq!(LinkType::of(&tunnel), Some(LinkType::Ipip { local: Ipv4Addr::LOCALHOST }));
        tunnel.remote = Some(Ipv4Addr::BROADCAST);
        assert_eq!(LinkType::of(&tunnel), None);
    }
}
