//! Servers of our own that are slow, half there, that babble, tear the connection down or never
//! end: whatever the protocol, each is bad, in bounded time and memory, and is said to be.

use std::net::{SocketAddr, UdpSocket};
use std::thread::spawn;

use converge::check::config::{Datagram, Dns, Expectation, Protocol, Reply, Turn};
use converge::check::outcome::{Advice, Asked, Wish};

use super::asking::{
    Answer, WELL, ask, ask_by_datagram, ask_by_datagram_in_vain, ask_in_vain, login,
};
use super::rogue::{Rogue, hasty, rogue};

fn dns() -> Dns {
    Dns { name: "www.example".to_owned(), record: 1, answer: None }
}

fn expect(text: &str) -> Protocol {
    let expect = Some(Expectation::Text(text.as_bytes().to_vec()));
    Protocol::Expect(vec![Turn { send: b"hello\n".to_vec(), expect }])
}

/// Every protocol that is no HTTP, with how its server's first words begin.
fn protocols() -> Vec<(Protocol, &'static [u8])> {
    let me = login("me", "secret");
    let (login, database) = (me.clone(), String::new());
    let postgres = Protocol::Postgres { login, database, cleartext: false };
    vec![
        (Protocol::Smtp { helo: "lb1.example".to_owned() }, b"220-mx.example ESM"),
        (Protocol::Ftp(Some(me.clone())), b"220-Welcome\r\n to"),
        (Protocol::Imap(Some(me.clone())), b"* OK IMAP4rev1"),
        (Protocol::Pop3(Some(me.clone())), b"+OK POP3"),
        (Protocol::Nntp, b"200 post"),
        (Protocol::Redis { login: None }, b"+PO"),
        (Protocol::Mysql(Some(me.clone())), b"\x60\0\0\0\x0a10.11"),
        (postgres, b"R\0\0\0\x08\0"),
        (Protocol::Ldap { login: Some(me), base: None }, b"\x30\x0c\x02\x01\x02\x61"),
        (Protocol::Dns(dns()), b"\0\x40\x12\x34\x81"),
        (Protocol::Sip { user: "ping".to_owned() }, b"SIP/2.0 200 OK\r\nVia:"),
        (Protocol::Agent { send: Vec::new() }, b"up 50"),
        (expect("well"), b"all is we"),
    ]
}

#[test]
fn a_server_that_says_nothing_is_silent() {
    for (protocol, _) in protocols() {
        let what = ask_in_vain(&protocol, hasty(Rogue::Stalls(b""))).expect_err("bad");
        assert!(what.starts_with("silent: connected, but "), "{protocol:?}: {what}");
    }
}

#[test]
fn a_server_that_stops_in_the_middle_is_silent() {
    for (protocol, first) in protocols() {
        let what = ask_in_vain(&protocol, hasty(Rogue::Stalls(first))).expect_err("bad");
        assert!(what.starts_with("silent: "), "{protocol:?}: {what}");
        assert!(!what.contains("connected, but"), "{protocol:?}: {what}");
    }
}

#[test]
fn a_server_that_closes_in_the_middle_is_bad() {
    for (protocol, first) in protocols() {
        // What an agent said is taken for its line.
        if matches!(protocol, Protocol::Agent { .. }) {
            continue;
        }
        for said in [b"", first] {
            let what = ask(&protocol, hasty(Rogue::Says(said))).expect_err("bad");
            // Either was first: its goodbye, or that it does not take what we said.
            let found = ["it closed the connection, and ", "silent: "];
            assert!(found.iter().any(|word| what.starts_with(word)), "{protocol:?}: {what}");
        }
    }
}

#[test]
fn a_server_that_tears_the_connection_down_is_no_good() {
    for (protocol, first) in protocols() {
        let what = ask(&protocol, hasty(Rogue::Resets(first))).expect_err("bad");
        assert!(what.starts_with("silent: "), "{protocol:?}: {what}");
    }
}

