//! Who converges when, and whether the client's view of the VIP is what it should be. Pure.
//!
//! All is well when every request was answered and every real server answered some. In which turn
//! they answer is the scheduler's business.

use std::collections::BTreeMap;

use super::from_cluster::turn;
use super::spec::LabSpec;
use crate::probe::report::Report;

/// The role of the machines that look at the VIPs.
pub const CLIENT: &str = "client";
/// The role of the machines that answer through the VIPs.
pub const REALSERVER: &str = "realserver";

/// The hosts in groups that follow each other; those of one group converge at the same time.
pub fn order(spec: &LabSpec) -> Vec<Vec<&str>> {
    let mut groups: BTreeMap<u8, Vec<&str>> = BTreeMap::new();
    for host in &spec.hosts {
        groups.entry(turn(&host.role)).or_default().push(&host.name);
    }
    groups.into_values().collect()
}

/// The servers that have to answer.
pub fn realservers(spec: &LabSpec) -> Vec<&str> {
    let servers = spec.hosts.iter().filter(|host| host.role == REALSERVER);
    servers.map(|host| host.name.as_str()).collect()
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

/// Whether answers at this URL say which server gave them.
pub fn names_servers(url: &str) -> bool {
    url.starts_with("http")
}

/// Reads the report of a probe.
pub fn read(report: &str) -> Result<Report, ViewError> {
    serde_json::from_str(report.trim())
        .map_err(|error| ViewError::Unreadable { reason: error.to_string() })
}

/// Whether all of these servers answered, and every request was answered.
pub fn judge(view: &Report, servers: &[&str]) -> Result<(), ViewError> {
    let (errors, requests) = (view.error_count, view.requests);
    if errors > 0 || requests == 0 {
        return Err(ViewError::Errors { errors, requests });
    }
    let answered = |name: &str| view.servers.get(name).is_some_and(|count| *count > 0);
    let silent: Vec<_> =
        servers.iter().filter(|name| !answered(name)).map(|name| (*name).to_owned()).collect();
    if silent.is_empty() { Ok(()) } else { Err(ViewError::Silent { servers: silent }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::lab::HostSpec;
    use crate::probe::tally::Tally;
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
        let expected = [vec!["disk"], vec!["web1", "web2"], vec!["db", "dm"], vec!["me"]];
        assert_eq!(order(&spec), expected);
        assert_eq!(realservers(&spec), ["web1", "web2"]);
    }

    fn report(errors: u64, servers: &[(&str, u64)]) -> Report {
        let mut report = Report::new(String::new(), &Tally::default(), Duration::ZERO);
        report.requests = 20;
        report.error_count = errors;
        report.servers = servers.iter().map(|(name, count)| ((*name).into(), *count)).collect();
        read(&serde_json::to_string(&report).expect("a report")).expect("the same report")
    }

    #[test]
    fn every_server_has_to_answer_and_every_request_to_be_answered() {
        let good = report(0, &[("web1", 10), ("web2", 10)]);
        assert_eq!(judge(&good, &["web1", "web2"]), Ok(()));
        let silent = ViewError::Silent { servers: vec!["web3".into()] };
        assert_eq!(judge(&good, &["web1", "web3"]), Err(silent));
        let lossy = report(1, &[("web1", 19)]);
        assert_eq!(judge(&lossy, &["web1"]), Err(ViewError::Errors { errors: 1, requests: 20 }));
    }

    proptest! {
        #[test]
        fn an_arbitrary_report_is_an_error_or_a_view(report in "\\PC*") {
            read(&report).ok();
        }
    }
}
