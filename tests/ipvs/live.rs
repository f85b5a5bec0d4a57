//! The client against a kernel that has IPVS, with `ipvsadm` as the second opinion.
//!
//! The outer test boots a user-mode machine and runs this very test binary in it, with the name of
//! the inner test; the inner one does nothing anywhere else.

use std::collections::BTreeSet;
use std::env;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::num::{NonZeroU8, NonZeroU16};
use std::process::Command as Program;
use std::thread::sleep;
use std::time::{Duration, Instant};

use converge::host::Host;
use converge::host::ipvs::{Client, IpvsError, Table};
use converge::ipvs::{
    Command, Connections, Destination, Forward, Seconds, SyncDaemon, SyncState, Timeouts,
    VirtualServer, diff,
};
use converge::resource::{Ensure, ResourceKind, Scope};
use nix::errno::Errno;

use super::everything::{id, one_of_everything, server, settings, weight};
use super::text::{Options, options, options_of};
use super::uml;

/// Set in the machine, and only there.
const INSIDE: &str = "CONVERGE_TEST_MACHINE";
/// Boot, and several hundred commands, on a slow and busy host.
const DEADLINE: Duration = Duration::from_secs(180);

#[test]
fn a_kernel_and_ipvsadm_agree_with_us() {
    if let Some(missing) = uml::missing() {
        let text = format!("SKIPPED: the IPVS client was not tried on a kernel; {missing}\n");
        // Not `eprintln!`: the test harness would swallow it.
        io::stderr().write_all(text.as_bytes()).expect("there is a standard error");
        return;
    }
    let this = env::current_exe().expect("a test has a path");
    let inner = "--exact ipvs::live::inside_the_machine --ignored --nocapture --test-threads=1";
    let command = format!("{INSIDE}=1 {} {inner}", this.display());
    let job = uml::Job { name: "ipvs-live", command: &command, deadline: DEADLINE, launcher: &[] };
    let outcome = uml::run(&job).expect("the machine ran");
    assert!(outcome.success && outcome.text.contains("1 passed"), "{}", outcome.text);
}

#[test]
#[ignore = "runs in the machine that a_kernel_and_ipvsadm_agree_with_us boots"]
fn inside_the_machine() {
    if env::var_os(INSIDE).is_none() {
        return;
    }
    the_first_change_loads_the_module_and_looking_does_not();
    what_we_write_is_what_ipvsadm_lists_and_what_we_read();
    a_change_of_weight_keeps_everything_else();
    a_failure_is_told_of_the_command_that_failed();
    a_batch_larger_than_one_datagram_keeps_its_results_apart();
    timeouts_and_daemons_come_back();
    a_resource_leaves_foreign_entries_alone();
    connections_are_counted_by_destination();
    without_privilege_the_error_says_what_is_missing();
}

fn ipvsadm(arguments: &str) -> String {
    let output = Program::new("ipvsadm").args(arguments.split(' ')).output().expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "ipvsadm {arguments}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn commands_for(servers: &[VirtualServer]) -> Vec<Command> {
    servers.iter().flat_map(|s| diff(None, Some(s))).collect()
}

fn open() -> Client {
    Client::open().expect("the kernel has IPVS")
}

fn apply(commands: &[Command]) {
    for result in open().apply(commands) {
        result.unwrap_or_else(|e| panic!("{e}"));
    }
}

fn read() -> Table {
    open().table(|_| true).expect("the table can be read")
}

fn by_id(servers: &[VirtualServer]) -> Table {
    servers.iter().map(|s| (s.id(), s.clone())).collect()
}

fn the_first_change_loads_the_module_and_looking_does_not() {
    let absent = Client::open_loaded().expect("looking works without IPVS");
    assert!(absent.is_none(), "nothing has loaded ip_vs yet");
    let info = open().info().expect("the kernel says its version");
    assert_eq!(info.version, (1, 2, 1));
    let mut client = Client::open_loaded().expect("it can be opened").expect("it is loaded now");
    assert_eq!(client.table(|_| true).expect("it can be read"), Table::new());
}

fn what_we_write_is_what_ipvsadm_lists_and_what_we_read() {
    let wanted = one_of_everything();
    apply(&commands_for(&wanted));
    let table = read();
    assert_eq!(table, by_id(&wanted));
    let left = wanted.iter().flat_map(|s| diff(table.get(&s.id()), Some(s)));
    assert_eq!(left.collect::<Vec<Command>>(), []);

    let listed: BTreeSet<Options> = ipvsadm("-Sn").lines().map(options).collect();
    let meant: BTreeSet<Options> = commands_for(&wanted).iter().map(options_of).collect();
    let only_one = |a: &BTreeSet<Options>, b: &BTreeSet<Options>| -> Vec<Options> {
        a.difference(b).cloned().collect()
    };
    assert_eq!((only_one(&meant, &listed), only_one(&listed, &meant)), (vec![], vec![]));
    let thresholds = ipvsadm("-Ln --thresholds");
    let held: Vec<&str> = thresholds.lines().filter(|l| l.contains("10.0.0.2:80")).collect();
    assert!(!held.is_empty());
    for line in held {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[2..4], ["1000", "800"], "{line}");
    }
}

