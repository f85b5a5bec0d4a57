//! Servers that are well and servers that are not, over plain TCP and UDP.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

use super::servers::*;
use super::*;
use crate::check::config::{Datagram, Reply};
use Evidence::{Answered, Silent};

#[track_caller]
fn assert_fails(check: CheckConfig, what: &str, evidence: Evidence) {
    assert_eq!(failure(check), (what.to_owned(), evidence));
}

#[test]
fn a_port_that_is_open_is_good_and_one_that_is_not_is_refused() {
    let open = look(saying(""));
    assert_eq!(note(open), None);
    let (_kept, at) = nobody();
    assert_fails(look(at), "connection refused", Answered);
}

#[test]
fn a_server_that_drops_what_comes_is_silent() {
    let (_kept, _filling, at) = hole();
    assert_fails(look(at), "connection timed out", Silent);
    assert_fails(expects(at, "ok"), "connection timed out", Silent);
}

#[test]
fn a_program_does_not_hear_of_a_mere_look_at_its_port() {
    let count: &'static AtomicUsize = Box::leak(Box::default());
    let at = server(|_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut driven = Driven::start([CheckConfig { timing: timing(20), ..look(at) }]);
    driven.until_all(State::Up, 1);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(count.load(Ordering::Relaxed), 0);
    assert!(driven.checks.status().tally.made == 0 || driven.checks.status().sockets == 1);
}

#[test]
fn a_conversation_comes_to_its_end_and_what_is_said_in_pieces_is_heard() {
    let at = server(|mut stream| {
        for byte in b"all is ok here" {
            stream.write_all(&[*byte]).ok();
            thread::sleep(Duration::from_millis(2));
        }
    });
    assert_eq!(note(expects(at, "is ok")), None);
}

#[test]
fn a_server_that_resets_after_it_accepted_has_answered() {
    let (what, evidence) = failure(expects(server(reset), "ok"));
    assert!(what.starts_with("connection reset"), "{what}");
    assert_eq!(evidence, Answered);
}

#[test]
fn a_server_that_accepts_and_is_silent_has_answered() {
    let (what, evidence) = failure(expects(saying(""), "ok"));
    assert!(!what.contains("timed out"), "{what}");
    assert_eq!(evidence, Answered);
}

#[test]
fn a_server_that_closes_too_early_is_bad_at_once() {
    let began = Instant::now();
    let slow = CheckConfig { timing: timing(5_000), ..expects(server(drop), "ok") };
    assert_eq!(failure(slow).1, Answered);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_server_that_never_ends_is_bad_and_keeps_nobody_from_anything() {
    let flood = server(|mut stream| while stream.write_all(&[b'x'; 65_536]).is_ok() {});
    let (flooding, calm) = (expects(flood, "ok"), expects(saying("ok"), "ok"));
    let mut driven = Driven::start([flooding.clone(), calm.clone()]);
    assert_eq!(driven.verdict(&calm).state, State::Up);
    assert_eq!(driven.verdict(&flooding).state, State::Down);
}

#[test]
fn a_question_that_nobody_takes_is_refused_or_silent() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("an address");
    let ask = |reply| check(at, Probe::Ask(Datagram::Udp { payload: b"hi".to_vec(), reply }));
    let reply = Some(Reply { begins: vec![], shortest: 0, longest: 100 });
    assert_eq!(failure(ask(reply.clone())).1, Silent);
    assert_eq!(note(ask(None)), None);
    drop(taken);
    assert_fails(ask(None), "port unreachable", Answered);
    assert_fails(ask(reply), "port unreachable", Answered);
}

#[test]
fn a_question_is_answered() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let at = socket.local_addr().expect("an address");
    thread::spawn(move || {
        let mut buffer = [0; 100];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            socket.send_to(&buffer[..length], from).ok();
        }
    });
    let reply = Some(Reply { begins: vec![Some(b'h'), None], shortest: 2, longest: 2 });
    let asked = check(at, Probe::Ask(Datagram::Udp { payload: b"hi".to_vec(), reply }));
    assert_eq!(note(asked), None);
}

#[test]
fn a_connection_to_ourselves_is_no_server() {
    // Only a port that connections begin from can meet itself.
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("a range");
    let first: u16 = range.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a port");
    // The servers of other tests listen on addresses of IPv4.
    let targets = (first..first + 4_000).map(|port| (std::net::Ipv6Addr::LOCALHOST, port).into());
    let fast = |at| CheckConfig { timing: timing(100), ..look(at) };
    let mut driven = Driven::start(targets.map(fast));
    driven.until_all(State::Down, 4_000);
    thread::sleep(Duration::from_secs(1));
    driven.until("nothing new", |_| true);
    assert!(driven.health.values().all(|health| health.state == State::Down));
}

