//! `converge lab up`, and what converge says on real machines, as people type it.

use std::path::PathBuf;
use std::process::{Command, Output};

use super::world::{BASE, world};

/// A lab of its own, which is down again whatever becomes of the test.
struct LeftUp {
    directory: PathBuf,
}

impl LeftUp {
    fn new() -> LeftUp {
        let directory = std::env::temp_dir().join(format!("converge-up-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a temporary directory");
        LeftUp { directory }
    }

    fn converge(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_converge"))
            .args(line.split_whitespace().skip(1))
            .env("XDG_RUNTIME_DIR", &self.directory)
            .output()
            .expect("the binary that cargo built runs")
    }
}

impl Drop for LeftUp {
    fn drop(&mut self) {
        self.converge("converge lab down");
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

#[test]
fn lab_up_leaves_machines_that_have_converged_and_what_it_tells_to_try_works() {
    // One world at a time: machines take memory.
    let Some(_world) = world() else { return };
    let lab = LeftUp::new();
    let up = lab.converge("converge lab up");
    let said = String::from_utf8_lossy(&up.stdout);
    assert!(up.status.success(), "{said}{}", String::from_utf8_lossy(&up.stderr));
    let answers = [
        ("ipvsadm", "192.168.100.22:80 rr"),
        ("converge probe", "longest gap"),
        ("systemctl stop", ""),
        ("journalctl", "→ Active: 192.168.100.20 resigned"),
        ("systemctl start", ""),
    ];
    for (words, answer) in answers {
        let mut lines = said.lines().filter(|line| line.starts_with("  converge lab sh "));
        let command = lines.find(|line| line.contains(words));
        let command = command.unwrap_or_else(|| panic!("nothing to try with {words}:\n{said}"));
        // The explanation stands two columns after the command.
        let command = command.trim_start().split("  ").next().unwrap_or_default();
        let output = lab.converge(command);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains(answer), "`{command}`:\n{text}");
    }
    assert!(lab.converge("converge lab down").status.success());
    let none = lab.converge("converge lab status");
    assert_eq!(none.status.code(), Some(1));
    let said = String::from_utf8_lossy(&none.stderr);
    assert!(said.contains("`converge lab up` starts one"), "{said}");
}

#[test]
fn a_plan_ends_with_2_while_changes_are_pending_and_with_0_without() {
    let Some(world) = world() else { return };
    world.ok("web1", "sysctl -qw net.ipv4.conf.all.arp_ignore=0");
    let pending = world.host("web1").run("converge plan").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(pending.status, 2, "{}{}", pending.stdout, pending.stderr);
    assert!(pending.stdout.ends_with("1 change pending; `converge` makes them\n"), "{pending:?}");
    let before = world.ok("web1", "sysctl -n net.ipv4.conf.all.arp_ignore");
    assert_eq!(before, "0\n", "a plan changes nothing");
    assert!(world.converge("web1").success());
    let none = world.host("web1").run("converge plan").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(none.status, 0, "{}{}", none.stdout, none.stderr);
}

#[test]
fn a_second_converge_says_that_another_is_at_work() {
    let Some(world) = world() else { return };
    let line = "exec 9> /run/converge/lock; flock 9; converge 9>&-";
    let output = world.host("web1").run(line).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(output.status, 5, "{}{}", output.stdout, output.stderr);
    assert!(output.stderr.contains("another converge is at work"), "{}", output.stderr);
    assert!(world.converge("web1").success(), "a lock whose holder has gone holds nobody");
}

/// A view of the machine in which a program is not installed: /usr cannot be written to, so its
/// directory is covered, in a mount namespace of this command alone, by links to all the others.
fn without(program: &str, command: &str) -> String {
    format!(
        "unshare -m bash -c 'mkdir -p /run/real /run/rest; mount --bind /usr/sbin /run/real; \
         cp -as /run/real/. /run/rest; rm /run/rest/{program}; mount --bind /run/rest /usr/sbin; \
         {command}'; status=$?; rm -r /run/rest; exit $status"
    )
}

#[test]
fn a_missing_program_is_named_with_its_package_and_the_host_has_not_converged() {
    let Some(world) = world() else { return };
    world.give("web1", &format!("{BASE}web = \"nginx\"\n"));
    for (command, last) in [
        ("converge plan", "2 changes pending, nginx not installed\n"),
        ("converge", "nginx not installed\n"),
        ("converge", "not converged; 0 changes made, nginx not installed\n"),
    ] {
        let line = without("nginx", command);
        let output = world.host("web1").run(&line).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(output.status, 4, "{}{}", output.stdout, output.stderr);
        assert!(output.stderr.contains("nginx is not installed on this host"), "{output:?}");
        assert!(output.stderr.contains("package nginx has it"), "{output:?}");
        assert!(output.stdout.ends_with(last), "{command}: {}", output.stdout);
    }
    let line = without("nginx", "converge -o json");
    let output = world.host("web1").run(&line).unwrap_or_else(|e| panic!("{e}"));
    let said: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!((&said["converged"], &said["missing"][0]), (&false.into(), &"nginx".into()));
}

#[test]
fn a_change_that_needs_a_missing_program_fails_with_its_package() {
    let Some(world) = world() else { return };
    world.ok("nfs", "exportfs -u 192.168.142.4:/opt/111");
    let output = world.host("nfs").run(&without("exportfs", "converge"));
    let output = output.unwrap_or_else(|e| panic!("{e}"));
    let said = format!("{}{}", output.stdout, output.stderr);
    assert_eq!(output.status, 4, "{said}");
    assert!(said.contains("exportfs is not installed on this host"), "{said}");
    assert!(said.contains("package nfs-kernel-server has it"), "{said}");
    assert!(said.contains("nfs (nfs): not converged"), "{said}");
}
