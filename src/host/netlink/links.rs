//! Network interfaces.
//!
//! Reads all of them, creates the few types that a kind asks for, and changes name, alias and
//! whether one is up. Tunnels are made without a remote end: they take packets from anybody.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use rtnetlink::packet_route::link::{
    InfoData, InfoGre, InfoIpTunnel, InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::{LinkDummy, LinkGre, LinkIpIp, LinkUnspec};

use super::{Netlink, NetlinkError, deleted, gather, made};

/// An interface as the kernel has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundLink {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// The word for its sort, as `ip link add type` takes it; hardware has none.
    pub kind: Option<String>,
    /// The outer address of this end of a tunnel over IPv4.
    pub local: Option<Ipv4Addr>,
    /// The outer address of the other end; a tunnel that takes packets from anybody has none.
    pub remote: Option<Ipv4Addr>,
    /// The alias, which is free text.
    pub alias: Option<String>,
    /// Whether it is up.
    pub up: bool,
}

/// Names of the interfaces by number.
pub(super) struct Names(BTreeMap<u32, String>);

impl Names {
    /// The name of an interface.
    pub(super) fn name(&self, index: u32) -> String {
        // An interface that appeared between two dumps has no name yet; the next look has it.
        self.0.get(&index).cloned().unwrap_or_else(|| format!("#{index}"))
    }
}

/// The number of an interface, for doing something there.
pub(super) fn index(
    name: &str,
    doing: &'static str,
    what: impl FnOnce() -> String,
) -> Result<u32, NetlinkError> {
    if_nametoindex(name).map_err(|errno| NetlinkError { doing, what: what(), source: errno.into() })
}

impl Netlink {
    /// All interfaces.
    pub async fn links(&self) -> Result<Vec<FoundLink>, NetlinkError> {
        let dump = self.handle.link().get().execute();
        gather("the list of interfaces", dump, |message| Some(found(&message))).await
    }

    /// The names of all interfaces.
    pub(super) async fn link_names(&self) -> Result<Names, NetlinkError> {
        let links = self.links().await?;
        Ok(Names(links.into_iter().map(|l| (l.index, l.name)).collect()))
    }

    /// Creates an interface of a sort (`dummy`, `ipip`, `gre`), down.
    pub async fn create_link(
        &self,
        name: &str,
        kind: &str,
        local: Option<Ipv4Addr>,
    ) -> Result<(), NetlinkError> {
        let what = format!("interface {name} of type {kind}");
        let local = local.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let message = match kind {
            "dummy" => LinkDummy::new(name).build(),
            "ipip" => LinkIpIp::new(name).local(local).build(),
            "gre" => LinkGre::new(name).local(local).build(),
            _ => {
                let source = Errno::EOPNOTSUPP.into();
                return Err(NetlinkError { doing: "create", what, source });
            }
        };
        made("create", &what, self.handle.link().add(message).execute().await)
    }

    /// Gives an interface an alias.
    pub async fn set_link_alias(&self, name: &str, alias: &str) -> Result<(), NetlinkError> {
        let attribute = LinkAttribute::IfAlias(alias.to_owned());
        let message = LinkUnspec::new_with_name(name).append_extra_attribute(attribute).build();
        let answer = self.handle.link().set(message).execute().await;
        made("set the alias of", &format!("interface {name}"), answer)
    }

    /// Renames an interface, which must be down.
    pub async fn rename_link(&self, from: &str, to: &str) -> Result<(), NetlinkError> {
        let what = format!("interface {from} to {to}");
        let index = index(from, "rename", || what.clone())?;
        let message = LinkUnspec::new_with_index(index).name(to).build();
        made("rename", &what, self.handle.link().set(message).execute().await)
    }

    /// Brings an interface up or takes it down.
    pub async fn set_link_up(&self, name: &str, up: bool) -> Result<(), NetlinkError> {
        let message = LinkUnspec::new_with_name(name);
        let message = if up { message.up() } else { message.down() };
        let answer = self.handle.link().set(message.build()).execute().await;
        let doing = if up { "bring up" } else { "take down" };
        made(doing, &format!("interface {name}"), answer)
    }

    /// Deletes an interface.
    pub async fn delete_link(&self, link: &FoundLink) -> Result<(), NetlinkError> {
        let answer = self.handle.link().del(link.index).execute().await;
        deleted(&format!("interface {}", link.name), &[Errno::ENODEV], answer)
    }
}

fn found(message: &LinkMessage) -> FoundLink {
    let mut link = FoundLink {
        index: message.header.index,
        up: message.header.flags.contains(LinkFlags::Up),
        ..FoundLink::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias.clone()),
            LinkAttribute::LinkInfo(infos) => infos.iter().for_each(|i| note(&mut link, i)),
            _ => {}
        }
    }
    link
}

fn note(link: &mut FoundLink, info: &LinkInfo) {
    let set = |address: Ipv4Addr| Some(address).filter(|a| !a.is_unspecified());
    match info {
        LinkInfo::Kind(kind) => link.kind = Some(word(kind)),
        LinkInfo::Data(InfoData::IpTunnel(infos)) => {
            for info in infos {
                match info {
                    InfoIpTunnel::Local(std::net::IpAddr::V4(a)) => link.local = set(*a),
                    InfoIpTunnel::Remote(std::net::IpAddr::V4(a)) => link.remote = set(*a),
                    _ => {}
                }
            }
        }
        LinkInfo::Data(InfoData::GreTun(infos)) => {
            for info in infos {
                match info {
                    InfoGre::Local(a) => link.local = set(*a),
                    InfoGre::Remote(a) => link.remote = set(*a),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn word(kind: &InfoKind) -> String {
    kind.to_string()
}
