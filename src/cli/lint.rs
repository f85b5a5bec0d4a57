//! `converge lint`: the cluster file and every role it uses, for all hosts.
//!
//! It needs no root and looks at no host: roles are read as a Debian with everything installed
//! would read them. Everything that is wrong is reported together.

use super::load::{self, Failure};
use super::{Exit, Format, Global};
use crate::diagnostic::Diagnostics;
use crate::host::Host;
use crate::host::survey::Survey;
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
    let survey = Survey::typical();
    for entry in cluster.hosts.values() {
        match Role::load(&catalog, &cluster, entry, &survey) {
            Err(wrong) => found.merge(wrong),
            Ok((role, warnings)) => {
                found.merge(warnings);
                if let Err(wrong) = role.desired(&role.at_start()) {
                    found.merge(wrong);
                }
            }
        }
    }
    Ok(found)
}
