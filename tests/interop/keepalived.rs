//! Debian's keepalived on a host, with all its files in a directory of our own.

use nix::sys::signal::Signal;

use super::Other;
use super::pairing::{Family, Pairing, VRID};
use super::process::{Directory, Process};
use crate::failover::segment::Segment;

const PROGRAM: &str = "/usr/sbin/keepalived";

pub struct Keepalived<'s> {
    segment: &'s Segment,
    host: &'static str,
    vip: &'static str,
    directory: Directory,
    process: Option<Process>,
}

/// Whether it is installed; said loudly if not.
pub fn is_here() -> bool {
    super::is_here(PROGRAM, "keepalived")
}

/// A `keepalived.conf` for host `b` as the peer of `a`, with more lines of the instance.
pub fn conf(pairing: &Pairing, priority: u8, more: &str) -> String {
    let Pairing { version, transport, password, interval, .. } = pairing;
    let list = pairing.vips().join("\n");
    let (own, peer) = (pairing.family.address(2), pairing.family.address(1));
    let peers = match *transport {
        "unicast" => format!("unicast_src_ip {own}\nunicast_peer {{\n{peer}\n}}"),
        _ => String::new(),
    };
    let auth = match *password {
        "" => String::new(),
        word => format!("authentication {{\nauth_type PASS\nauth_pass {word}\n}}"),
    };
    format!(
        "global_defs {{\nrouter_id b\nvrrp_version {version}\n}}\n\
         vrrp_instance web {{\ninterface eth0\nvirtual_router_id {VRID}\npriority {priority}\n\
         advert_int {interval}\n{peers}\n{auth}\n{more}\nvirtual_ipaddress {{\n{list}\n}}\n}}\n"
    )
}

impl<'s> Keepalived<'s> {
    /// Its files, and no process yet.
    pub fn new(segment: &'s Segment, host: &'static str, family: Family, conf: &str) -> Self {
        let directory = Directory::of(segment, host, "keepalived");
        directory.write("conf", conf);
        Keepalived { segment, host, vip: family.vip(), directory, process: None }
    }

    /// The same, and started.
    pub fn started(segment: &'s Segment, host: &'static str, conf: &str) -> Self {
        let mut keepalived = Keepalived::new(segment, host, Family::Ipv4, conf);
        keepalived.start();
        keepalived
    }
}

impl Other for Keepalived<'_> {
    fn start(&mut self) {
        let file = |name| self.directory.file(name);
        let (conf, pid, vrrp) = (file("conf"), file("pid"), file("vrrp.pid"));
        let (checkers, bfd) = (file("checkers.pid"), file("bfd.pid"));
        // VRRP alone, in the foreground, with a detailed log on its standard output alone.
        let words = [
            &[PROGRAM, "-P", "-n", "-l", "-G", "-D", "-f", &conf][..],
            &["-p", &pid, "-r", &vrrp, "-c", &checkers, "-b", &bfd],
        ]
        .concat();
        let log = self.directory.0.join("log");
        self.process = Some(Process::start(self.segment, self.host, &words, &log));
    }

    fn stop(&mut self) {
        let mut process = self.process.take().expect("it was started");
        process.signal(Signal::SIGTERM);
        process.await_end();
    }

    fn is_active(&self) -> bool {
        self.segment.has(self.host, self.vip)
    }

    fn log(&self) -> String {
        self.directory.read("log")
    }
}
