//! Where it is measured: namespaces of its own, in which a whole range of addresses is this host's.
//!
//! Nothing is named, so nothing can stay behind: the kernel ends whatever is left in there when the
//! program that measures ends, however it ends.

use std::env;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::process::{Command, ExitStatus, Stdio};

/// Set in the program that runs apart.
const APART: &str = "CONVERGE_APART";
/// Of every address here.
pub(crate) const PREFIX: u8 = 15;
/// The director's own address.
pub(crate) const DIRECTOR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// Where every target listens, and every VIP too: with direct routing they cannot differ.
pub(crate) const PORT: u16 = 8000;

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

/// Where the addresses of all targets are.
pub(crate) const TARGETS: [&str; 2] = ["198.18.16.0/20", "198.18.32.0/19"];

/// The address of target `n`.
pub(crate) fn target(n: usize) -> Ipv4Addr {
    let first = u32::from(Ipv4Addr::new(198, 18, 16, 0));
    Ipv4Addr::from(first + u32::try_from(n).expect("few"))
}

/// The VIP of pool `n`.
pub(crate) fn vip(n: usize) -> Ipv4Addr {
    let first = u32::from(Ipv4Addr::new(198, 19, 255, 1));
    Ipv4Addr::from(first + u32::try_from(n).expect("few"))
}

/// Addresses, and a kernel that does not get in the way of ten thousand connections a second.
pub(crate) fn prepare() {
    run("ip", "link set lo up");
    run("ip", "link add eth0 type veth peer name cable");
    run("ip", "link set cable up");
    run("ip", "link set eth0 up");
    run("ip", &format!("addr add {DIRECTOR}/{PREFIX} dev eth0"));
    // Whatever is not this host's otherwise: who asks a target talks to this host, over lo.
    run("ip", "route add local 198.18.0.0/16 dev lo");
    // Connections that a target ended first wait for a minute; they are not what is measured.
    fs::create_dir_all(OWN).expect("a directory that was empty");
    let waiting = fs::write("/proc/sys/net/ipv4/tcp_max_tw_buckets", "1000");
    waiting.expect("a sysctl of the namespace");
}

/// What is the benchmark's own, and stays from one contestant to the next.
pub(crate) const OWN: &str = "/run/bench-own";

/// Takes away what the contestant before left: the number of a process that ended may be another's
/// by now.
pub(crate) fn clear() -> io::Result<()> {
    for entry in fs::read_dir("/run")?.chain(fs::read_dir("/var/lib")?) {
        let path = entry?.path();
        match path.is_dir() {
            _ if path.starts_with(OWN) => {}
            true => fs::remove_dir_all(path)?,
            false => fs::remove_file(path)?,
        }
    }
    Ok(())
}

/// How many connections were begun here, which only the contestants do (RFC 4022,
/// tcpActiveOpens).
pub(crate) fn opened() -> u64 {
    let snmp = fs::read_to_string("/proc/net/snmp").expect("proc is mounted");
    let mut tcp = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (tcp.next().unwrap_or_default(), tcp.next().unwrap_or_default());
    let mut pairs = names.split(' ').zip(values.split(' '));
    let value = pairs.find(|(name, _)| *name == "ActiveOpens").map(|(_, value)| value);
    value.and_then(|value| value.parse().ok()).expect("the kernel counts them")
}

/// Runs a program that has to succeed.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &str) {
    let output = Command::new(program).args(arguments.split_whitespace()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {said}");
}

/// Makes a program or a library of C, with the linker's driver that every Rust toolchain needs.
pub(crate) fn compile(source: &str, options: &str, to: &str) -> Result<(), String> {
    let file = format!("{to}.c");
    fs::write(&file, source).map_err(|error| format!("{file}: {error}"))?;
    let output = Command::new("cc")
        .args(options.split_whitespace())
        .args(["-O2", "-o", to, &file])
        .output()
        .map_err(|error| format!("cc: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
