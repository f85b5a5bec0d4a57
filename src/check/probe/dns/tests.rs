//! Answers as they come, and as they must not.

use super::*;
use crate::check::probe::exchange::Exchange;
use crate::check::probe::ordeal::Ordeal;
use proptest::prelude::*;

fn dns(record: u16, answer: Option<&str>) -> Dns {
    Dns { name: "www.example".into(), record, answer: answer.map(str::to_owned) }
}

/// An answer with these flags and records: type and data, all owned by the name asked for.
fn reply(record: u16, flags: [u8; 2], records: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = question(&dns(record, None), 7).expect("well-formed");
    message[2..4].copy_from_slice(&flags);
    message[7] = records.len() as u8;
    for (kind, data) in records {
        message.extend_from_slice(&[0xc0, 12]);
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        message.extend_from_slice(data);
    }
    message
}

fn judged(dns: &Dns, reply: &[u8]) -> Option<Outcome> {
    judge(dns, &question(dns, 7).expect("well-formed"), reply)
}

fn good(note: Option<&str>) -> Option<Outcome> {
    Some(Outcome::Good(Advice { note: note.map(str::to_owned), ..Advice::default() }))
}

fn bad(what: &str) -> Option<Outcome> {
    Some(Outcome::Bad(Failure::answered(what)))
}

const FLAGS: [u8; 2] = [0x81, 0x80];

#[test]
fn an_answer_without_error_is_good() {
    let address: &[(u16, &[u8])] = &[(1, &[192, 0, 2, 1])];
    assert_eq!(judged(&dns(1, None), &reply(1, FLAGS, address)), good(None));
    assert_eq!(judged(&dns(1, None), &reply(1, FLAGS, &[])), good(None));
    let cut = judged(&dns(1, None), &reply(1, [0x83, 0x80], &[]));
    assert_eq!(cut, good(Some("its answer was cut off (TC)")));
}

#[test]
fn errors_are_named() {
    for (code, name) in [(1, "FORMERR"), (2, "SERVFAIL"), (3, "NXDOMAIN"), (5, "REFUSED")] {
        assert_eq!(judged(&dns(1, None), &reply(1, [0x81, code], &[])), bad(name));
    }
    assert_eq!(judged(&dns(1, None), &reply(1, [0x81, 0x8f], &[])), bad("RCODE 15"));
    // One that could not read the question sends its head only.
    let mut bare = reply(1, [0x81, 1], &[]);
    bare.truncate(12);
    bare[5] = 0;
    assert_eq!(judged(&dns(1, None), &bare), bad("FORMERR"));
}

#[test]
fn what_is_no_answer_to_the_question_is_none() {
    let good = reply(1, FLAGS, &[]);
    for (at, byte) in [(1, 8), (2, 0x01), (2, 0xa9), (5, 0), (5, 2), (13, b'x'), (26, 2), (28, 3)] {
        let mut other = good.clone();
        other[at] = byte;
        assert_eq!(judged(&dns(1, None), &other), None, "byte {at}");
    }
    // A resolver may have changed the case.
    let mut other = good.clone();
    other[13] = b'W';
    assert!(judged(&dns(1, None), &other).is_some());
    for end in 0..good.len() {
        assert_eq!(judged(&dns(1, None), &good[..end]), None, "cut at {end}");
    }
}

#[test]
fn the_expected_answer_has_to_be_among_those_given() {
    let soa = b"\x02ns\xc0\x10\x04mail\xc0\x10\0\0\0\x2a\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04";
    for (record, data, expected) in [
        (1, &[192, 0, 2, 1][..], &["192.0.2.1"][..]),
        (28, &b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"[..], &["2001:db8::1", "2001:DB8:0::1"]),
        (5, b"\x01a\xc0\x10", &["a.example", "A.EXAMPLE."]),
        (2, b"\x01a\xc0\x0c", &["a.www.example"]),
        (15, b"\0\x0a\x02mx\xc0\x10", &["10 mx.example.", "10 mx.example", "mx.example"]),
        (16, b"\x03a b\x02 c", &["a b c"]),
        (6, soa, &["ns.example", "42", "ns.example. mail.example. 42 1 2 3 4"]),
        (257, b"\x01\x02", &["\\# 2 0102", "0102"]),
    ] {
        // Behind an alias, as resolvers send it, or another of the type.
        let alias: (u16, &[u8]) = if record == 5 { (1, &[0; 4]) } else { (5, b"\x01x\xc0\x10") };
        let reply = reply(record, FLAGS, &[alias, (record, data)]);
        for expected in expected {
            let dns = dns(record, Some(expected));
            assert_eq!(judged(&dns, &reply), good(None), "{expected}");
        }
        let dns = dns(record, Some("203.0.113.9"));
        assert!(matches!(judged(&dns, &reply), Some(Outcome::Bad(_))), "{record}");
    }
}

#[test]
fn another_answer_is_shown() {
    let other: &[(u16, &[u8])] = &[(1, &[192, 0, 2, 2])];
    let wanted = dns(1, Some("192.0.2.1"));
    let what = "the answer is 192.0.2.2, not 192.0.2.1";
    assert_eq!(judged(&wanted, &reply(1, FLAGS, other)), bad(what));
    let nothing = judged(&wanted, &reply(1, FLAGS, &[]));
    assert_eq!(nothing, bad("the answer is nothing, not 192.0.2.1"));
    let mut cut = reply(1, [0x83, 0x80], other);
    cut.truncate(cut.len() - 2);
    let what = "the answer is nothing, not 192.0.2.1; and it was cut off";
    assert_eq!(judged(&wanted, &cut), bad(what));
    cut[2] = 0x81;
    assert_eq!(judged(&wanted, &cut), bad("an answer that cannot be read"));
}

#[test]
fn over_tcp_two_bytes_of_length_stand_before() {
    let over_tcp = |answer| {
        let dns = dns(1, answer);
        Ordeal::of(move || Exchange::boxed(OverTcp::new(&dns, 7)))
    };
    let framed = |message: &[u8]| [&[0, message.len() as u8][..], message].concat();
    let asked = framed(&question(&dns(1, None), 7).expect("well-formed"));
    let address = framed(&reply(1, FLAGS, &[(1, &[192, 0, 2, 1])]));
    over_tcp(None).says(&asked).hears(&address).ends_good();
    over_tcp(Some("192.0.2.1")).hears(&address).ends_good();
    let refused = framed(&reply(1, [0x81, 5], &[]));
    over_tcp(None).hears(&refused).ends_bad("REFUSED");
    over_tcp(None).hears(b"\0\x02xx").ends_bad("no answer to the question");
    over_tcp(None).hears(b"\0\0").ends_bad("no answer to the question");
    over_tcp(None).silent("connected, but no answer came");
    over_tcp(None)
        .hears(b"\0")
        .ends()
        .ends_bad("it closed the connection, and no whole answer came");
}

proptest! {
    #[test]
    fn a_changed_answer_is_judged_or_none(
        at in 0..100usize, byte: u8, end in 0..150usize, record in 0..30u16, junk: Vec<u8>
    ) {
        let wanted = dns(record, Some("x"));
        let data: &[u8] = b"\0\x0a\x02mx\xc0\x10\x02mx\xc0\x10\0\0\0\0\0\0\0\0";
        let other = &junk[..junk.len().min(40)];
        let mut message = reply(record, FLAGS, &[(record, data), (record, other)]);
        let at = at % message.len();
        message[at] = byte;
        judged(&wanted, &message[..end.min(message.len())]);
        judged(&wanted, &message);
        judged(&wanted, &junk);
    }
}
