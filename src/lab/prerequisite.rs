//! The programs that a lab takes from the host, and getting those that are missing.
//!
//! As root they are installed from the host's own package sources. Otherwise nothing is changed,
//! and the error names the one command to run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::progress::{tail, unreachable};
use super::terminal::Announcer;

/// What is looked for, and the Debian package that has it.
const PROGRAMS: [(&str, &str); 3] =
    [("linux.uml", "user-mode-linux"), ("mmdebstrap", "mmdebstrap"), ("mke2fs", "e2fsprogs")];
/// Without root, a tree with files of many owners takes a user namespace with many users.
const PROGRAM_WITHOUT_ROOT: (&str, &str) = ("newuidmap", "uidmap");
/// Where it may be, besides `PATH`: a plain user's `PATH` often lacks the last.
const DIRECTORIES: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/usr/sbin", "/sbin"];
/// Where the package `user-mode-linux` puts its modules, one directory per kernel version.
pub const MODULES: &str = "/usr/lib/uml/modules";

/// Why the host cannot run a lab.
#[derive(Debug, thiserror::Error)]
pub enum PrerequisiteError {
    /// Not root, and something is missing.
    #[error("the lab needs {}; run this once: sudo apt-get install --yes {}",
        .packages.join(", "), .packages.join(" "))]
    Missing {
        /// Debian packages.
        packages: Vec<&'static str>,
    },
    /// No package source answered.
    #[error("cannot install {}: no packages can be reached ({line})", .packages.join(", "))]
    Unreachable {
        /// Debian packages.
        packages: Vec<&'static str>,
        /// What apt-get said.
        line: String,
    },
    /// apt-get failed otherwise.
    #[error("cannot install {}; apt-get says:\n{output}", .packages.join(", "))]
    Install {
        /// Debian packages.
        packages: Vec<&'static str>,
        /// The end of its output.
        output: String,
    },
    /// There is no apt-get.
    #[error("cannot run apt-get: labs run on Debian and its relatives")]
    NoApt(#[source] std::io::Error),
}

/// Makes sure that the host has what a lab needs.
pub fn ensure(announcer: &Announcer) -> Result<(), PrerequisiteError> {
    let root = nix::unistd::geteuid().is_root();
    let packages = missing(root);
    if packages.is_empty() {
        return Ok(());
    }
    if !root {
        return Err(PrerequisiteError::Missing { packages });
    }
    announcer.phase(&format!("installing {}", packages.join(", ")));
    // An update that fails may still leave lists that are good enough.
    apt_get(&["update"], &packages).ok();
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(&[&install[..], &packages[..]].concat(), &packages)
}

/// The full path of a program.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let known = DIRECTORIES.iter().map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(known)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

fn missing(root: bool) -> Vec<&'static str> {
    let absent = |program: &str| {
        find(program).is_none() || (program == "linux.uml" && !Path::new(MODULES).is_dir())
    };
    let besides = (!root).then_some(&PROGRAM_WITHOUT_ROOT);
    let needed = PROGRAMS.iter().chain(besides);
    needed.filter(|(program, _)| absent(program)).map(|(_, package)| *package).collect()
}

fn apt_get(arguments: &[&str], packages: &[&'static str]) -> Result<(), PrerequisiteError> {
    let output = Command::new("apt-get")
        .arg("--quiet")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(PrerequisiteError::NoApt)?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let packages = packages.to_vec();
    Err(match unreachable(&text) {
        Some(line) => PrerequisiteError::Unreachable { packages, line: line.trim().to_owned() },
        None => PrerequisiteError::Install { packages, output: tail(&text, 15) },
    })
}
