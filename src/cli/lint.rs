//! `converge lint`: the cluster file and every role it uses, for all hosts.
//!
//! It needs no root and runs anywhere: roles are read as a Debian with everything installed would
//! read them. Everything that is wrong is reported together. Where this machine is one of the
//! hosts, what its role names and it has not got is warned of: programs, users, certificates; and a
//! director's key that is none is an error, as it is to the service.

use super::load::{self, Failure};
use super::{Exit, Format, Global, keyfile, need};
use crate::cluster::{Cluster, HostName};
use crate::diagnostic::Diagnostics;
use crate::host::Host;
use crate::host::survey::{self, Survey};
use crate::role::Role;

/// Runs it. All that is wrong with all hosts is reported together.
pub fn run(global: &Global) -> Exit {
    let found = match check(global) {
        Ok(found) => found,
        Err(Failure::Config(found)) => found,
        Err(other) => return load::say(&other),
    };
    match global.output {
        Format::Json => super::print(&found.to_json().to_string()),
        Format::Text if found.is_empty() && !global.quiet => {
            super::print(&format!("{}: nothing to complain about", global.cluster.display()));
        }
        Format::Text => anstream::eprint!("{}", found.render(true)),
    }
    if found.has_errors() { Exit::BadConfig } else { Exit::Done }
}

fn check(global: &Global) -> Result<Diagnostics, Failure> {
    let host = Host::this();
    let (cluster, catalog, mut found) = load::cluster(global, &host)?;
    let here = here(global, &cluster, &host)?;
    let survey = Survey::typical();
    for entry in cluster.hosts.values() {
        match Role::load(&catalog, &cluster, entry, &survey) {
            Err(wrong) => found.merge(wrong),
            Ok((role, warnings)) => {
                found.merge(warnings);
                if let Err(wrong) = role.desired(&role.at_start()) {
                    found.merge(wrong);
                }
                if here == Some(&entry.name.value) {
                    found.merge(need::missing(role.needs()));
                    let speaks = !role.routers().is_empty();
                    let key = speaks.then(|| keyfile::wrong(&host, &cluster)).flatten();
                    key.into_iter().for_each(|wrong| found.push(wrong));
                }
            }
        }
    }
    Ok(found)
}

/// Which of the hosts this machine is: the one that `--host` says, else by hostname or address. It
/// may be none of them.
fn here<'a>(
    global: &Global,
    cluster: &'a Cluster,
    host: &Host,
) -> Result<Option<&'a HostName>, Failure> {
    if let Some(named) = load::named(global, cluster)? {
        return Ok(Some(&named.name.value));
    }
    // Who may not look, or whose machine is like no host, checks the files alone.
    let survey = survey::survey(host).ok();
    let found = survey.and_then(|s| cluster.whoami(None, &s.hostname, &s.addresses).ok());
    Ok(found.map(|entry| &entry.name.value))
}
