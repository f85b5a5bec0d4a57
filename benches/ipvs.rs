//! How long IPVS tables take: to load, to read again and compare, to apply again with one change.
//!
//! All in one run, in a user-mode machine, against `ipvsadm` and against the floor, which is
//! netlink with everything prepared and nothing understood: messages encoded beforehand, 100 to a
//! system call; answers received and only searched for the end mark. Prints a table for people,
//! and as its last line one JSON object of medians in milliseconds.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command as Program, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use converge::host::Host;
use converge::host::ipvs::Client;
use converge::ipvs::wire::frame::{self, Answer, Content, Messages};
use converge::ipvs::wire::{Query, control};
use converge::ipvs::{
    Command, Destination, DestinationId, Forward, Protocol, SchedulerName, ServerSettings,
    VirtualServer, VirtualServerId, Weight, diff,
};
use converge::resource::{Ensure, ResourceKind, Scope};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, MultiHeaders, NetlinkAddr, SockFlag, SockProtocol, SockType,
};
use nix::unistd::geteuid;

#[path = "../tests/ipvs/uml.rs"]
mod uml;

/// Set in the machine, and only there.
const INSIDE: &str = "CONVERGE_BENCH_MACHINE";
/// All repetitions of all cases, on a slow and busy host.
const DEADLINE: Duration = Duration::from_secs(600);
/// Each case and peer is run so often; the median counts.
const REPETITIONS: usize = 11;
/// Time for the kernel to be done with what went before.
const SETTLE: Duration = Duration::from_millis(300);
/// Messages in one system call, at the floor.
const BATCH: usize = 100;
/// The same for ipvsadm, which is so much slower that the noise does not matter.
const IPVSADM_REPETITIONS: usize = 3;
/// Virtual servers, and destinations of each.
const SIZES: [(u32, u32); 2] = [(1000, 4), (100, 100)];

