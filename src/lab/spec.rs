//! What a lab is: the hosts to boot and the files they find at their first boot.
//!
//! Plain data, made from a cluster file by its reader and kept as JSON in the run directory, where
//! the daemon and later commands find it. Nothing here knows TOML.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::vrrp::key::KEY_FILE;

/// More machines than this do not fit the memory of a developer's machine (60 MB each), and the
/// last byte of a MAC address numbers them.
pub const MAX_HOSTS: usize = 64;
/// The kernel's IFNAMSIZ, without its terminating zero.
const MAX_INTERFACE_NAME: usize = 15;
/// A host name is one DNS label.
const MAX_HOST_NAME: usize = 63;

/// The machines of a lab.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabSpec {
    /// Names the run directory; `lab down NAME` finds it by this.
    pub name: String,
    /// One machine each, in the order in which they boot.
    pub hosts: Vec<HostSpec>,
    /// The text of `/etc/converge/cluster.toml` on every host.
    pub cluster_file: Option<String>,
    /// More files for every host: absolute path and text.
    #[serde(default)]
    pub extra_files: BTreeMap<String, String>,
    /// What a client asks to see whether all is well, for example `http://192.0.2.100/`.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Hosts that elect who holds the VIPs, if any do.
    #[serde(default)]
    pub electors: Option<Electors>,
}

/// Hosts on which converge stays as a service, because each could hold the others' VIPs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Electors {
    /// Which hosts.
    pub hosts: Vec<String>,
    /// By what they believe each other: the text of their key file.
    pub key: String,
    /// The addresses that move between them.
    pub vips: Vec<IpAddr>,
    /// Who gets a VIP back whenever it returns; a VIP that is not here stays where it is.
    pub homes: BTreeMap<IpAddr, String>,
    /// How long that may take, by the cluster file.
    pub homecoming: Duration,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSpec {
    /// Its host name.
    pub name: String,
    /// What `converge --role` is given there.
    pub role: String,
    /// Its address on the lab's switch.
    pub address: IpNet,
    /// The name of its network card, for example `ens33`.
    pub interface: String,
}

/// Why a [`LabSpec`] cannot be booted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SpecError {
    /// There is nothing to boot.
    #[error("the lab has no hosts")]
    NoHosts,
    /// See [`MAX_HOSTS`].
    #[error("{count} hosts are more than the {MAX_HOSTS} that a lab can have")]
    TooManyHosts {
        /// How many there are.
        count: usize,
    },
    /// The name would not work as host name or directory name.
    #[error("`{name}` is no host name: letters, digits and hyphens, at most {MAX_HOST_NAME}")]
    HostName {
        /// The offending name.
        name: String,
    },
    /// Two hosts of one name.
    #[error("two hosts have the name `{name}`")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// Two hosts of one address.
    #[error("`{first}` and `{second}` have the same address {address}")]
    DuplicateAddress {
        /// The earlier host.
        first: String,
        /// The later host.
        second: String,
        /// What both have.
        address: IpAddr,
    },
    /// The kernel would refuse the name.
    #[error("host `{host}`: `{interface}` is no interface name")]
    Interface {
        /// The host.
        host: String,
        /// The offending name.
        interface: String,
    },
    /// A relative path, or one that leaves the tree.
    #[error("extra file `{path}`: not an absolute path")]
    ExtraFile {
        /// The offending path.
        path: String,
    },
}

impl LabSpec {
    /// Finds what could not be booted, before anything is started.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.hosts.is_empty() {
            return Err(SpecError::NoHosts);
        }
        if self.hosts.len() > MAX_HOSTS {
            return Err(SpecError::TooManyHosts { count: self.hosts.len() });
        }
        check_name(&self.name)?;
        for (index, host) in self.hosts.iter().enumerate() {
            check_host(host, &self.hosts[..index])?;
        }
        for path in self.extra_files.keys() {
            if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
                return Err(SpecError::ExtraFile { path: path.clone() });
            }
        }
        Ok(())
    }

    /// The files that a host finds at its first boot, by absolute path.
    pub fn files_for(&self, host: &HostSpec) -> BTreeMap<String, String> {
        let mut files = self.extra_files.clone();
        files.insert("/etc/hostname".into(), format!("{}\n", host.name));
        files.insert("/etc/hosts".into(), self.hosts_file());
        files.insert("/etc/machine-id".into(), machine_id(&self.name, &host.name));
        if let Some(electors) = self.electors.as_ref().filter(|e| e.hosts.contains(&host.name)) {
            files.insert(KEY_FILE.into(), electors.key.clone());
        }
        if let Some(text) = &self.cluster_file {
            files.insert("/etc/converge/cluster.toml".into(), text.clone());
        }
        files
    }

    fn hosts_file(&self) -> String {
        let mut text = String::from("127.0.0.1 localhost\n::1 localhost\n");
        for host in &self.hosts {
            text.push_str(&format!("{} {}\n", host.address.addr(), host.name));
        }
        text
    }
}

