//! A unit, over the real systemd in a machine; and a host without one.

use super::*;
use crate::kinds::apart;
use crate::lab::inside::each_inside;

fn sh(line: &str) {
    let status = Command::new("sh").args(["-c", line]).status().expect("a shell");
    assert!(status.success(), "{line}");
}

each_inside! {
    async fn a_unit_that_stops_or_fails_is_heard_of_without_asking(_host) {
        let name = "converge-track.service";
        let mut unit = track(Watch::Unit(name.into()));
        // Nothing of what follows is heard of on the beat.
        unit.every = Duration::from_secs(3600);
        let mut watched = Watched::new(unit);
        assert_eq!(watched.until_bad().await, "there is no such unit");
        sh(&format!("systemd-run --quiet --unit={name} sleep 600"));
        watched.until_good().await;
        sh(&format!("systemctl kill --signal=KILL {name}"));
        watched.until_bad_as("failed").await;
        sh(&format!("systemctl reset-failed {name}"));
        watched.until_bad_as("there is no such unit").await;
        // systemd has forgotten it in between.
        sh(&format!("systemd-run --quiet --unit={name} sleep 600"));
        watched.until_good().await;
        sh("systemctl daemon-reexec");
        sh(&format!("systemctl stop {name}"));
        watched.until_bad().await;
    }
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