#[test]
fn a_server_of_another_protocol_is_bad() {
    for words in [
        &b"\x15\x03\x03\0\x02\x02\x28\x15\x03\x03\0\x02\x01\0"[..],
        b"<html>\r\n\r\n</html>\r\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\xff\xfe\xfd\xfc\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        for (protocol, _) in protocols() {
            assert!(ask(&protocol, hasty(Rogue::Says(words))).is_err(), "{protocol:?}");
        }
    }
}

#[test]
fn a_server_that_never_ends_is_found_out() {
    for again in [&b"x"[..], b"\0", b"220-more\r\n", b"* more\r\n", b"N\0\0\0\x05x"] {
        for (protocol, first) in protocols() {
            // They are over with their first line, and what follows is not waited for.
            let short = matches!(protocol, Protocol::Agent { .. } | Protocol::Nntp);
            if short && again.contains(&b'\n') {
                continue;
            }
            let what = ask(&protocol, hasty(Rogue::Repeats(first, again))).expect_err("bad");
            assert!(!what.starts_with("silent: "), "{protocol:?} {}: {what}", again.escape_ascii());
        }
    }
}

#[test]
fn an_agent_says_how_its_server_is() {
    let agent = Protocol::Agent { send: b"be/web1\n".to_vec() };
    let said = |line: &'static [u8]| ask(&agent, rogue(Rogue::Says(line)));
    assert_eq!(said(b"up\n"), WELL);
    let half = Advice { weight: Some(Asked::Percent(50)), ..Advice::default() };
    assert_eq!(said(b"ready 50%\r\n"), Ok(half));
    let drain = Advice { wish: Some(Wish::Drain), ..Advice::default() };
    assert_eq!(said(b"drain"), Ok(drain));
    assert_eq!(said(b"down # disk full\n"), bad("the agent says down: `disk full`"));
}

fn bad(what: &str) -> Answer {
    Err(what.to_owned())
}

#[test]
fn what_is_expected_has_to_come() {
    assert_eq!(ask(&expect("well"), rogue(Rogue::Stalls(b"all is well\n"))), WELL);
    let other = ask(&expect("well"), rogue(Rogue::Says(b"all is lost\n")));
    assert_eq!(other, bad("it closed the connection, and \"well\" did not come"));
}

/// One who answers each datagram with these, one after the other.
fn parrot(answers: &'static [&'static [u8]]) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = socket.local_addr().expect("bound");
    spawn(move || {
        let (_, from) = socket.recv_from(&mut [0; 4096]).expect("a question");
        for answer in answers {
            socket.send_to(answer, from).expect("loopback");
        }
    });
    address
}

#[test]
fn a_datagram_of_junk_is_no_answer() {
    const JUNK: &[&[u8]] = &[b"", b"\0", b"SIP/2.0 200 OK\r\n\r\n", &[0xff; 600]];
    let radius = Datagram::Radius { login: login("me", ""), secret: "s".into() };
    for datagram in [Datagram::Dns(dns()), Datagram::Sip { user: "ping".to_owned() }, radius] {
        let what = ask_by_datagram_in_vain(&datagram, parrot(JUNK)).expect_err("bad");
        assert!(what.starts_with("silent: no answer came"), "{datagram:?}: {what}");
    }
}

#[test]
fn a_reply_has_to_be_as_expected() {
    let begins = vec![Some(b'a'), None, Some(b'c')];
    let reply = Some(Reply { begins, shortest: 0, longest: 255 });
    let udp = Datagram::Udp { payload: b"hello".to_vec(), reply };
    assert_eq!(ask_by_datagram(&udp, parrot(&[b"abcd"])), WELL);
    let other = ask_by_datagram(&udp, parrot(&[b"abd"]));
    assert_eq!(other, bad("a reply that begins otherwise: `abd`"));
    assert_eq!(ask_by_datagram_in_vain(&udp, parrot(&[])), bad("silent: no answer came"));
    let any = Datagram::Udp { payload: b"hello".to_vec(), reply: None };
    assert_eq!(ask_by_datagram_in_vain(&any, parrot(&[])), WELL);
}
