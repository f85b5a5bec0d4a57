//! FRR's zebra and vrrpd on a host, with configuration, sockets and process ids of our own.
//!
//! vrrpd has a VIP on a macvlan interface with the virtual router's MAC address, all the time; it
//! takes that interface up and down. Whether it is Active only vrrpd itself can say.

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::User;

use super::Other;
use super::pairing::{Family, Pairing, VRID};
use super::process::{Directory, Process};
use crate::failover::segment::{PATIENCE, Segment};

const ZEBRA: &str = "/usr/lib/frr/zebra";
const VRRPD: &str = "/usr/lib/frr/vrrpd";

pub struct Frr<'s> {
    segment: &'s Segment,
    host: &'static str,
    family: Family,
    directory: Directory,
    /// In the order in which they are dropped.
    vrrpd: Option<Process>,
    _zebra: Process,
}

/// Whether it is installed; said loudly if not.
pub fn is_here() -> bool {
    super::is_here(VRRPD, "frr")
}

/// A configuration of vrrpd.
pub fn conf(pairing: &Pairing, priority: u8) -> String {
    let word = match pairing.family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ipv6",
    };
    let every = pairing.interval * 1000;
    let vips = pairing.vips().into_iter().map(|vip| format!("{word} {vip}"));
    let lines = [
        format!("version {}", pairing.version),
        format!("priority {priority}"),
        format!("advertisement-interval {every}"),
    ];
    let lines = lines.into_iter().chain(vips).map(|line| format!(" vrrp {VRID} {line}\n"));
    format!("interface eth0\n{}!\n", lines.collect::<String>())
}

impl<'s> Frr<'s> {
    /// Its files, its interface and zebra, and no vrrpd yet.
    pub fn new(segment: &'s Segment, host: &'static str, family: Family, conf: &str) -> Self {
        let directory = Directory::of(segment, host, "frr");
        directory.write("vrrpd.conf", conf);
        directory.write("zebra.conf", "");
        // They give up root for this user before they make their sockets.
        let frr = User::from_name("frr").expect("users can be looked up").expect("frr's user");
        let owner = (Some(frr.uid.as_raw()), Some(frr.gid.as_raw()));
        chown(&directory.0, owner.0, owner.1).expect("a directory of our own");
        let (kind, prefix) = match family {
            Family::Ipv4 => (1, 32),
            Family::Ipv6 => (2, 64),
        };
        let own = format!("vrrp{VRID}");
        segment.ok(host, &format!("ip link add {own} link eth0 type macvlan mode bridge"));
        segment.ok(host, &format!("ip link set dev {own} address 00:00:5e:00:0{kind}:{VRID:02x}"));
        // Otherwise every host would have the link-local address that follows from that MAC.
        segment.ok(host, &format!("ip link set dev {own} addrgenmode random"));
        let nodad = if family == Family::Ipv6 { "nodad" } else { "" };
        let vip = family.vip();
        segment.ok(host, &format!("ip address add {vip}/{prefix} dev {own} {nodad}"));
        segment.ok(host, &format!("ip link set dev {own} up"));
        let zebra = daemon(segment, host, &directory, ZEBRA, "zebra");
        let frr = Frr { segment, host, family, directory, vrrpd: None, _zebra: zebra };
        frr.await_file("zserv.api");
        frr
    }

    fn await_file(&self, name: &str) {
        let end = Instant::now() + PATIENCE;
        while !Path::new(&self.directory.file(name)).exists() {
            assert!(Instant::now() < end, "no {name}:\n{}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    fn show(&self) -> String {
        let line = format!("vtysh --vty_socket {} -c 'show vrrp'", self.directory.0.display());
        let output = Command::new("sh").args(["-c", &line]).output().expect("sh can be run");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Other for Frr<'_> {
    fn start(&mut self) {
        self.vrrpd = Some(daemon(self.segment, self.host, &self.directory, VRRPD, "vrrpd"));
        self.await_file("vrrpd.vty");
    }

    fn stop(&mut self) {
        let mut vrrpd = self.vrrpd.take().expect("it was started");
        vrrpd.signal(Signal::SIGTERM);
        vrrpd.await_end();
    }

    fn is_active(&self) -> bool {
        let line = match self.family {
            Family::Ipv4 => "Status (v4)",
            Family::Ipv6 => "Status (v6)",
        };
        let shown = self.show();
        shown.lines().any(|l| l.trim().starts_with(line) && l.trim().ends_with("Master"))
    }

    fn log(&self) -> String {
        format!("{}{}", self.directory.read("vrrpd.log"), self.show())
    }
}

/// Starts one of its daemons, without a port on the network.
fn daemon(
    segment: &Segment,
    host: &str,
    directory: &Directory,
    program: &str,
    name: &str,
) -> Process {
    let (conf, pid) = (directory.file(&format!("{name}.conf")), directory.file(name));
    let (zserv, own) = (directory.file("zserv.api"), directory.0.display().to_string());
    let words = [
        &[program, "-f", &conf, "-i", &pid, "-z", &zserv][..],
        &["--vty_socket", &own, "-P", "0", "--log", "stdout"],
    ]
    .concat();
    let log = directory.0.join(format!("{name}.log"));
    Process::start(segment, host, &words, &log)
}