fn a_change_of_weight_keeps_everything_else() {
    for old in one_of_everything() {
        let mut new = old.clone();
        for (id, to) in old.destinations() {
            let lighter = Destination { weight: weight(to.weight.get() / 2), ..*to };
            new.insert_destination(*id, lighter).expect("families fit");
        }
        let commands = diff(Some(&old), Some(&new));
        apply(&commands);
        let now = read();
        assert_eq!(now.get(&old.id()), Some(&new));
        apply(&diff(Some(&new), Some(&old)));
    }
    assert_eq!(read(), by_id(&one_of_everything()));
    // What a scheduler or engine was is forgotten when it changes, and comes back whole.
    let sip = id("UDP 192.0.2.2:5060");
    let old = read().remove(&sip).expect("it is there");
    let plain = VirtualServer::new(sip, settings("sh", &["sh-port"])).expect("it fits");
    apply(&diff(Some(&old), Some(&plain)));
    assert_eq!(read().get(&sip), Some(&plain));
    apply(&diff(Some(&plain), Some(&old)));
    assert_eq!(read().get(&sip), Some(&old));
    apply(&[Command::Flush]);
    assert_eq!(read(), Table::new());
}

fn a_failure_is_told_of_the_command_that_failed() {
    let (here, gone) = (id("TCP 192.0.2.1:80"), id("TCP 192.0.2.1:81"));
    let to = "10.0.0.1:80".parse().expect("a destination");
    let dr = Destination::new(Forward::Route);
    let commands = [
        Command::NewServer(here, settings("rr", &[])),
        Command::NewServer(here, settings("rr", &[])),
        Command::NewDestination(here, to, dr),
        Command::NewServer(gone, settings("twos", &[])),
        Command::NewDestination(gone, to, dr),
        Command::NewDestination(here, to, dr),
        Command::SetDestination(here, "10.0.0.2:80".parse().expect("a destination"), dr),
        Command::DelServer(gone),
        Command::Zero(Some(here)),
    ];
    let results = open().apply(&commands);
    let errnos: Vec<Option<Errno>> =
        results.iter().map(|r| r.as_ref().err().map(IpvsError::errno)).collect();
    let expected = [
        None,
        Some(Errno::EEXIST),
        None,
        Some(Errno::ENOENT),
        Some(Errno::ESRCH),
        Some(Errno::EEXIST),
        Some(Errno::ENOENT),
        Some(Errno::ESRCH),
        None,
    ];
    assert_eq!(errnos, expected);
    let text = results[3].as_ref().expect_err("no such scheduler").to_string();
    assert!(text.contains("module ip_vs_twos"), "{text}");
    apply(&[Command::Flush]);
}

fn a_batch_larger_than_one_datagram_keeps_its_results_apart() {
    let server = id("TCP 192.0.2.1:80");
    let to = |n: u32| {
        let addr = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into();
        converge::ipvs::DestinationId { addr, port: 80 }
    };
    let dr = Destination::new(Forward::Route);
    let mut commands = vec![Command::NewServer(server, settings("rr", &[]))];
    // Every third one twice, so that failures stand in every datagram.
    let twice = |n: u32| {
        if n.is_multiple_of(3) { vec![n, n] } else { vec![n] }
    };
    let numbers: Vec<u32> = (1..=700).flat_map(twice).collect();
    commands.extend(numbers.iter().map(|n| Command::NewDestination(server, to(*n), dr)));
    let results = open().apply(&commands);
    assert_eq!(results.len(), commands.len());
    for (pair, result) in numbers.windows(2).zip(&results[2..]) {
        assert_eq!(result.is_err(), pair[0] == pair[1], "{pair:?}");
    }
    let table = read();
    let found = table.get(&server).map(|s| s.destinations().len());
    assert_eq!(found, Some(700), "more than one datagram of destinations");
    apply(&[Command::Flush]);
}

