//! Claims about real machines.

use std::collections::BTreeMap;

use converge::lab::{HostSpec, Lab, LabSpec, Options};

mod inside;
mod machines;

/// A lab of hosts with these names, `192.0.2.1` and up, whose machines run this build.
fn boot(name: &str, hosts: &[&str]) -> Lab {
    let options =
        Options { binary: Some(env!("CARGO_BIN_EXE_converge").into()), ..Options::default() };
    Lab::start(&spec(name, hosts), &options).unwrap_or_else(|error| panic!("{error}"))
}

fn spec(name: &str, hosts: &[&str]) -> LabSpec {
    let host = |(name, number): (&&str, u8)| HostSpec {
        name: (*name).to_owned(),
        role: "client".to_owned(),
        address: format!("192.0.2.{number}/24").parse().expect("an address with its prefix"),
        interface: "ens33".to_owned(),
    };
    LabSpec {
        name: name.to_owned(),
        hosts: hosts.iter().zip(1..).map(host).collect(),
        cluster_file: None,
        extra_files: BTreeMap::new(),
    }
}
