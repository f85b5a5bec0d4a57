//! The five clusters of the tutorials that the project began from, as cluster files, and what each
//! of their hosts is to be.
//!
//! `UPDATE_GOLDEN=1 cargo test topologies` writes the golden files anew; read the diff.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder(topology: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/topologies").join(topology)
}

fn converge(topology: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_converge"))
        .current_dir(folder(topology))
        .args(["--cluster", "cluster.toml", "--color", "never"])
        .args(arguments)
        .output()
        .expect("the binary that cargo built runs")
}

fn stdout(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8(output.stdout.clone()).expect("converge prints UTF-8")
}

fn hold_against_golden(topology: &str, name: &str, text: &str) {
    let path = folder(topology).join("golden").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder can be made");
        fs::write(&path, text).expect("a golden file can be written");
        return;
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let diff = similar::TextDiff::from_lines(golden.as_str(), text);
    let diff = diff.unified_diff().context_radius(3).to_string();
    assert!(golden == text, "{topology}: {name} is to be something else now:\n{diff}");
}

fn every_host_is_as_in_its_golden_file(topology: &str, hosts: &[&str]) {
    for host in hosts {
        let text = stdout(&converge(topology, &["render", "--host", host]));
        hold_against_golden(topology, host, &text);
    }
}

#[test]
fn the_six_hosts_of_the_first_tutorial() {
    let hosts = ["master", "backup", "web1", "web2", "nfs", "client"];
    every_host_is_as_in_its_golden_file("six-hosts", &hosts);
}

#[test]
fn the_five_hosts_with_two_directors_and_nginx() {
    every_host_is_as_in_its_golden_file("five-hosts", &["lvs1", "lvs2", "web1", "web2", "client"]);
}

#[test]
fn the_four_machines_that_hide_the_vip_with_arptables() {
    let hosts = ["server51", "server52", "server53", "server54"];
    every_host_is_as_in_its_golden_file("four-vms", &hosts);
}

#[test]
fn the_cluster_with_one_director_and_two_exports() {
    let hosts = ["director", "web1", "web2", "nfs", "client"];
    every_host_is_as_in_its_golden_file("one-director", &hosts);
}

#[test]
fn the_two_proxies_that_each_hold_one_vip() {
    every_host_is_as_in_its_golden_file("two-proxies", &["proxy101", "proxy102", "app1", "client"]);
}

#[test]
fn an_active_director_holds_the_vip_and_one_that_stands_by_does_not() {
    for host in ["master", "backup"] {
        let vip = "vips.192.168.100.22/32 = on ens33, label ens33:0";
        let waiting = stdout(&converge("six-hosts", &["render", "--host", host]));
        assert!(waiting.contains(&format!("{vip}, while Active")), "{waiting}");
        let active = stdout(&converge("six-hosts", &["render", "--host", host, "--active"]));
        assert!(active.contains(&format!("{vip}, now")), "{active}");
        // Only VRRP moves it.
        assert!(!active.contains("+ address 192.168.100.22/32"), "{active}");
    }
}

#[test]
fn nothing_is_wrong_with_any_of_them() {
    for topology in ["six-hosts", "five-hosts", "four-vms", "one-director", "two-proxies"] {
        let output = converge(topology, &["lint"]);
        assert_eq!(stdout(&output), "cluster.toml: nothing to complain about\n");
    }
}