fn check_host(host: &HostSpec, earlier: &[HostSpec]) -> Result<(), SpecError> {
    check_name(&host.name)?;
    if earlier.iter().any(|other| other.name == host.name) {
        return Err(SpecError::DuplicateName { name: host.name.clone() });
    }
    let address = host.address.addr();
    if let Some(other) = earlier.iter().find(|other| other.address.addr() == address) {
        return Err(SpecError::DuplicateAddress {
            first: other.name.clone(),
            second: host.name.clone(),
            address,
        });
    }
    let interface = &host.interface;
    let fits = (1..=MAX_INTERFACE_NAME).contains(&interface.len());
    let plain = interface.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if fits && plain && interface != "lo" && !interface.starts_with('.') {
        return Ok(());
    }
    Err(SpecError::Interface { host: host.name.clone(), interface: interface.clone() })
}

fn check_name(name: &str) -> Result<(), SpecError> {
    let fits = (1..=MAX_HOST_NAME).contains(&name.len());
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if fits && plain && !name.starts_with('-') {
        return Ok(());
    }
    Err(SpecError::HostName { name: name.to_owned() })
}

/// The same host of the same lab always has the same machine ID, so that its journal and its DHCP
/// identity do not change from run to run; 128 bits of FNV-1a are plenty among a few hosts.
fn machine_id(lab: &str, host: &str) -> String {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in lab.bytes().chain([0]).chain(host.bytes()) {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    format!("{hash:032x}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(hosts: &[(&str, &str, &str)]) -> LabSpec {
        let host = |(name, address, interface): &(&str, &str, &str)| HostSpec {
            name: (*name).into(),
            role: "client".into(),
            address: address.parse().expect("an address with its prefix"),
            interface: (*interface).into(),
        };
        LabSpec {
            name: "test".into(),
            hosts: hosts.iter().map(host).collect(),
            ..LabSpec::default()
        }
    }

    #[test]
    fn a_host_finds_all_hosts_by_name() {
        let spec = spec(&[("a", "192.0.2.1/24", "ens33"), ("b", "192.0.2.2/24", "eth0")]);
        assert_eq!(spec.check(), Ok(()));
        let files = spec.files_for(&spec.hosts[0]);
        assert!(files["/etc/hosts"].contains("192.0.2.2 b\n"));
        assert_eq!(files["/etc/hostname"], "a\n");
        assert_eq!(files["/etc/machine-id"].len(), 33);
    }

    #[test]
    fn what_cannot_be_booted_is_refused() {
        type Hosts = &'static [(&'static str, &'static str, &'static str)];
        let cases: [(Hosts, &str); 6] = [
            (&[], "no hosts"),
            (&[("../x", "192.0.2.1/24", "eth0")], "no host name"),
            (&[("a b", "192.0.2.1/24", "eth0")], "no host name"),
            (&[("a", "192.0.2.1/24", "eth0"), ("a", "192.0.2.2/24", "eth0")], "the name `a`"),
            (&[("a", "192.0.2.1/24", "eth0"), ("b", "192.0.2.1/16", "eth0")], "same address"),
            (&[("a", "192.0.2.1/24", "eth0; reboot")], "no interface name"),
        ];
        for (hosts, expected) in cases {
            let error = spec(hosts).check().expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_extra_file_stays_inside_the_machine() {
        for path in ["etc/motd", "/../etc/motd", ""] {
            let mut spec = spec(&[("a", "192.0.2.1/24", "eth0")]);
            spec.extra_files.insert(path.into(), String::new());
            assert!(matches!(spec.check(), Err(SpecError::ExtraFile { .. })), "{path}");
        }
    }
}
