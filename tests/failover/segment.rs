//! A link with hosts on it: network namespaces on one bridge.
//!
//! Host `a` has 192.0.2.1 and 2001:db8::1, `b` the next, and so on, all on an interface `eth0`.
//! Everything goes when it is dropped, even after a panic.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than any election on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Tests of one process run at the same time; each segment has a number of its own.
static NEXT: AtomicU32 = AtomicU32::new(0);

pub struct Segment {
    prefix: String,
    hosts: Vec<&'static str>,
}

impl Segment {
    /// Hosts of these names, in the order of their addresses. `None`, said loudly, without root.
    pub fn new(hosts: &[&'static str]) -> Option<Segment> {
        if !nix::unistd::geteuid().is_root() {
            crate::kinds::apart::skipped("a test of several hosts", "it needs root");
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("cv{}-{number}", std::process::id());
        let segment = Segment { prefix, hosts: hosts.to_vec() };
        let switch = segment.namespace("switch");
        sh(&format!("ip netns add {switch}"));
        sh(&format!("ip -n {switch} link add br0 type bridge mcast_snooping 0"));
        sh(&format!("ip -n {switch} link set br0 up"));
        for (name, number) in hosts.iter().zip(1..) {
            let ns = segment.namespace(name);
            sh(&format!("ip netns add {ns}"));
            sh(&format!(
                "ip -n {switch} link add name to-{name} type veth peer name eth0 netns {ns}"
            ));
            sh(&format!("ip -n {switch} link set to-{name} master br0 up"));
            sh(&format!("ip -n {ns} link set lo up"));
            sh(&format!("ip -n {ns} link set eth0 up"));
            sh(&format!("ip -n {ns} address add 192.0.2.{number}/24 dev eth0"));
            sh(&format!("ip -n {ns} address add 2001:db8::{number}/64 dev eth0 nodad"));
        }
        Some(segment)
    }

    /// The name of a host's network namespace.
    pub fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }

    /// The start of a command on a host.
    pub fn command(&self, host: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(host)]);
        command
    }

    /// Runs a shell line on a host, which has to succeed; its output.
    pub fn ok(&self, host: &str, line: &str) -> String {
        let output = self.run(host, line);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{host}: `{line}`: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// Runs a shell line on a host.
    pub fn run(&self, host: &str, line: &str) -> Output {
        self.command(host).args(["sh", "-c", line]).output().expect("ip can be run")
    }

    /// Whether a host has this address.
    pub fn has(&self, host: &str, address: &str) -> bool {
        let listing = self.ok(host, "ip -oneline address show");
        let mut words = listing.split_whitespace();
        words.any(|word| word.split('/').next() == Some(address))
    }

    /// The hosts that have this address.
    pub fn holders(&self, address: &str) -> Vec<&'static str> {
        self.hosts.iter().copied().filter(|host| self.has(host, address)).collect()
    }

    /// Waits until exactly this host has the address.
    pub fn await_holder(&self, address: &str, host: &str) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let holders = self.holders(address);
            if holders == [host] {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("{address} is on {holders:?}, not on {host}"));
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Pulls a host's plug out of the switch, or puts it back. The host's own carrier goes too.
    pub fn plug(&self, host: &str, plugged: bool) {
        let state = if plugged { "up" } else { "down" };
        sh(&format!("ip -n {} link set to-{host} {state}", self.namespace("switch")));
    }

    /// Drops IP protocol 112 on its way into a host, and nothing else; or no longer. Whether there
    /// is a tool for it that works here.
    pub fn filter(&self, host: &str, filtered: bool) -> bool {
        let (nft, iptables) = match filtered {
            true => (
                "nft add table ip vrrp && nft add chain ip vrrp in \
                 '{ type filter hook input priority 0; }' \
                 && nft add rule ip vrrp in ip protocol 112 drop",
                "iptables -A INPUT -p 112 -j DROP",
            ),
            false => ("nft delete table ip vrrp", "iptables -D INPUT -p 112 -j DROP"),
        };
        self.run(host, nft).status.success() || self.run(host, iptables).status.success()
    }

    /// Cuts a host off without its noticing: the switch forwards nothing from and to it.
    pub fn cut(&self, host: &str, cut: bool) {
        let switch = self.namespace("switch");
        match cut {
            true => sh(&format!("ip -n {switch} link set to-{host} nomaster")),
            false => sh(&format!("ip -n {switch} link set to-{host} master br0")),
        };
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        for name in self.hosts.iter().copied().chain(["switch"]) {
            // It may not have come to be.
            let namespace = self.namespace(name);
            Command::new("ip").args(["netns", "delete", &namespace]).output().ok();
        }
    }
}

fn sh(line: &str) {
    let output = Command::new("sh").args(["-c", line]).output().expect("sh can be run");
    assert!(output.status.success(), "`{line}`: {}", String::from_utf8_lossy(&output.stderr));
}
