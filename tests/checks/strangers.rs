//! Servers of our own that refuse, are slow, half there, babble, tear the connection down or never
//! end: whatever the protocol, each is bad, in bounded time and memory, and is said to be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread::spawn;
use std::time::{Duration, Instant};

use converge::check::config::{Datagram, Probe, Protocol, Reply};
use converge::check::outcome::{Advice, Asked, Outcome, Wish};
use socket2::{Domain, Socket, Type};

use super::asking::{
    Answer, WELL, ask, ask_by_datagram, ask_by_datagram_in_vain, ask_in_vain, ask_who_stops,
};
use super::engine::{self, made_within};
use super::kinds::{datagrams, each, expect};
use super::rogue::{Rogue, hasty, hasty_over_six, rogue};

/// Both loopbacks.
const HERE: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

#[test]
fn a_server_that_refuses_is_bad() {
    each(|kind| {
        for here in HERE {
            // Bound and not listening: nobody else gets the port.
            let domain = if here.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
            let socket = Socket::new(domain, Type::STREAM, None).expect("a socket");
            socket.bind(&SocketAddr::new(here, 0).into()).expect("loopback");
            let address = socket.local_addr().expect("bound").as_socket().expect("of IP");
            let refused = engine::ask(&kind.protocol, None, address);
            assert_eq!(refused, bad("connection refused"), "{:?}", kind.protocol);
        }
    });
}

#[test]
fn a_server_that_says_nothing_is_silent() {
    each(|kind| {
        let what = ask_in_vain(&kind.protocol, hasty(Rogue::Stalls(b""))).expect_err("bad");
        assert!(what.starts_with("silent: connected, but "), "{:?}: {what}", kind.protocol);
    });
}

#[test]
fn a_server_that_stops_in_the_middle_is_silent() {
    each(|kind| {
        let what = ask_who_stops(&kind.protocol, hasty(Rogue::Stalls(kind.first)));
        let what = what.expect_err("bad");
        assert!(what.starts_with("silent: "), "{:?}: {what}", kind.protocol);
        assert!(!what.contains("connected, but"), "{:?}: {what}", kind.protocol);
    });
}

#[test]
fn a_server_that_drips_gets_no_more_time_than_others() {
    each(|kind| {
        let drips = Rogue::Drips(kind.first, b"x");
        let probe = Probe::Speak { protocol: kind.protocol.clone(), tls: None };
        let begun = Instant::now();
        let outcome = made_within(probe, hasty_over_six(drips), Duration::from_millis(500));
        assert!(matches!(outcome, Outcome::Bad(_)), "{:?}: {outcome:?}", kind.protocol);
        // It drips for ever.
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", kind.protocol);
    });
}

#[test]
fn a_server_that_closes_in_the_middle_is_bad() {
    each(|kind| {
        for said in [b"", kind.first] {
            // What an agent said is taken for its line.
            if matches!(kind.protocol, Protocol::Agent { .. }) && !said.is_empty() {
                continue;
            }
            let what = ask(&kind.protocol, hasty(Rogue::Says(said))).expect_err("bad");
            // Either was first: its goodbye, or that it does not take what we said.
            let found = ["it closed the connection, and ", "the connection was closed", "silent: "];
            let found = found.iter().any(|word| what.starts_with(word));
            assert!(found, "{:?}: {what}", kind.protocol);
        }
    });
}

#[test]
fn a_server_that_tears_the_connection_down_is_no_good() {
    each(|kind| {
        let what = ask(&kind.protocol, hasty(Rogue::Resets(kind.first))).expect_err("bad");
        assert!(what.starts_with("silent: "), "{:?}: {what}", kind.protocol);
    });
}

/// What no server says, whatever its kind.
const JUNK: [&[u8]; 3] = [
    b"\x15\x03\x03\0\x02\x02\x28\x15\x03\x03\0\x02\x01\0",
    b"<html>\r\n\r\n</html>\r\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\xff\xfe\xfd\xfc\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
];

#[test]
fn a_server_of_another_protocol_is_bad_over_ipv4_and_ipv6() {
    each(|kind| {
        for words in JUNK {
            let what = ask(&kind.protocol, hasty(Rogue::Says(words))).expect_err("bad");
            let six = engine::ask(&kind.protocol, None, hasty_over_six(Rogue::Says(words)));
            let six = six.expect_err("bad");
            // Its reset may be faster than what it said.
            let torn = |what: &str| what.contains("reset") || what.starts_with("silent: ");
            assert!(six == what || torn(&six) || torn(&what), "{:?}: {what}, {six}", kind.protocol);
        }
    });
}

#[test]
fn a_server_that_never_ends_is_found_out() {
    each(|kind| {
        for again in [&b"x"[..], b"\0", b"220-more\r\n", b"* more\r\n", b"N\0\0\0\x05x"] {
            // An agent is done with its first line, and what follows is not waited for.
            if matches!(kind.protocol, Protocol::Agent { .. }) && again.contains(&b'\n') {
                continue;
            }
            let endless = hasty(Rogue::Repeats(kind.first, again));
            let what = ask(&kind.protocol, endless).expect_err("bad");
            let words = again.escape_ascii();
            assert!(!what.starts_with("silent: "), "{:?} {words}: {what}", kind.protocol);
        }
    });
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
fn parrot(here: IpAddr, answers: &'static [&'static [u8]]) -> SocketAddr {
    let socket = UdpSocket::bind((here, 0)).expect("loopback");
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
    for datagram in datagrams() {
        for here in HERE {
            // With bytes of the operator's own, every datagram is an answer.
            let answered = matches!(datagram, Datagram::Udp { .. });
            let ask = if answered { ask_by_datagram } else { ask_by_datagram_in_vain };
            let what = ask(&datagram, parrot(here, JUNK)).expect_err("bad");
            let wanted = match datagram {
                Datagram::Udp { .. } => "a reply of 0 bytes, not 4 to 4",
                Datagram::Dns(_) | Datagram::Sip { .. } => "silent: no answer came",
                Datagram::Radius { .. } => "silent: no answer came; one that does not know us",
            };
            assert!(what.starts_with(wanted), "{datagram:?}: {what}");
        }
    }
}

#[test]
fn who_refuses_datagrams_is_bad() {
    for datagram in datagrams() {
        for here in HERE {
            let address = UdpSocket::bind((here, 0)).and_then(|socket| socket.local_addr());
            let refused = engine::made(Probe::Ask(datagram.clone()), address.expect("bound"));
            let Outcome::Bad(failure) = refused else { panic!("{datagram:?}: {refused:?}") };
            assert!(failure.what.contains("port unreachable"), "{datagram:?}: {failure}");
        }
    }
}

#[test]
fn a_reply_has_to_be_as_expected() {
    let begins = vec![Some(b'a'), None, Some(b'c')];
    let reply = Some(Reply { begins, shortest: 0, longest: 255 });
    let udp = Datagram::Udp { payload: b"hello".to_vec(), reply };
    assert_eq!(ask_by_datagram(&udp, parrot(HERE[0], &[b"abcd"])), WELL);
    let other = ask_by_datagram(&udp, parrot(HERE[0], &[b"abd"]));
    assert_eq!(other, bad("a reply that begins otherwise: `abd`"));
    assert_eq!(ask_by_datagram_in_vain(&udp, parrot(HERE[0], &[])), bad("silent: no answer came"));
    let any = Datagram::Udp { payload: b"hello".to_vec(), reply: None };
    assert_eq!(ask_by_datagram_in_vain(&any, parrot(HERE[0], &[])), WELL);
}
