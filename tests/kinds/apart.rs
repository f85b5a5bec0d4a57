//! Runs a test apart from this machine, in a process of its own.
//!
//! The test binary starts itself again for one test only. The child unshares its network and mount
//! namespaces, covers our ledgers with empty directories, and runs the body there.

use std::env;
use std::fs;
use std::io::Write;
use std::net::UdpSocket;
use std::process::{Child, Command};
use std::time::Duration;

use converge::host::Host;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

/// Set in the child.
const APART: &str = "CONVERGE_TEST_APART";
/// Printed by the child after the body, so that a run of no test does not pass for a success.
pub(crate) const PASSED: &str = "the body ran to its end";

/// `name` is the test's path below the crate.
pub(crate) fn in_namespace(name: &str, body: impl AsyncFnOnce(&Host)) {
    if env::var_os(APART).is_some() {
        enter_namespace();
        run(body);
    } else if geteuid().is_root() {
        again(name);
    } else {
        skipped(name, "it needs root for a network namespace");
    }
}

/// The harness captures what a passing test prints, but not what is written to the stream itself.
pub(crate) fn skipped(name: &str, why: &str) {
    let line = format!("\n######## SKIPPED {name}: {why} ########\n");
    std::io::stderr().write_all(line.as_bytes()).expect("stderr can be written");
}

fn again(name: &str) {
    let output = Command::new(env::current_exe().expect("our own path"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(APART, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("the test binary starts again");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "apart from this machine:\n{stdout}\n{stderr}");
    assert!(stdout.contains(PASSED), "no test ran under the name {name}:\n{stdout}");
}

fn enter_namespace() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("namespaces of our own");
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    for directory in ["/run", "/var/lib"] {
        let tmpfs = Some("tmpfs");
        mount(tmpfs, directory, tmpfs, MsFlags::empty(), none).expect("an empty directory");
    }
}

pub(crate) fn run(body: impl AsyncFnOnce(&Host)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let host = Host::this();
        body(&host).await;
    });
    println!("{PASSED}");
}

/// Tests that each run in a namespace: `fn name(host) { … }`.
macro_rules! each_in_a_namespace {
    ($($(#[$meta:meta])* async fn $name:ident($host:ident) $body:block)*) => {$(
        #[test]
        $(#[$meta])*
        fn $name() {
            let path = concat!(module_path!(), "::", stringify!($name));
            let path = path.split_once("::").expect("a path below the crate").1;
            $crate::kinds::apart::in_namespace(path, async |$host: &converge::host::Host| $body);
        }
    )*};
}
pub(crate) use each_in_a_namespace;

/// A second host: a network namespace that lasts as long as this.
pub(crate) struct Neighbour(Child);

impl Neighbour {
    pub(crate) fn new() -> Self {
        let child = Command::new("unshare").args(["-n", "sleep", "120"]).spawn().expect("unshare");
        let neighbour = Neighbour(child);
        // Until the child has left our namespace, its network is ours.
        while !neighbour.apart() {
            std::thread::sleep(Duration::from_millis(10));
        }
        neighbour
    }

    pub(crate) fn network(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    fn apart(&self) -> bool {
        let ours = fs::read_link("/proc/thread-self/ns/net").expect("our own namespace");
        fs::read_link(self.network()).is_ok_and(|theirs| theirs != ours)
    }

    /// Gives it one end of a cable; the other end stays here.
    pub(crate) fn plug(&self, here: &str, there: &str) {
        let pid = self.0.id();
        super::sh(&format!("ip link add {here} type veth peer name {there} netns {pid}"));
        super::sh(&format!("ip link set {here} up"));
        self.sh(&format!("ip link set lo up && ip link set {there} up"));
    }

    /// Runs a shell command there.
    pub(crate) fn sh(&self, command: &str) -> String {
        super::sh(&format!("nsenter --net={} sh -c '{command}'", self.network()))
    }

    /// Calls `body` there. A socket stays where it was made.
    pub(crate) fn within<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let network = fs::File::open(self.network()).expect("its namespace");
        let there = || {
            nix::sched::setns(network, CloneFlags::CLONE_NEWNET).expect("its namespace");
            body()
        };
        std::thread::scope(|scope| scope.spawn(there).join()).expect("what ran there")
    }

    /// A UDP socket there.
    pub(crate) fn bind(&self, address: &str) -> UdpSocket {
        let socket = self.within(|| UdpSocket::bind(address).expect("an address of its own"));
        socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a limit");
        socket
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("our own child");
    }
}
