//! Hosts on one segment: network namespaces whose `eth0` are on one bridge.
//!
//! Nothing is named, so nothing can stay behind: a namespace lasts as long as this and what runs in
//! it. [`apart`] starts the program again as the first process of namespaces of its own; the kernel
//! ends whatever is left in there when that process ends, however it ends.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// Set in the program that runs apart.
const APART: &str = "CONVERGE_APART";

/// Whether this is the program that [`apart`] started.
pub(crate) fn is_apart() -> bool {
    env::var_os(APART).is_some()
}

/// Starts this program again with these arguments, as the first process of new namespaces, with
/// directories of its own for what programs leave in `/run` and `/var/lib`.
pub(crate) fn apart(arguments: &[String]) -> io::Result<ExitStatus> {
    let empty = "mount -t tmpfs run /run && mount -t tmpfs lib /var/lib && exec \"$@\"";
    Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["sh", "-c", empty, "sh"])
        .arg(env::current_exe()?)
        .args(arguments)
        .env(APART, "1")
        .stdin(Stdio::null())
        .status()
}

/// Of every host's address: there is room for the VIPs of 255 routers.
pub(crate) const PREFIX: u8 = 16;

/// A network namespace.
pub(crate) struct Net {
    file: fs::File,
    shown: String,
}

impl Net {
    /// A new one, in which only `lo` is, and up.
    pub(crate) fn new() -> Self {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).expect("root may have a network namespace");
            fs::File::open("/proc/thread-self/ns/net").expect("its file")
        };
        let file = thread::scope(|scope| scope.spawn(make).join()).expect("it does not panic");
        let mut net = Self { file, shown: String::new() };
        let link = net.within(|| fs::read_link("/proc/thread-self/ns/net"));
        net.shown = link.expect("its name").display().to_string();
        net.ip("link set lo up");
        net
    }

    /// Calls `body` there. A socket stays where it was made, a program where it was started.
    pub(crate) fn within<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let there = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET).expect("it is open");
            body()
        };
        match thread::scope(|scope| scope.spawn(there).join()) {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Runs `ip` there.
    #[track_caller]
    pub(crate) fn ip(&self, arguments: &str) -> String {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let output = self.within(|| Command::new("ip").args(&words).output()).expect("ip runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ip {arguments}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts a program there.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        self.within(|| command.spawn())
    }

    /// The programs that run there, by number.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let entries = fs::read_dir("/proc").expect("proc is mounted").flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let here = |pid: &i32| {
            let link = fs::read_link(format!("/proc/{pid}/ns/net"));
            link.is_ok_and(|link| link.as_os_str() == self.shown.as_str())
        };
        numbers.filter(here).collect()
    }
}

/// A bridge, with the cables that hosts are plugged in by.
pub(crate) struct Segment {
    bridge: Net,
    patching: Child,
    orders: ChildStdin,
}

impl Segment {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let bridge = Net::new();
        bridge.ip("link add br0 type bridge");
        bridge.ip("link set br0 up");
        // It runs before it is needed: starting it would count as a part of what is measured.
        let mut ip = Command::new("ip");
        ip.args(["-force", "-batch", "-"]).stdin(Stdio::piped());
        let mut patching = bridge.spawn(&mut ip).expect("ip runs");
        let orders = patching.stdin.take().expect("it is piped");
        Self { bridge, patching, orders }
    }

    /// A new host with this address, whose last number is also that of its cable.
    pub(crate) fn host(&self, address: Ipv4Addr) -> Net {
        let (host, number) = (Net::new(), address.octets()[3]);
        // A namespace of a file has no name that `ip` could be told, but a program in it has.
        let mut sleeper = host.spawn(Command::new("sleep").arg("60")).expect("sleep runs");
        let peer = format!("peer name eth0 netns {}", sleeper.id());
        self.bridge.ip(&format!("link add port{number} type veth {peer}"));
        sleeper.kill().and_then(|()| sleeper.wait()).expect("our own child");
        self.bridge.ip(&format!("link set port{number} master br0"));
        self.bridge.ip(&format!("link set port{number} up"));
        // Multicast listener reports and router solicitations are nobody's business here.
        let quiet = Path::new("/proc/sys/net/ipv6/conf/eth0/disable_ipv6");
        host.within(|| quiet.exists().then(|| fs::write(quiet, "1")))
            .transpose()
            .expect("a sysctl");
        host.ip(&format!("addr add {address}/{PREFIX} dev eth0"));
        host.ip("link set eth0 up");
        host
    }

    /// Takes the cable of the host with this number out: both ends lose their carrier.
    pub(crate) fn unplug(&mut self, number: u8) {
        self.order(&format!("link set port{number} down\n"));
    }

    fn order(&mut self, order: &str) {
        self.orders.write_all(order.as_bytes()).expect("ip listens");
        self.orders.flush().expect("ip listens");
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.patching.kill().and_then(|()| self.patching.wait()).expect("our own child");
    }
}
