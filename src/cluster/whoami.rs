//! Which host of the cluster file this machine is.
//!
//! Pure: hostname and addresses are handed in. When none fits, the error says what was looked at
//! and which hosts there are.

use std::net::IpAddr;

use super::{Cluster, HostEntry};
use crate::diagnostic::suggest;
use crate::document::listed;

/// This machine is none of the file's hosts, or more than one of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhoAmIError {
    /// `--host` names a host that does not exist.
    #[error("{file} has no host `{host}`{}; {}", nearest(.meant), existing(.hosts))]
    NoSuchHost {
        /// The cluster file.
        file: String,
        /// What `--host` says.
        host: String,
        /// The host that was most likely meant.
        meant: Option<String>,
        /// The hosts that exist.
        hosts: Vec<String>,
    },
    /// Neither the hostname nor an address of this machine is in the file.
    #[error(
        "{file} does not name this machine: no host is called `{hostname}`{}, and none has {}; {}; \
         say which one this is with --host",
        nearest(.meant), own(.addresses), existing(.hosts)
    )]
    Unknown {
        /// The cluster file.
        file: String,
        /// This machine's hostname.
        hostname: String,
        /// This machine's addresses.
        addresses: Vec<IpAddr>,
        /// The host whose name is nearest to the hostname.
        meant: Option<String>,
        /// The hosts that exist.
        hosts: Vec<String>,
    },
    /// Several hosts have an address of this machine.
    #[error(
        "no host of {file} is called `{hostname}`, and this machine has the addresses of several: \
         {}; say which one this is with --host",
        listed(.hosts)
    )]
    Several {
        /// The cluster file.
        file: String,
        /// This machine's hostname.
        hostname: String,
        /// The hosts whose addresses this machine has.
        hosts: Vec<String>,
    },
}

impl Cluster {
    /// The host that this machine is: `--host`, else the hostname (a full name is also looked for
    /// by its first part, and the other way round), else the host whose address this machine has.
    pub fn whoami(
        &self,
        host_flag: Option<&str>,
        hostname: &str,
        my_addresses: &[IpAddr],
    ) -> Result<&HostEntry, WhoAmIError> {
        let names = || self.hosts.keys().map(ToString::to_string).collect::<Vec<_>>();
        let meant = |name: &str| {
            suggest(name, self.hosts.keys().map(|host| host.as_str())).map(str::to_owned)
        };
        let file = self.source.name.clone();
        if let Some(host) = host_flag {
            return self.named(host).ok_or_else(|| WhoAmIError::NoSuchHost {
                file,
                host: host.to_owned(),
                meant: meant(host),
                hosts: names(),
            });
        }
        if let Some(host) = self.named(hostname) {
            return Ok(host);
        }
        let mine = |host: &&HostEntry| my_addresses.contains(&host.address.addr());
        let found: Vec<&HostEntry> = self.hosts.values().filter(mine).collect();
        match found.as_slice() {
            [host] => Ok(host),
            [] => Err(WhoAmIError::Unknown {
                file,
                hostname: hostname.to_owned(),
                addresses: my_addresses.to_vec(),
                meant: meant(hostname),
                hosts: names(),
            }),
            several => Err(WhoAmIError::Several {
                file,
                hostname: hostname.to_owned(),
                hosts: several.iter().map(|host| host.name.to_string()).collect(),
            }),
        }
    }

    /// The host of this name: as it is written, else by the first part if that fits only one.
    fn named(&self, name: &str) -> Option<&HostEntry> {
        let name = name.trim().trim_end_matches('.').to_lowercase();
        if let Some(host) = self.hosts.get(name.as_str()) {
            return Some(host);
        }
        let first = name.split('.').next().unwrap_or(&name);
        // Two full names that differ after the first part are two machines.
        let same = |host: &&HostEntry| {
            let host = host.name.as_str();
            host == first || (first == name && host.split('.').next() == Some(first))
        };
        let mut found = self.hosts.values().filter(same);
        found.next().filter(|_| found.next().is_none())
    }
}

fn nearest(name: &Option<String>) -> String {
    name.as_ref().map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

fn existing(names: &[String]) -> String {
    match names {
        [] => "it has no hosts".into(),
        names => format!("its hosts are {}", listed(names)),
    }
}

fn own(addresses: &[IpAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    match addresses.as_slice() {
        [] => "an address of it, for it has none".into(),
        [one] => format!("its address {one}"),
        several => format!("one of its addresses {}", several.join(", ")),
    }
}
