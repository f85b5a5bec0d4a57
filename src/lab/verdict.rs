//! Who converges when, and whether the client's view of the VIP is what it should be. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::spec::LabSpec;

/// The role of the machines that look at the VIPs.
pub const CLIENT: &str = "client";
/// The role of the machines that answer through the VIPs.
const REALSERVER: &str = "realserver";
/// Roles that others need before they can be whole, in this order; all others come between the
/// last of these and the clients.
const FIRST: [&str; 2] = ["nfs", REALSERVER];

/// The hosts in groups that follow each other; those of one group converge at the same time.
pub fn order(spec: &LabSpec) -> Vec<Vec<&str>> {
    let rank = |role: &str| match FIRST.iter().position(|first| *first == role) {
        Some(place) => place,
        None if role == CLIENT => FIRST.len() + 1,
        None => FIRST.len(),
    };
    let mut groups: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for host in &spec.hosts {
        groups.entry(rank(&host.role)).or_default().push(&host.name);
    }
    groups.into_values().collect()
}

/// The servers that have to answer.
pub fn realservers(spec: &LabSpec) -> Vec<&str> {
    let servers = spec.hosts.iter().filter(|host| host.role == REALSERVER);
    servers.map(|host| host.name.as_str()).collect()
}

/// What `converge probe -o json` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct View {
    /// How many were sent.
    pub requests: u64,
    /// How many were not answered.
    #[serde(rename = "error_count")]
    pub errors: u64,
    /// How many each server answered.
    pub servers: BTreeMap<String, u64>,
}

/// Why the client's view is not what it should be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ViewError {
    /// The probe said something else.
    #[error("the probe's report cannot be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// Not all requests were answered.
    #[error("{errors} of {requests} requests were not answered")]
    Errors {
        /// How many failed.
        errors: u64,
        /// Of how many.
        requests: u64,
    },
    /// A server never answered.
    #[error("no answer from {}", .servers.join(", "))]
    Silent {
        /// Which.
        servers: Vec<String>,
    },
}

/// Reads the report of a probe.
pub fn view(report: &str) -> Result<View, ViewError> {
    serde_json::from_str(report.trim()).map_err(|error| ViewError::Unreadable {
        reason: error.to_string(),
    })
}

/// Whether all of these servers answered, and every request was answered.
pub fn judge(view: &View, servers: &[&str]) -> Result<(), ViewError> {
    if view.errors > 0 || view.requests == 0 {
        return Err(ViewError::Errors {
            errors: view.errors,
            requests: view.requests,
        });
    }
    let answered = |name: &str| view.servers.get(name).is_some_and(|count| *count > 0);
    let silent: Vec<_> = servers
        .iter()
        .filter(|name| !answered(name))
        .map(|name| (*name).to_owned())
        .collect();
    if silent.is_empty() {
        Ok(())
    } else {
        Err(ViewError::Silent { servers: silent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::HostSpec;
    use proptest::prelude::*;

    fn spec(hosts: &[(&str, &str)]) -> LabSpec {
        let host = |(name, role): &(&str, &str)| HostSpec {
            name: (*name).into(),
            role: (*role).into(),
            address: "192.0.2.1/24".parse().expect("an address with its prefix"),
            interface: "eth0".into(),
        };
        LabSpec {
            name: "test".into(),
            hosts: hosts.iter().map(host).collect(),
            ..LabSpec::default()
        }
    }

    #[test]
    fn storage_comes_before_servers_before_directors_before_clients() {
        let spec = spec(&[
            ("me", "client"),
            ("db", "director-backup"),
            ("dm", "director-master"),
            ("web1", "realserver"),
            ("web2", "realserver"),
            ("disk", "nfs"),
        ]);
        let expected = [
            vec!["disk"],
            vec!["web1", "web2"],
            vec!["db", "dm"],
            vec!["me"],
        ];
        assert_eq!(order(&spec), expected);
        assert_eq!(realservers(&spec), ["web1", "web2"]);
    }

    #[test]
    fn every_server_has_to_answer_and_every_request_to_be_answered() {
        let report = |errors, text: &str| {
            view(&format!(
                "{{\"requests\":20,\"errors\":{errors},\"servers\":{{{text}}}}}\n"
            ))
        };
        let good = report(0, "\"web1\":10,\"web2\":10").expect("a report");
        assert_eq!(judge(&good, &["web1", "web2"]), Ok(()));
        let silent = ViewError::Silent {
            servers: vec!["web3".into()],
        };
        assert_eq!(judge(&good, &["web1", "web3"]), Err(silent));
        let lossy = report(1, "\"web1\":19").expect("a report");
        assert_eq!(
            judge(&lossy, &["web1"]),
            Err(ViewError::Errors {
                errors: 1,
                requests: 20
            })
        );
    }

    proptest! {
        #[test]
        fn an_arbitrary_report_is_an_error_or_a_view(report in "\\PC*") {
            view(&report).ok();
        }
    }
}
