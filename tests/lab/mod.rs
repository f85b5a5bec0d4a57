//! Claims about real machines.
//!
//! Where a lab cannot be started for want of packages and of root to install them, its tests say
//! so on standard error and claim nothing.

use std::io::Write;

use converge::lab::image::ImageError;
use converge::lab::{HostSpec, Lab, LabError, LabSpec, Options};

mod arp;
mod boot;
mod commands;
mod directors;
mod failover;
mod fallback;
mod health;
pub(crate) mod inside;
mod killed;
mod life;
mod machines;
mod network;
mod proxies;
mod steady;
mod traffic;
mod world;

/// What a test says; an error shows where it comes from and what there is to know.
type Claim<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A lab of hosts with these names, `192.0.2.1` and up, whose machines run this build.
fn boot(name: &str, hosts: &[&str]) -> Option<Lab> {
    start(&spec(name, hosts))
}

/// A lab whose machines run this build; none where the host lacks what a lab needs.
fn start(spec: &LabSpec) -> Option<Lab> {
    let options =
        Options { binary: Some(env!("CARGO_BIN_EXE_converge").into()), ..Options::default() };
    match Lab::start(spec, &options) {
        Ok(lab) => Some(lab),
        Err(LabError::Image(
            reason @ (ImageError::Prerequisite(_) | ImageError::Unreachable { .. }),
        )) => {
            let name = &spec.name;
            let line = format!("\n######## SKIPPED, all of the lab `{name}`: {reason} ########\n");
            // Not eprintln!, which the test harness captures when a test passes.
            std::io::stderr().write_all(line.as_bytes()).ok();
            None
        }
        Err(error) => panic!("{error}"),
    }
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
        ..LabSpec::default()
    }
}
