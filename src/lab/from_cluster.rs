//! From a cluster file to the machines that its hosts are.
//!
//! The only place of the lab that knows cluster files. A lab has one network card per host, with
//! the interface and the address of the file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::spec::{Electors, HostSpec, LabSpec};
use crate::cluster::Cluster;
use crate::vrrp::config::{Preempt, RouterConfig};

/// Where cluster, roles and templates lie on every machine.
pub const DIRECTORY: &str = "/etc/converge";

/// The unit of the resident converge, and where an administrator puts it.
const UNIT: &str = include_str!("../../systemd/converge.service");
const UNIT_FILE: &str = "/etc/systemd/system/converge.service";

/// The lab of a cluster. `own_files` are roles and templates that lie beside the cluster file, by
/// their path relative to it.
///
/// Hosts that others wait for come first, so that they boot first.
pub fn lab_spec(cluster: &Cluster, own_files: BTreeMap<String, String>) -> LabSpec {
    let mut hosts: Vec<HostSpec> = cluster
        .hosts
        .values()
        .map(|host| HostSpec {
            name: host.name.as_str().to_owned(),
            role: host.role.as_str().to_owned(),
            address: host.address.value,
            interface: host.interface.as_str().to_owned(),
        })
        .collect();
    hosts.sort_by_key(|host| (turn(&host.role), host.name.clone()));
    let placed = |(path, text)| (format!("{DIRECTORY}/{path}"), text);
    LabSpec {
        name: cluster.name.as_str().to_owned(),
        hosts,
        cluster_file: Some(cluster.source.text.clone()),
        extra_files: own_files.into_iter().map(placed).collect(),
        urls: Vec::new(),
        electors: None,
    }
}

/// Has converge stay on some hosts, as it is shipped to: with its unit, and with the key by which
/// directors know each other.
pub fn reside(spec: &mut LabSpec, electors: Electors) {
    spec.extra_files.insert(UNIT_FILE.to_owned(), UNIT.to_owned());
    spec.electors = Some(electors);
}

/// Who elects, from the routers of all hosts. Of the routers with the same VIP the one with the
/// highest priority says whether the VIP comes back to it.
pub fn electors(routers: &[(String, RouterConfig)], key: String) -> Electors {
    let mut electors = Electors { key, ..Electors::default() };
    let mut first: BTreeMap<IpAddr, (&String, &RouterConfig)> = BTreeMap::new();
    for (host, router) in routers {
        if !electors.hosts.contains(host) {
            electors.hosts.push(host.clone());
        }
        for vip in router.vips.iter().map(|vip| vip.address.addr()) {
            let best = first.entry(vip).or_insert((host, router));
            if best.1.priority < router.priority {
                *best = (host, router);
            }
        }
    }
    for (vip, (host, router)) in first {
        electors.vips.push(vip);
        let after = match router.preempt {
            Preempt::Now => Duration::ZERO,
            Preempt::After(time) => time,
            Preempt::Never => continue,
        };
        electors.homes.insert(vip, host.clone());
        electors.homecoming = electors.homecoming.max(after);
    }
    electors
}

/// Whose turn it is: who serves others comes before them.
pub fn turn(role: &str) -> u8 {
    match role {
        "nfs" => 0,
        "realserver" => 1,
        "client" => 3,
        _ => 2,
    }
}