fn timeouts_and_daemons_come_back() {
    let seconds = |n| Seconds::new(n).expect("in range");
    let wanted = Timeouts { tcp: seconds(1000), tcp_fin: seconds(130), udp: seconds(310) };
    apply(&[Command::SetTimeouts(wanted)]);
    assert_eq!(open().timeouts().expect("they can be read"), wanted);
    assert_eq!(ipvsadm("-L --timeout"), "Timeout (tcp tcpfin udp): 1000 130 310\n");
    let longest = Timeouts { tcp: Seconds::MAX, tcp_fin: Seconds::MIN, udp: Seconds::MAX };
    apply(&[Command::SetTimeouts(longest)]);
    assert_eq!(open().timeouts().expect("they can be read"), longest);

    let master = SyncDaemon {
        state: SyncState::Master,
        interface: "lo".parse().expect("a name"),
        sync_id: 5,
        max_length: NonZeroU16::new(1400),
        group: Some([224, 0, 0, 99].into()),
        port: NonZeroU16::new(9999),
        ttl: NonZeroU8::new(3),
    };
    let group = Some("ff02::81".parse().expect("an address"));
    let backup = SyncDaemon { state: SyncState::Backup, sync_id: 9, group, ..master };
    apply(&[Command::NewDaemon(master), Command::NewDaemon(backup)]);
    assert_eq!(open().daemons().expect("they can be read"), [master, backup]);
    let again = open().apply(&[Command::NewDaemon(master)]);
    assert_eq!(again[0].as_ref().err().map(IpvsError::errno), Some(Errno::EEXIST));
    apply(&[Command::DelDaemon(SyncState::Master), Command::DelDaemon(SyncState::Backup)]);
    assert_eq!(open().daemons().expect("they can be read"), []);
}

fn connections_are_counted_by_destination() {
    let addresses = "ip link set lo up && ip addr add 10.9.9.8/32 dev lo && \
                     ip addr add 10.9.9.9/32 dev lo";
    assert!(Program::new("sh").args(["-c", addresses]).status().expect("a shell").success());
    ipvsadm("-A -t 10.9.9.9:80 -s rr");
    ipvsadm("-a -t 10.9.9.9:80 -r 10.9.9.8:80 -m -w 3");
    let load = || {
        let load = open().load(id("TCP 10.9.9.9:80")).expect("it can be read");
        let (weight, connections) = load["10.9.9.8:80".parse().as_ref().expect("an id")];
        assert_eq!((load.len(), weight.get()), (1, 3));
        connections
    };
    assert_eq!(load(), Connections::default());
    let _listener = TcpListener::bind("10.9.9.8:80").expect("the address is here");
    let _stream = TcpStream::connect("10.9.9.9:80").expect("it is balanced");
    let Connections { active, inactive, persistent, .. } = load();
    assert_eq!((active, inactive, persistent), (1, 0, 0));
    // The kernel sums packets up every two seconds.
    let end = Instant::now() + Duration::from_secs(30);
    while load().sent < 2 || load().returned < 1 {
        assert!(Instant::now() < end, "{:?}", load());
        sleep(Duration::from_millis(100));
    }
    ipvsadm("-D -t 10.9.9.9:80");
    assert!(open().load(id("TCP 10.9.9.9:80")).expect("none is no error").is_empty());
}

fn a_resource_leaves_foreign_entries_alone() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let host = Host::this();
    let dr = Destination::new(Forward::Route);
    ipvsadm("-A -t 192.0.2.77:80 -s rr");
    let foreign = read();
    let wanted = server("TCP 192.0.2.1:80", settings("wlc", &[]), [("10.0.0.1:80", dr)]);
    let stale = server("TCP 192.0.2.1:81", settings("wlc", &[]), []);
    runtime.block_on(async {
        let all = [Ensure { before: None, after: &wanted }, Ensure { before: None, after: &stale }];
        for result in VirtualServer::ensure(&host, &all).await {
            result.unwrap_or_else(|e| panic!("{e}"));
        }
        let ours = BTreeSet::from(["TCP 192.0.2.1:80", "TCP 192.0.2.1:81"]);
        let scope = Scope { wanted: &[&wanted], ours };
        let seen = VirtualServer::observe(&host, &scope).await.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(seen, [wanted.clone(), stale.clone()], "the foreign one is invisible");
        // A second removal finds nothing, which is what it wanted.
        for _ in 0..2 {
            for result in VirtualServer::remove(&host, &[&stale, &wanted]).await {
                result.unwrap_or_else(|e| panic!("{e}"));
            }
        }
    });
    assert_eq!(read(), foreign);
    apply(&[Command::Flush]);
}

/// Last, because there is no way back.
fn without_privilege_the_error_says_what_is_missing() {
    nix::unistd::seteuid(65534.into()).expect("root can become nobody");
    let results = open().apply(&[Command::Flush, Command::Zero(None)]);
    for result in results {
        let error = result.expect_err("nobody may not");
        assert_eq!(error.errno(), Errno::EPERM);
        assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
    }
    let error = open().table(|_| true).expect_err("nobody may not even look");
    assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
}
