//! A unit of systemd, where systemd runs this machine.

use std::process::Command;

use super::*;
use crate::kinds::apart;

#[tokio::test]
async fn a_unit_that_stops_is_heard_of_without_asking() {
    let is_systemd = Path::new("/run/systemd/system").is_dir();
    if !is_systemd || !nix::unistd::geteuid().is_root() {
        apart::skipped("track::unit", "it needs root, and systemd as PID 1");
        return;
    }
    let name = format!("converge-track-{}.service", std::process::id());
    let run = |line: &str| {
        let status = Command::new("sh").args(["-c", line]).status().expect("a shell");
        assert!(status.success(), "{line}");
    };
    let mut unit = track(Watch::Unit(name.clone()));
    unit.every = Duration::from_secs(3600);
    let mut watched = Watched::new(unit);
    assert_eq!(watched.until_bad().await, "there is no such unit");
    run(&format!("systemd-run --quiet --unit={name} sleep 600"));
    watched.until_good().await;
    run(&format!("systemctl stop {name}"));
    watched.until_bad().await;
}

#[tokio::test]
async fn a_unit_on_a_host_without_systemd_is_bad_and_says_why() {
    if Path::new("/run/systemd/system").is_dir() {
        apart::skipped("track::unit", "it needs a machine without systemd");
        return;
    }
    let mut watched = Watched::new(track(Watch::Unit("nginx.service".into())));
    assert_eq!(watched.until_bad().await, "systemd does not run this host");
    assert_eq!(watched.faults(), ["unit nginx.service: systemd does not run this host"]);
}
