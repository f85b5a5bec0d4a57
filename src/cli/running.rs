//! What runs here, for the commands that speak of servers while it does.
//!
//! While the files are wrong, the running converge goes on with what it had, and an operator may
//! have to take a server out just then. So what it reports takes the place of the files, and that
//! is said. Where none runs, files that are wrong are an error as everywhere.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::load::{self, Failure, Loaded};
use super::{CLUSTER, Global};
use crate::cluster::Cluster;
use crate::control::report::Seen;
use crate::diagnostic::{Diagnostics, Severity};
use crate::host::Host;

/// What is known of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Files {
    /// They say what this host is to be.
    Right,
    /// They do not.
    Wrong,
    /// By the user who asks.
    Unreadable,
}

/// What a command goes by.
pub struct Ground {
    /// What the files say, while they are right.
    pub loaded: Option<Loaded>,
    /// What a converge that runs here says.
    pub live: Option<Seen>,
    /// How the files are.
    pub files: Files,
    /// The VIPs that have a name, as far as the cluster file can be read.
    pub vips: Vec<(String, IpAddr)>,
}

impl Ground {
    /// Looks at the files. If they are wrong, and a converge runs here that this can be asked of,
    /// there is a warning that says what the command goes by; without one, they are the failure.
    pub async fn look(
        global: &Global,
        host: &Host,
        seen: Option<Seen>,
        goes_by: &str,
    ) -> Result<Ground, Failure> {
        let live = seen.filter(|seen| seen.lives);
        let failure = match load::this_host(global, host).await {
            Ok(loaded) => {
                let vips = vips(&loaded.cluster);
                return Ok(Ground { loaded: Some(loaded), live, files: Files::Right, vips });
            }
            Err(failure) => failure,
        };
        let is_meant = |seen: &Seen| {
            let (asked, runs) = (global.host.as_deref(), seen.report.host.as_str());
            asked.is_none_or(|asked| asked == runs) && !seen.report.pools.is_empty()
        };
        match fault(global, &failure).filter(|_| live.as_ref().is_some_and(is_meant)) {
            Some(files) => {
                warn(&failure, files, goes_by);
                let cluster = load::files(global, host).ok().map(|(cluster, ..)| cluster);
                let vips = cluster.as_ref().map(vips).unwrap_or_default();
                Ok(Ground { loaded: None, live, files, vips })
            }
            None => Err(failure),
        }
    }

    /// The name of this host.
    pub fn host(&self) -> String {
        let loaded = self.loaded.as_ref().map(|loaded| loaded.role.host.to_string());
        let live = || self.live.as_ref().map(|seen| seen.report.host.clone());
        loaded.or_else(live).unwrap_or_default()
    }

    /// Whether other directors hear of what is said here, while a service runs.
    pub fn others(&self) -> Others {
        let pools = self.live.iter().flat_map(|seen| seen.report.pools.values());
        let heard: BTreeSet<String> = pools.flat_map(|pool| pool.peers.keys().cloned()).collect();
        let Some(loaded) = &self.loaded else {
            return match heard.is_empty() {
                true => Others::Silent,
                false => Others::Hear { now: heard, later: BTreeSet::new() },
            };
        };
        let key = &loaded.cluster.key_file;
        let routers = loaded.role.routers();
        let all: BTreeSet<String> =
            routers.iter().flat_map(|router| &router.peers).map(|peer| peer.name.clone()).collect();
        match all.is_empty() {
            true => Others::None,
            false if key.exists() => {
                let (now, later) = all.into_iter().partition(|name| heard.contains(name));
                Others::Hear { now, later }
            }
            false => Others::NoKey(key.value.clone()),
        }
    }
}

/// Whether other directors hear of what is said here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Others {
    /// There is none.
    None,
    /// They do, by name: those that are heard of, and the others as soon as they are.
    Hear {
        /// At once.
        now: BTreeSet<String>,
        /// They are not connected.
        later: BTreeSet<String>,
    },
    /// They do not, for this key is not there.
    NoKey(PathBuf),
    /// The files do not say whether there are any, and none is heard of.
    Silent,
}

fn vips(cluster: &Cluster) -> Vec<(String, IpAddr)> {
    cluster.vips.iter().map(|vip| (vip.name.to_string(), vip.address.addr())).collect()
}

/// What of the files is at fault, if it is not what was asked for.
fn fault(global: &Global, failure: &Failure) -> Option<Files> {
    let asked = global.host.is_some() || global.role.is_some();
    let wrong = match failure {
        Failure::Unreadable(error) if error.is_permission() => return Some(Files::Unreadable),
        Failure::Config(_) | Failure::Unreadable(_) => true,
        Failure::NoCluster(_) => global.cluster == Path::new(CLUSTER),
        Failure::WhoAmI(_) => !asked,
        Failure::NotRoot
        | Failure::Busy
        | Failure::Host(_)
        | Failure::Runtime(_)
        | Failure::Key(_)
        | Failure::Watch(_)
        | Failure::Asked { .. }
        | Failure::Words(_)
        | Failure::Check(_)
        | Failure::Report(_) => false,
    };
    wrong.then_some(Files::Wrong)
}

/// Says why the files are not looked at: the first thing that is wrong, and how to see the rest.
fn warn(failure: &Failure, files: Files, goes_by: &str) {
    let wrong = "a reload would not change that";
    match (failure, files) {
        (_, Files::Unreadable) => anstream::eprintln!(
            "warning: {} to see whether the files are right; {goes_by}, whatever is in them now",
            load::text(failure)
        ),
        (Failure::Config(found), _) => anstream::eprintln!(
            "warning: {}; {goes_by}, and {wrong}\n  {}\nhelp: `converge lint` shows all of it",
            found.count().unwrap_or_default(),
            first(found)
        ),
        (other, _) => {
            anstream::eprintln!("warning: {}; {goes_by}, and {wrong}", load::text(other));
        }
    }
}

/// The first error, on one line.
fn first(found: &Diagnostics) -> String {
    let sorted = found.sorted();
    let first = sorted.iter().find(|one| one.severity == Severity::Error);
    first.map_or(String::new(), |one| format!("{}: {}", one.place, one.title))
}

#[cfg(test)]
mod tests {
    use std::io;

    use clap::Parser;

    use super::*;
    use crate::host::FileError;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        global: Global,
    }

    fn global(words: &[&str]) -> Global {
        Line::parse_from([&["converge"], words].concat()).global
    }

    #[test]
    fn files_that_this_user_may_not_read_are_not_called_wrong() {
        let unreadable = |kind| {
            let source = io::Error::from(kind);
            Failure::Unreadable(FileError { doing: "read", path: CLUSTER.into(), source })
        };
        let of = |words: &[&str], failure| fault(&global(words), &failure);
        let denied = || unreadable(io::ErrorKind::PermissionDenied);
        assert_eq!(of(&[], denied()), Some(Files::Unreadable));
        assert_eq!(of(&["--cluster", "mine.toml"], denied()), Some(Files::Unreadable));
        assert_eq!(of(&[], unreadable(io::ErrorKind::IsADirectory)), Some(Files::Wrong));
        assert_eq!(of(&[], Failure::NoCluster(CLUSTER.into())), Some(Files::Wrong));
        let typo = Failure::NoCluster("/x/clutser.toml".into());
        assert_eq!(of(&["--cluster", "clutser.toml"], typo), None);
    }
}
