//! `converge lab`: the machines of a cluster file, or of the example that is part of converge.
//!
//! Reads the cluster file and what lies beside it, and finds out where its clients look; what is
//! done with the machines is in [`crate::lab`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::Global;
use super::load::{self, Failure};
use crate::cluster::Cluster;
use crate::host::Host;
use crate::host::shelf::Shelf;
use crate::host::survey::Survey;
use crate::ipvs::{Protocol, VirtualServerId};
use crate::lab::LabSpec;
use crate::lab::cli::LabCommand;
use crate::lab::from_cluster::{electors, lab_spec, reside};
use crate::resource::Resource;
use crate::role::{Catalog, Role};

/// The cluster that a lab is without a file.
const EXAMPLE: &str = include_str!("../../tests/topologies/six-hosts/cluster.toml");

/// Runs it.
pub fn run(global: &Global, command: LabCommand) -> ExitCode {
    // Who names a cluster does not want the example.
    let named = (global.cluster != Path::new(super::CLUSTER)).then_some(global.cluster.as_path());
    crate::lab::cli::run(command, |file| {
        let file = file.or(named);
        spec(global, file).map_err(|failure| ExitCode::from(load::say(&failure)))
    })
}

fn spec(global: &Global, file: Option<&Path>) -> Result<LabSpec, Failure> {
    let host = Host::this();
    let (cluster, shelf, mut warnings) = match file {
        None => {
            let (cluster, warnings) = Cluster::parse("the shipped example", EXAMPLE)?;
            (cluster, Shelf::embedded(), warnings)
        }
        Some(file) => {
            let global = Global { cluster: PathBuf::from(file), ..global.clone() };
            load::files(&global, &host)?
        }
    };
    let own = own_files(&shelf);
    let (catalog, found) = Catalog::new(shelf, &cluster)?;
    warnings.merge(found);
    load::print_warnings(&warnings);
    let mut spec = lab_spec(&cluster, own);
    directors(&mut spec, &cluster, &catalog)?;
    Ok(spec)
}

/// The roles and templates that are not embedded: the machines need them too.
fn own_files(shelf: &Shelf) -> BTreeMap<String, String> {
    let embedded = Shelf::embedded();
    let mut own = BTreeMap::new();
    for (name, text) in shelf.roles.iter().filter(|(n, t)| embedded.roles.get(*n) != Some(*t)) {
        own.insert(format!("roles/{name}.toml"), text.text.clone());
    }
    let templates = shelf.templates.iter();
    for (name, text) in templates.filter(|(n, t)| embedded.templates.get(*n) != Some(*t)) {
        own.insert(format!("templates/{name}.hbs"), text.text.clone());
    }
    own
}

/// What a client may ask: every TCP virtual server of every director; where there is none, the web
/// server of the proxies at each VIP. And on which hosts converge has to stay, because there are
/// others that could hold their VIPs.
fn directors(spec: &mut LabSpec, cluster: &Cluster, catalog: &Catalog) -> Result<(), Failure> {
    let mut routers = Vec::new();
    let (mut urls, mut pages) = (BTreeSet::new(), BTreeSet::new());
    for host in cluster.hosts.values().filter(|h| catalog.holds(h.role.value.as_str())) {
        let (role, _) = Role::load(catalog, cluster, host, &Survey::typical())?;
        routers.extend(role.routers().iter().map(|r| (host.name.to_string(), r.clone())));
        let desired = role.desired(&role.at_start())?;
        urls.extend(desired.state.iter().filter_map(|(_, resource)| match resource {
            Resource::VirtualServer(server) => url(server.id()),
            _ => None,
        }));
        pages.extend(role.web_ports());
    }
    if urls.is_empty() {
        let vips = cluster.vips.iter().map(|vip| vip.address.addr());
        urls = vips.flat_map(|vip| pages.iter().filter_map(move |port| page(vip, *port))).collect();
    }
    spec.urls = urls.into_iter().collect();
    if !routers.is_empty() {
        let key = super::key::fresh().map_err(Failure::Runtime)?;
        reside(spec, electors(&routers, key));
    }
    Ok(())
}

fn url(id: VirtualServerId) -> Option<String> {
    match id {
        VirtualServerId::Address { protocol: Protocol::Tcp, addr, port: 80 } => {
            Some(format!("http://{}/", bracketed(addr)))
        }
        VirtualServerId::Address { protocol: Protocol::Tcp, addr, port: 443 } => {
            Some(format!("https://{}/", bracketed(addr)))
        }
        VirtualServerId::Address { protocol: Protocol::Tcp, addr, port } => {
            Some(format!("tcp://{}:{port}", bracketed(addr)))
        }
        VirtualServerId::Address { .. } | VirtualServerId::Fwmark { .. } => None,
    }
}

fn page(addr: IpAddr, port: u16) -> Option<String> {
    url(VirtualServerId::Address { protocol: Protocol::Tcp, addr, port })
}

fn bracketed(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str) -> Vec<String> {
        let (cluster, _) = Cluster::parse("cluster.toml", text).expect("a good file");
        let catalog = Catalog::new(Shelf::embedded(), &cluster);
        let (catalog, _) = catalog.unwrap_or_else(|found| panic!("{}", found.render(false)));
        let mut spec = lab_spec(&cluster, BTreeMap::new());
        assert!(directors(&mut spec, &cluster, &catalog).is_ok());
        spec.urls
    }

    #[test]
    fn clients_ask_virtual_servers_and_where_there_is_none_the_proxies() {
        assert_eq!(urls(EXAMPLE), ["http://192.168.100.22/"]);
        let proxies = include_str!("../../tests/topologies/two-proxies/cluster.toml");
        assert_eq!(urls(proxies), ["http://192.168.4.110/", "http://192.168.4.111/"]);
        let other = urls(&format!("{proxies}ports = 8080\n"));
        assert_eq!(other, ["tcp://192.168.4.110:8080", "tcp://192.168.4.111:8080"]);
    }
}
