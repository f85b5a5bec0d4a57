//! The cluster file: facts that every host has the same copy of.
//!
//! Which hosts exist, what each is for and where it is reached; the VIPs; variables. Everything
//! parses into types that cannot hold a wrong value and keeps its place in the file, so that a
//! later check can point at it. What roles do with the facts is not known here.

mod check;
mod file;
mod name;
mod whoami;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub use file::CLUSTER;
use ipnet::IpNet;
pub use name::{HostName, InterfaceName, Label, MacAddress, RoleName, VipName, Word};
pub use whoami::WhoAmIError;

use crate::diagnostic::{Diagnostics, Place, Source};
use crate::document::{Spanned, Var};

/// Variables by name.
pub type Vars = BTreeMap<String, Spanned<Var>>;

/// A cluster file.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The file.
    pub source: Arc<Source>,
    /// What the cluster is called.
    pub name: Spanned<Word>,
    /// Where a director has the key that the directors know each other by; the place is empty where
    /// the file does not say it.
    pub key_file: Spanned<PathBuf>,
    /// The hosts, by name.
    pub hosts: BTreeMap<HostName, HostEntry>,
    /// The VIPs, in the order of the file: a VIP's position gives its label's number.
    pub vips: Vec<VipEntry>,
    /// Variables for every host.
    pub vars: Vars,
}

/// A host.
#[derive(Clone, Debug)]
pub struct HostEntry {
    /// Its name; the place is that of the key.
    pub name: Spanned<HostName>,
    /// What it is for.
    pub role: Spanned<RoleName>,
    /// Its address with the prefix length of its subnet.
    pub address: Spanned<IpNet>,
    /// The interface that has the address.
    pub interface: Spanned<InterfaceName>,
    /// The interface's Ethernet address.
    pub mac: Option<Spanned<MacAddress>>,
    /// Variables for this host alone.
    pub vars: Vars,
    /// Its table in the file.
    pub place: Place,
}

/// A virtual address.
#[derive(Clone, Debug)]
pub struct VipEntry {
    /// Its name; the place is that of the key.
    pub name: Spanned<VipName>,
    /// The address; the prefix is /32 or /128 unless the file says otherwise.
    pub address: Spanned<IpNet>,
    /// The interface on which directors hold it, if not the one of their own address.
    pub interface: Option<Spanned<InterfaceName>>,
    /// The label that directors give it.
    pub label: Option<Spanned<Label>>,
    /// Variables for this VIP.
    pub vars: Vars,
    /// Its table or value in the file.
    pub place: Place,
}

impl Cluster {
    /// Reads a cluster file. `Ok` has warnings beside it; `Err` has everything that is wrong.
    pub fn parse(
        name: impl Into<String>,
        text: impl Into<String>,
    ) -> Result<(Cluster, Diagnostics), Diagnostics> {
        file::parse(name.into(), text.into())
    }

    /// The hosts of a role, sorted by name.
    pub fn hosts_of_role(&self, role: &str) -> impl Iterator<Item = &HostEntry> {
        self.hosts.values().filter(move |host| host.role.as_str() == role)
    }

    /// The VIP of this name.
    pub fn vip(&self, name: &str) -> Option<&VipEntry> {
        self.vips.iter().find(|vip| vip.name.as_str() == name)
    }
}

#[cfg(test)]
mod tests;
