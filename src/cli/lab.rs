//! `converge lab`: the machines of a cluster file, or of the example that is part of converge.
//!
//! Reads the cluster file and what lies beside it; what is done with the machines is in
//! [`crate::lab`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::cluster::Cluster;
use crate::diagnostic::Diagnostics;
use crate::lab::LabSpec;
use crate::lab::cli::LabCommand;
use crate::lab::from_cluster::lab_spec;

use super::Exit;
use super::load::{error_line, print_warnings};

/// A director, two web servers, an NFS host and a client.
const EXAMPLE: &str = include_str!("../../tests/topologies/one-director/cluster.toml");
/// What may lie beside a cluster file and goes to every machine with it.
const OWN_DIRECTORIES: [&str; 2] = ["roles", "templates"];

/// Does what was asked for.
pub fn run(command: LabCommand) -> ExitCode {
    crate::lab::cli::run(command, load)
}

fn load(file: Option<&Path>) -> Result<LabSpec, ExitCode> {
    let Some(path) = file else {
        return spec("the shipped example", EXAMPLE, BTreeMap::new());
    };
    let own = own_files(path.parent().unwrap_or(Path::new(".")));
    match fs::read_to_string(path) {
        Ok(text) => spec(&path.display().to_string(), &text, own),
        Err(error) => {
            error_line(&format!("cannot read {}: {error}", path.display()), None);
            Err(Exit::BadConfig.into())
        }
    }
}

fn spec(name: &str, text: &str, own: BTreeMap<String, String>) -> Result<LabSpec, ExitCode> {
    match Cluster::parse(name, text) {
        Ok((cluster, warnings)) => {
            print_warnings(&warnings);
            Ok(lab_spec(&cluster, own))
        }
        Err(found) => {
            let found: Diagnostics = found;
            anstream::eprint!("{}", found.render(true));
            Err(Exit::BadConfig.into())
        }
    }
}

/// What cannot be read here is missed, and named, by converge on the machines.
fn own_files(directory: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for part in OWN_DIRECTORIES {
        for entry in fs::read_dir(directory.join(part)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if let Ok(text) = fs::read_to_string(entry.path()) {
                files.insert(format!("{part}/{}", name.to_string_lossy()), text);
            }
        }
    }
    files
}