#[test]
fn what_is_no_longer_wanted_ends_in_flight_and_what_is_new_begins() {
    let (silent, open) = (expects(saying(""), "ok"), look(saying("")));
    let slow = CheckConfig { timing: timing(60_000), ..silent };
    let mut driven = Driven::start([slow.clone(), open.clone()]);
    assert_eq!(driven.verdict(&open).state, State::Up);
    let other = expects(saying("ok"), "ok");
    driven.configure([other.clone(), open]);
    assert_eq!(driven.verdict(&other).state, State::Up);
    assert!(!driven.health.contains_key(&slow));
    driven.configure([]);
    thread::sleep(Duration::from_millis(100));
    driven.configure([slow, other]);
}

#[test]
fn a_thread_with_nothing_to_do_turns_all_the_same_and_not_without_end() {
    let driven = Driven::start([]);
    let turns = || driven.checks.heart().load(Ordering::Relaxed);
    let begin = turns();
    let end = Instant::now() + PATIENCE;
    while turns() < begin + 2 {
        assert!(Instant::now() < end, "it does not turn");
        thread::sleep(Duration::from_millis(10));
    }
    assert!(turns() < begin + 20, "{}", turns());
}

#[test]
fn a_server_that_gave_up_during_a_pause_of_ours_is_held_well() {
    let (asks, asked) = mpsc::channel();
    let (hangs, hung) = mpsc::channel::<()>();
    let (waits, hung, served) = (AtomicBool::new(false), Mutex::new(hung), AtomicUsize::new(0));
    let shared: &'static _ = Box::leak(Box::new((waits, hung, served)));
    let (waits, hung, served) = shared;
    // It says something once it may, and waits for an answer, but not for long.
    let at = server(move |mut stream| {
        stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
        if waits.swap(false, Ordering::Relaxed) {
            asks.send(()).expect("somebody waits");
            hung.lock().expect("one at a time").recv().expect("it hangs");
        }
        stream.write_all(b"ready\n").ok();
        if stream.read(&mut [0; 9]).is_ok_and(|length| length > 0) {
            stream.write_all(b"ok\n").ok();
            served.fetch_add(1, Ordering::Relaxed);
        }
    });
    let talk = conversation(at);
    let mut driven = Driven::start([talk.clone()]);
    let before = driven.verdict(&talk);
    assert_eq!(before.state, State::Up);
    waits.store(true, Ordering::Relaxed);
    asked.recv_timeout(PATIENCE).expect("a check is under way");
    driven.checks.plant(move || {
        hangs.send(()).expect("somebody waits");
        thread::sleep(Duration::from_millis(1_500));
    });
    driven.until("a pause is told", |driven| driven.pauses > 0);
    let made = driven.checks.making().made();
    assert!(made.since >= made.before + Duration::from_secs(1), "no break: {made:?}");
    let (already, end) = (served.load(Ordering::Relaxed), Instant::now() + PATIENCE);
    while served.load(Ordering::Relaxed) < already + 2 {
        assert!(Instant::now() < end, "it is not asked any more");
        thread::sleep(Duration::from_millis(10));
    }
    // Whatever was told of the first is known when the second is.
    let other = look(saying(""));
    driven.configure([talk.clone(), other.clone()]);
    driven.verdict(&other);
    let now = &driven.health[&talk];
    assert_eq!((now.state, now.since), (State::Up, before.since), "{now:?}");
}

/// It says `ready`, is asked something, and says `ok`.
fn conversation(at: SocketAddr) -> CheckConfig {
    let turn = |send: &[u8], text: &str| Turn {
        send: send.to_vec(),
        expect: Some(crate::check::config::Expectation::Text(text.into())),
    };
    let turns = vec![turn(b"", "ready"), turn(b"well?\n", "ok")];
    check(at, Probe::Speak { protocol: Protocol::Expect(turns), tls: None })
}

#[test]
fn no_socket_is_left_open_and_none_in_time_wait() {
    let (good, (_kept, bad)) = (saying("ok"), nobody());
    let at = |n: u8| SocketAddr::new([127, 8, 0, n].into(), good.port());
    let ip = |n: u8| SocketAddr::new([127, 8, 0, n].into(), bad.port());
    let quick = |config| CheckConfig { timing: timing(20), ..config };
    let checks: Vec<_> = (1..50)
        .flat_map(|n| [look(at(n)), expects(at(n), "ok"), expects(at(n), "no"), look(ip(n))])
        .map(quick)
        .collect();
    let mut driven = Driven::start(checks);
    driven.until("all are judged", |d| d.health.len() == 196);
    thread::sleep(Duration::from_secs(1));
    let sockets = |status: Status| status.sockets;
    assert!(sockets(driven.checks.status()) <= 200, "{}", driven.checks.status().sockets);
    assert_eq!(waiting(good.port()), 0, "connections in TIME_WAIT");
}

/// How many connections to that port, on addresses of these tests, are in TIME_WAIT.
fn waiting(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a table");
    let port = format!(":{port:04X}");
    let is_waiting = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        let (local, remote, state) = (words.next(), words.next(), words.next());
        let is_ours = [local, remote].iter().flatten().any(|at| at.ends_with(&port));
        is_ours && state == Some("06")
    };
    table.lines().filter(is_waiting).count()
}
