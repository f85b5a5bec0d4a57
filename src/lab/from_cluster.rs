//! From a cluster file to the machines that its hosts are.
//!
//! The only place of the lab that knows cluster files. A lab has one network card per host, with
//! the interface and the address of the file.

use std::collections::BTreeMap;

use super::spec::{HostSpec, LabSpec};
use crate::cluster::Cluster;

/// Where cluster, roles and templates lie on every machine.
pub const DIRECTORY: &str = "/etc/converge";

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
    }
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
