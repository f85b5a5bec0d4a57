//! Servers of kinds that are none of ours: memcached and rsync, with the operator's own words.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use converge::check::config::{Datagram, Expectation, Pattern, Protocol, Reply, TlsStart, Turn};

use super::asking::{
    Answer, WELL, ask, ask_by_datagram, ask_by_datagram_in_vain, ask_in_vain, stream,
    write_certificate,
};
use super::engine::its_certificate_counts;
use super::server::{Server, six};

fn bad(what: &str) -> Answer {
    Err(what.to_owned())
}

fn turn(send: &str, expect: Option<Expectation>) -> Turn {
    Turn { send: send.as_bytes().to_vec(), expect }
}

fn text(text: &str) -> Option<Expectation> {
    Some(Expectation::Text(text.as_bytes().to_vec()))
}

fn matches(pattern: &str) -> Option<Expectation> {
    Some(Expectation::Matches(Pattern::new(pattern).expect("a pattern")))
}

/// memcached: in the clear at the first address, and by datagrams; under TLS at the second.
fn memcached() -> Option<Server> {
    let nobody = Some("nobody");
    Server::start_as(nobody, "/usr/bin/memcached", "memcached", 2, |directory, addresses| {
        write_certificate(directory);
        let file = |name: &str| directory.join(name).display().to_string();
        let (open, covered) = (addresses[0], addresses[1]);
        let listen = format!("notls:{open},notls:{},{covered},{}", six(open), six(covered));
        let files = format!("ssl_chain_cert={},ssl_key={}", file("cert.pem"), file("key.pem"));
        let port = open.port().to_string();
        let words = ["-l", &listen, "-U", &port, "-m", "8", "-t", "1", "-c", MOST, "-Z", "-o"];
        words.iter().copied().chain([files.as_str()]).map(str::to_owned).collect()
    })
}

/// The most connections that memcached takes; with fewer it does not start.
const MOST: &str = "30";

/// Its version, then something that is kept and given back.
fn kept(version: &str) -> Protocol {
    Protocol::Expect(vec![
        turn("version\r\n", matches(version)),
        turn("set check 0 5 4\r\nkept\r\n", text("STORED\r\n")),
        turn("get check\r\n", text("VALUE check 0 4\r\nkept\r\nEND\r\n")),
        turn("quit\r\n", None),
    ])
}

#[test]
fn a_server_is_told_good_from_bad_by_what_the_operator_expects() {
    let Some(server) = memcached() else { return };
    let (address, covered) = (server.addresses[0], server.addresses[1]);
    let good = kept("^VERSION 1\\.[0-9.]+\r\n");
    assert_eq!(ask(&good, address), WELL, "{}", server.log());
    assert_eq!(ask(&good, server.six(0)), WELL, "{}", server.log());
    its_certificate_counts(&good, TlsStart::AtOnce, covered, &server.file("cert.pem"));
    its_certificate_counts(&good, TlsStart::AtOnce, server.six(1), &server.file("cert.pem"));
    let other = ask_in_vain(&kept("^VERSION 2"), address);
    assert_eq!(other, bad("silent: turn 1: nothing came that matches /^VERSION 2/"));
    let gone = Protocol::Expect(vec![turn("quit\r\n", text("bye"))]);
    let closed = ask(&gone, address);
    assert_eq!(closed, bad("it closed the connection, and \"bye\" did not come"));
    full(&good, address);
    server.freeze();
    let silent = ask_in_vain(&good, address).expect_err("frozen");
    assert!(silent.starts_with("silent: connected, but turn 1: nothing came"), "{silent}");
}

/// Others have all connections.
#[track_caller]
fn full(good: &Protocol, address: SocketAddr) {
    let mut held = Vec::new();
    loop {
        let mut stream = stream(address, Duration::from_secs(20));
        stream.write_all(b"version\r\n").ok();
        let mut answer = [0; 5];
        if stream.read_exact(&mut answer).is_err() || answer != *b"VERSI" {
            break;
        }
        held.push(stream);
        assert!(held.len() < 100, "it takes more than {MOST}");
    }
    // It says so and closes, which may tear down what it says.
    let full = ask(good, address).expect_err("bad");
    assert!(full.starts_with("turn 1: it closed") || full.starts_with("silent: "), "{full}");
}