fn main() -> ExitCode {
    if env::var_os(INSIDE).is_some() {
        measure();
        return ExitCode::SUCCESS;
    }
    if let Some(missing) = uml::missing() {
        eprintln!("nothing was measured; {missing}");
        return ExitCode::FAILURE;
    }
    let this = env::current_exe().expect("a program has a path");
    let command = format!("{INSIDE}=1 {}", this.display());
    // On one processor, before everybody else: a machine is many processes that wait for each
    // other, and on a busy host the waiting would be all that is measured.
    let last = thread::available_parallelism().map_or(0, |n| n.get() - 1).to_string();
    let alone = ["taskset", "-c", &last, "chrt", "--fifo", "1"];
    let launcher: &[&str] = if geteuid().is_root() { &alone } else { &[] };
    let job = uml::Job { name: "ipvs-bench", command: &command, deadline: DEADLINE, launcher };
    let outcome = uml::run(&job);
    match outcome {
        Ok(outcome) => {
            print!("{}", outcome.text);
            if outcome.success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Milliseconds of each repetition, by case and by who did it.
type Times = BTreeMap<String, BTreeMap<&'static str, Vec<f64>>>;

fn measure() {
    let mut times = Times::new();
    for (servers, destinations) in SIZES {
        let size = format!("{servers} x {destinations}");
        let wanted = table(servers, destinations, 1);
        let changed = with_one_change(&wanted);
        let mut bench = Bench::new(wanted, changed);
        for _ in 0..REPETITIONS {
            bench.load(times.entry(format!("load {size}")).or_default());
            bench.read(times.entry(format!("re-read {size}")).or_default());
            bench.apply_again(times.entry(format!("re-apply {size}")).or_default());
        }
    }
    report(&times);
}

fn report(times: &Times) {
    let medians: BTreeMap<&String, BTreeMap<&str, f64>> = times
        .iter()
        .map(|(case, peers)| (case, peers.iter().map(|(who, t)| (*who, median(t))).collect()))
        .collect();
    println!(
        "milliseconds, median of {REPETITIONS} (ipvsadm: of {IPVSADM_REPETITIONS}); \
         in brackets: times the floor"
    );
    println!("{:<20} {:>18} {:>20} {:>10}", "", "converge", "ipvsadm", "netlink");
    for (case, peers) in &medians {
        let floor = peers["netlink"];
        let shown = |who: &str| {
            peers.get(who).map(|ms| format!("{ms:.1} ({:.2})", ms / floor)).unwrap_or_default()
        };
        println!("{case:<20} {:>18} {:>20} {floor:>10.1}", shown("converge"), shown("ipvsadm"));
    }
    println!("{}", serde_json::json!({"bench": "ipvs", "ms": medians}));
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[sorted.len() / 2] * 1000.0).round() / 1000.0
}

fn table(servers: u32, destinations: u32, weight: u32) -> Vec<VirtualServer> {
    let at = |base: u32, n: u32| IpAddr::V4(Ipv4Addr::from_bits(base + n));
    let destination = Destination {
        weight: Weight::new(weight).expect("in range"),
        ..Destination::new(Forward::Route)
    };
    let server = |n| {
        let (protocol, addr) = (Protocol::Tcp, at(0xc612_0000, n));
        let id = VirtualServerId::Address { protocol, addr, port: 80 };
        let to = |d| (DestinationId { addr: at(0x0a00_0000, n * 256 + d), port: 80 }, destination);
        VirtualServer::new(id, ServerSettings::new(SchedulerName::Wlc.into()))
            .and_then(|s| s.with_destinations((0..destinations).map(to)))
            .expect("families fit")
    };
    (0..servers).map(server).collect()
}

fn with_one_change(servers: &[VirtualServer]) -> Vec<VirtualServer> {
    let mut changed = servers.to_vec();
    let middle = changed.len() / 2;
    let server = &mut changed[middle];
    let (id, to) = server.destinations().iter().next().map(|(i, d)| (*i, *d)).expect("it has one");
    let drained = Destination { weight: Weight::ZERO, ..to };
    server.insert_destination(id, drained).expect("families fit");
    changed
}

struct Bench {
    runtime: tokio::runtime::Runtime,
    host: Host,
    floor: Floor,
    wanted: Vec<VirtualServer>,
    changed: Vec<VirtualServer>,
    text: String,
    load: Vec<Vec<u8>>,
    reads: Vec<Vec<u8>>,
    one_change: Vec<Vec<u8>>,
}

impl Bench {
    fn new(wanted: Vec<VirtualServer>, changed: Vec<VirtualServer>) -> Self {
        Client::open().expect("the kernel has IPVS");
        let floor = Floor::open();
        let load: Vec<Command> = wanted.iter().flat_map(|s| diff(None, Some(s))).collect();
        let one: Vec<Command> =
            wanted.iter().zip(&changed).flat_map(|(a, b)| diff(Some(a), Some(b))).collect();
        let text = env::temp_dir().join(format!("converge-ipvs-{}", wanted.len()));
        fs::write(&text, load.iter().map(line).collect::<String>()).expect("a file can be written");
        let queries = wanted.iter().map(|s| Query::Destinations(s.id()));
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().build().expect("a runtime"),
            host: Host::this(),
            load: floor.batches(&load),
            one_change: floor.batches(&one),
            reads: [Query::Servers].into_iter().chain(queries).map(|q| floor.dump(q)).collect(),
            text: text.display().to_string(),
            floor,
            wanted,
            changed,
        }
    }

    /// Each load starts in a new network namespace: the kernel keeps removed destinations for a
    /// minute and searches all of them for each one added, which would slow down whoever is later.
    fn load(&mut self, times: &mut BTreeMap<&'static str, Vec<f64>>) {
        self.start_afresh();
        if is_due(times) {
            clock(times, "ipvsadm", || self.ipvsadm("-R"));
            self.check(&self.wanted);
            self.start_afresh();
        }
        clock(times, "netlink", || self.floor.send_all(&self.load));
        self.check(&self.wanted);
        self.start_afresh();
        clock(times, "converge", || self.converge(&self.wanted, true));
        self.check(&self.wanted);
    }

    fn start_afresh(&mut self) {
        unshare(CloneFlags::CLONE_NEWNET).expect("root may have a network namespace");
        // Where no interface has an address the kernel takes no destination.
        let up = Program::new("ip").args(["link", "set", "lo", "up"]).status().expect("it runs");
        assert!(up.success(), "the loopback interface comes up");
        self.floor = Floor::open();
        // The kernel takes the old namespace down in the background.
        thread::sleep(SETTLE);
    }

    fn read(&mut self, times: &mut BTreeMap<&'static str, Vec<f64>>) {
        if is_due(times) {
            clock(times, "ipvsadm", || self.ipvsadm("-Sn"));
        }
        clock(times, "netlink", || self.floor.read_all(&self.reads));
        clock(times, "converge", || self.converge(&self.wanted, false));
    }

    /// ipvsadm cannot compare, so it starts from an empty table; the connections would be gone.
    fn apply_again(&mut self, times: &mut BTreeMap<&'static str, Vec<f64>>) {
        clock(times, "converge", || self.converge(&self.changed, true));
        self.check(&self.changed);
        self.converge(&self.wanted, true);
        clock(times, "netlink", || {
            self.floor.read_all(&self.reads);
            self.floor.send_all(&self.one_change);
        });
        self.check(&self.changed);
        if is_due(times) {
            clock(times, "ipvsadm", || {
                self.ipvsadm("-C");
                self.ipvsadm("-R");
            });
        } else {
            self.converge(&self.wanted, true);
        }
        self.check(&self.wanted);
    }

    /// Looks, compares, and makes so, as a run does. Without `changes` there must be none to make.
    fn converge(&self, wanted: &[VirtualServer], changes: bool) {
        self.runtime.block_on(async {
            let all: Vec<&VirtualServer> = wanted.iter().collect();
            let scope = Scope { wanted: &all, ours: Default::default() };
            let seen = VirtualServer::observe(&self.host, &scope).await.expect("it can be read");
            let seen: BTreeMap<VirtualServerId, VirtualServer> =
                seen.into_iter().map(|s| (s.id(), s)).collect();
            let differs = |after: &&'_ VirtualServer| seen.get(&after.id()) != Some(*after);
            let to_do: Vec<Ensure<'_, VirtualServer>> = wanted
                .iter()
                .filter(differs)
                .map(|after| Ensure { before: seen.get(&after.id()), after })
                .collect();
            assert_eq!(!to_do.is_empty(), changes, "{} differ", to_do.len());
            for result in VirtualServer::ensure(&self.host, &to_do).await {
                result.expect("the kernel takes it");
            }
        });
    }

    fn ipvsadm(&self, argument: &str) {
        let input = fs::File::open(&self.text).expect("it was written");
        let status = Program::new("ipvsadm")
            .arg(argument)
            .stdin(input)
            .stdout(Stdio::null())
            .status()
            .expect("it runs");
        assert!(status.success(), "ipvsadm {argument}");
    }

    fn check(&self, wanted: &[VirtualServer]) {
        let table = Client::open().and_then(|mut c| c.table(|_| true)).expect("it can be read");
        assert!(table.values().eq(wanted.iter()), "the table is what it should be");
    }
}

/// Whether ipvsadm has been measured less often than it should.
fn is_due(times: &BTreeMap<&'static str, Vec<f64>>) -> bool {
    times.get("ipvsadm").is_none_or(|t| t.len() < IPVSADM_REPETITIONS)
}

fn clock(times: &mut BTreeMap<&'static str, Vec<f64>>, who: &'static str, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    times.entry(who).or_default().push(start.elapsed().as_secs_f64() * 1000.0);
}

/// A line for `ipvsadm -R`.
fn line(command: &Command) -> String {
    match command {
        Command::NewServer(id, settings) => {
            format!("-A -t {} -s {}\n", address(id), settings.scheduler.name)
        }
        Command::NewDestination(of, id, to) => {
            format!("-a -t {} -r {id} -g -w {}\n", address(of), to.weight)
        }
        Command::SetServer(..)
        | Command::DelServer(_)
        | Command::SetDestination(..)
        | Command::DelDestination(..)
        | Command::NewDaemon(_)
        | Command::DelDaemon(_)
        | Command::SetTimeouts(_)
        | Command::Zero(_)
        | Command::Flush => panic!("{command} is not part of a load"),
    }
}

fn address(id: &VirtualServerId) -> String {
    id.to_string().replace("TCP ", "")
}

/// Netlink with nothing around it.
struct Floor {
    socket: OwnedFd,
    family: u16,
    buffers: Vec<Vec<u8>>,
    headers: MultiHeaders<NetlinkAddr>,
}

impl Floor {
    fn open() -> Self {
        let socket = socket::socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkGeneric,
        )
        .expect("a socket");
        let mut floor = Self {
            socket,
            family: control::CONTROL_FAMILY,
            buffers: vec![vec![0; 32 * 1024]; 2],
            headers: MultiHeaders::preallocate(2, None),
        };
        let mut request = Vec::new();
        frame::request(&mut request, floor.family, Answer::Brief, 1, |out| {
            control::encode_lookup(out, "IPVS");
        });
        let mut family = None;
        floor.exchange(&request, |content| {
            if let Content::Data(payload) = content {
                family = control::decode_family(payload).ok();
            }
            family.is_some()
        });
        floor.family = family.expect("it is loaded");
        floor
    }

    /// Commands as datagrams, each closed by a question.
    fn batches(&self, commands: &[Command]) -> Vec<Vec<u8>> {
        let datagram = |batch: &[Command]| {
            let mut out = Vec::new();
            for command in batch {
                let family = self.family;
                frame::request(&mut out, family, Answer::Brief, 1, |out| command.encode(out));
            }
            frame::request(&mut out, self.family, Answer::Brief, 2, |out| Query::Info.encode(out));
            out
        };
        commands.chunks(BATCH).map(datagram).collect()
    }

    fn dump(&self, query: Query) -> Vec<u8> {
        let mut out = Vec::new();
        frame::request(&mut out, self.family, Answer::Dump, 1, |out| query.encode(out));
        out
    }

    fn send_all(&mut self, datagrams: &[Vec<u8>]) {
        for datagram in datagrams {
            self.exchange(datagram, |content| {
                assert!(!matches!(content, Content::Failed(_)), "{content:?}");
                matches!(content, Content::Data(_))
            });
        }
    }

    fn read_all(&mut self, requests: &[Vec<u8>]) {
        for request in requests {
            self.exchange(request, |content| matches!(content, Content::Done { .. }));
        }
    }

    /// Sends, and receives until `is_last`.
    fn exchange(&mut self, request: &[u8], mut is_last: impl FnMut(Content<'_>) -> bool) {
        let fd = self.socket.as_raw_fd();
        socket::send(fd, request, MsgFlags::empty()).expect("the kernel takes it");
        loop {
            let mut slices: Vec<[IoSliceMut<'_>; 1]> =
                self.buffers.iter_mut().map(|b| [IoSliceMut::new(b)]).collect();
            let flags = MsgFlags::MSG_WAITFORONE;
            let received = socket::recvmmsg(fd, &mut self.headers, slices.iter_mut(), flags, None);
            for datagram in received.expect("the kernel answers") {
                for bytes in datagram.iovs() {
                    for message in Messages::new(bytes) {
                        if is_last(message.expect("it is whole").content) {
                            return;
                        }
                    }
                }
            }
        }
    }
}
