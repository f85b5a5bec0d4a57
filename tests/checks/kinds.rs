//! One check of every kind that has a server of its own, for what has to be so with all of them.
//!
//! Each kind leads to the next one by a match without a rest: whoever adds a kind is stopped by the
//! compiler until it has its place here, and with it in all tests of servers that go wrong.

use std::thread;

use converge::check::config::{
    Datagram, Dns, Expectation, Http, HttpRequest, HttpVersion, Protocol, Reply, Turn,
};
use converge::track::config::Statuses;

use super::asking::login;

/// A protocol over TCP, and how its server's first words begin.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) protocol: Protocol,
    pub(crate) first: &'static [u8],
}

/// All protocols over TCP.
pub(crate) fn protocols() -> Vec<Kind> {
    let all = std::iter::successors(after(None), |kind| after(Some(&kind.protocol)));
    all.collect()
}

/// All questions in a datagram.
pub(crate) fn datagrams() -> Vec<Datagram> {
    std::iter::successors(behind(None), |datagram| behind(Some(datagram))).collect()
}

/// Tries something with every protocol, all at once: most of the time is spent waiting.
#[track_caller]
pub(crate) fn each(test: impl Fn(&Kind) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        for kind in protocols() {
            scope.spawn(move || test(&kind));
        }
    });
}

/// The protocol behind this one.
fn after(protocol: Option<&Protocol>) -> Option<Kind> {
    let me = || login("me", "secret");
    let (protocol, first): (_, &[u8]) = match protocol {
        None => (http(HttpVersion::V11), b"HTTP/1.1 200 OK\r\n"),
        Some(Protocol::Http(http)) if http.version == HttpVersion::V11 => {
            (self::http(HttpVersion::V2), b"\0\0\0\x04\0\0\0\0\0")
        }
        Some(Protocol::Http(_)) => {
            (Protocol::Smtp { helo: "lb1.example".to_owned() }, b"220-mx.example ESM")
        }
        Some(Protocol::Smtp { .. }) => (Protocol::Ftp(Some(me())), b"220-Welcome\r\n to"),
        Some(Protocol::Ftp(_)) => (Protocol::Imap(Some(me())), b"* OK IMAP4rev1"),
        Some(Protocol::Imap(_)) => (Protocol::Pop3(Some(me())), b"+OK POP3"),
        Some(Protocol::Pop3(_)) => (Protocol::Nntp(Some(me())), b"200 post"),
        Some(Protocol::Nntp(_)) => (Protocol::Redis { login: None }, b"+PO"),
        Some(Protocol::Redis { .. }) => {
            (Protocol::Mysql { login: Some(me()), cleartext: false }, b"\x60\0\0\0\x0a10.11")
        }
        Some(Protocol::Mysql { .. }) => (
            Protocol::Postgres { login: me(), database: String::new(), cleartext: false },
            b"R\0\0\0\x08\0",
        ),
        Some(Protocol::Postgres { .. }) => {
            (Protocol::Ldap { login: Some(me()), base: None }, b"\x30\x0c\x02\x01\x02\x61")
        }
        Some(Protocol::Ldap { .. }) => (Protocol::Dns(dns()), b"\0\x40\x12\x34\x81"),
        Some(Protocol::Dns(_)) => {
            (Protocol::Sip { user: "ping".to_owned() }, b"SIP/2.0 200 OK\r\nVia:")
        }
        Some(Protocol::Sip { .. }) => (expect("well"), b"all is we"),
        Some(Protocol::Expect(_)) => (Protocol::Agent { send: Vec::new() }, b"up 50"),
        Some(Protocol::Agent { .. }) => return None,
    };
    Some(Kind { protocol, first })
}

/// The question behind this one.
fn behind(datagram: Option<&Datagram>) -> Option<Datagram> {
    Some(match datagram {
        None => {
            let begins = vec![Some(b'p'), Some(b'o'), None, Some(b'g')];
            let reply = Some(Reply { begins, shortest: 4, longest: 4 });
            Datagram::Udp { payload: b"ping".to_vec(), reply }
        }
        Some(Datagram::Udp { .. }) => Datagram::Dns(dns()),
        Some(Datagram::Dns(_)) => Datagram::Sip { user: "ping".to_owned() },
        Some(Datagram::Sip { .. }) => {
            Datagram::Radius { login: login("me", ""), secret: "s".into() }
        }
        Some(Datagram::Radius { .. }) => return None,
    })
}

fn http(version: HttpVersion) -> Protocol {
    let request = HttpRequest {
        status: Statuses(vec![(200, 299)]),
        expect: vec![Expectation::Text(b"well".to_vec())],
        ..HttpRequest::get("/")
    };
    Protocol::Http(Http { version, requests: vec![request] })
}

fn dns() -> Dns {
    Dns { name: "www.example".to_owned(), record: 1, answer: None }
}

/// One who says hello, and waits for this text.
pub(crate) fn expect(text: &str) -> Protocol {
    let expect = Some(Expectation::Text(text.as_bytes().to_vec()));
    Protocol::Expect(vec![Turn { send: b"hello\n".to_vec(), expect }])
}