/// A question to memcached, and how the answer begins: each with the number of the question, of
/// this packet and of all.
fn version(answer: &str) -> Datagram {
    let head = b"\x12\x34\0\0\0\x01\0\0";
    let begins = [head, answer.as_bytes()].concat().into_iter().map(Some).collect();
    let reply = Some(Reply { begins, shortest: 16, longest: 64 });
    Datagram::Udp { payload: [head, &b"version\r\n"[..]].concat(), reply }
}

#[test]
fn a_server_is_told_good_from_bad_by_its_datagram() {
    let Some(server) = memcached() else { return };
    let address = server.addresses[0];
    assert_eq!(ask_by_datagram(&version("VERSION 1."), address), WELL, "{}", server.log());
    assert_eq!(ask_by_datagram(&version("VERSION 1."), server.six(0)), WELL);
    let other = ask_by_datagram(&version("VERSION 2."), address).expect_err("another version");
    assert!(other.starts_with("a reply that begins otherwise: "), "{other}");
    let Datagram::Udp { payload, .. } = version("") else { panic!("bytes") };
    let short = Some(Reply { begins: Vec::new(), shortest: 0, longest: 4 });
    let short = ask_by_datagram(&Datagram::Udp { payload, reply: short }, address);
    assert!(short.as_ref().is_err_and(|what| what.ends_with(" bytes, not 0 to 4")), "{short:?}");
    server.freeze();
    let silent = ask_by_datagram_in_vain(&version("VERSION 1."), address);
    assert_eq!(silent, bad("silent: no answer came"));
}

fn rsync() -> Option<Server> {
    Server::start("/usr/bin/rsync", "rsync", 1, |directory, addresses| {
        let own = directory.display();
        let conf = format!(
            "use chroot = no
reverse lookup = no
pid file = {own}/pid
lock file = {own}/lock
log file = {own}/log
[pages]
path = {own}
comment = what is served
[shut]
path = {own}
hosts deny = *
"
        );
        let conf_file = directory.join("rsyncd.conf");
        fs::write(&conf_file, conf).expect("a file of our own");
        let (host, port) = (addresses[0].ip(), addresses[0].port());
        vec![
            "--daemon".to_owned(),
            "--no-detach".to_owned(),
            format!("--config={}", conf_file.display()),
            format!("--address={host}"),
            format!("--port={port}"),
        ]
    })
}

#[test]
fn a_server_that_speaks_first_and_closes_at_the_end_is_told_good_from_bad() {
    let Some(server) = rsync() else { return };
    let address = server.addresses[0];
    let asking = |module: &str, expect: Option<Expectation>| {
        let hello = turn("", matches("^@RSYNCD: [0-9.]+ [^\n]*\n"));
        let request = turn(&format!("@RSYNCD: 30.0\n{module}\n"), expect);
        ask(&Protocol::Expect(vec![hello, request]), address)
    };
    let error = || Some(Expectation::MatchesNot(Pattern::new("@ERROR").expect("a pattern")));
    assert_eq!(asking("#list", matches("(?m)^pages *\twhat is served$")), WELL);
    assert_eq!(asking("#list", error()), WELL, "{}", server.log());
    assert_eq!(asking("pages", text("@RSYNCD: OK\n")), WELL, "{}", server.log());
    assert_eq!(asking("none", error()), bad("turn 2: what came matches /@ERROR/"));
    let shut = asking("shut", text("@RSYNCD: OK\n"));
    let what = "turn 2: it closed the connection, and \"@RSYNCD: OK\\n\" did not come";
    assert_eq!(shut, bad(what), "{}", server.log());
}
