//! What is made of the frames of an answer.

use super::super::frame::{PADDED, PRIORITY};
use super::*;

#[test]
fn the_status_is_enough_if_nothing_else_is_asked() {
    assert_eq!(open(&plain(), Answer::new().headers("200", 0)), Told::Good);
    let told = open(&plain(), Answer::new().headers("503", 0));
    assert_eq!(told, Told::bad("status 503, not 200-399"));
}

#[test]
fn a_body_ends_with_its_stream() {
    let http = expecting(vec![text("hello")]);
    let answer = Answer::new().headers("200", 0).data(b"he", 0).data(b"", 0);
    assert_eq!(open(&http, answer.clone().data(b"llo", 0)), Told::Good);
    let without = Told::bad("the body does not hold \"hello\"");
    assert_eq!(open(&http, answer.clone().data(b"ll", END_STREAM)), without);
    assert_eq!(open(&http, Answer::new().headers("200", END_STREAM)), without);
    let trailers = block(&[("x-checksum", "1")]);
    let flags = END_HEADERS | END_STREAM;
    let trailers = answer.clone().frame(Kind::Headers, flags, 1, &trailers);
    assert_eq!(open(&http, trailers), without);
    let waits = "status 200 came, but the body did not end and does not hold \"hello\" so far";
    assert_eq!(open(&http, answer), Told::Waits(waits.to_owned()));
}

#[test]
fn some_answers_have_no_body() {
    let mut http = expecting(vec![text("x")]);
    let without = Told::bad("the body does not hold \"x\"");
    assert_eq!(open(&http, Answer::new().headers("204", 0)), without);
    http.requests[0].method = "HEAD".to_owned();
    assert_eq!(open(&http, Answer::new().headers("200", 0)), without);
}

#[test]
fn interim_answers_are_skipped() {
    let answer = Answer::new().headers("100", 0).headers("103", 0);
    assert_eq!(
        open(&plain(), answer.clone().headers("404", 0)),
        Told::bad("status 404, not 200-399")
    );
    assert_eq!(open(&plain(), answer.headers("200", END_STREAM)), Told::Good);
    let told = open(&plain(), Answer::new().headers("100", END_STREAM));
    assert_eq!(told, Told::bad("HTTP/2: no answer but an interim one"));
}

#[test]
fn padding_and_priority_are_taken_off() {
    let mut padded = vec![3, 0, 0, 0, 0, 16];
    padded.extend_from_slice(&block(&[(":status", "200")]));
    padded.extend_from_slice(&[0; 3]);
    let flags = END_HEADERS | PADDED | PRIORITY;
    let answer = Answer::new().frame(Kind::Headers, flags, 1, &padded);
    let http = expecting(vec![text("okay")]);
    let answer = answer.frame(Kind::Priority, 0, 1, &[0; 5]);
    let answer = answer.frame(Kind::Data, PADDED, 1, b"\x02ok\0\0");
    assert_eq!(open(&http, answer.frame(Kind::Data, PADDED, 1, b"\0ay")), Told::Good);
}

#[test]
fn a_header_block_may_come_in_parts_with_nothing_between() {
    let block = block(&[(":status", "200"), ("a", "b")]);
    let (near, far) = block.split_at(5);
    let answer = Answer::new().frame(Kind::Headers, END_STREAM, 1, near);
    let answer = answer.frame(Kind::Continuation, 0, 1, &[]);
    let whole = answer.clone().frame(Kind::Continuation, END_HEADERS, 1, far);
    assert_eq!(open(&plain(), whole), Told::Good);
    let interrupted = Told::bad("HTTP/2: a header block is interrupted");
    assert_eq!(open(&plain(), answer.frame(Kind::Ping, 0, 0, &[0; 8])), interrupted);
    let alone = Answer::new().frame(Kind::Continuation, END_HEADERS, 1, &block);
    assert_eq!(open(&plain(), alone), interrupted);
}

#[test]
fn a_request_that_is_refused_or_given_up_says_why() {
    let reset = Answer::new().frame(Kind::ResetStream, 0, 1, &[0, 0, 0, 7]);
    let told = Told::bad("the server gave the request up: REFUSED_STREAM");
    assert_eq!(open(&plain(), reset), told);
    let goaway = |last: u8, code: u8| {
        Answer::new().frame(Kind::Goaway, 0, 0, &[0, 0, 0, last, 0, 0, 0, code, b'w', b'h', b'y'])
    };
    let told = Told::bad("the server refuses the request: ENHANCE_YOUR_CALM");
    assert_eq!(open(&plain(), goaway(0, 11)), told);
    // One that was begun is still answered.
    assert_eq!(open(&plain(), goaway(1, 0).headers("200", 0)), Told::Good);
    assert_eq!(closed(&plain(), goaway(1, 2)), Told::bad("the server closed: INTERNAL_ERROR"));
    let unknown = Answer::new().frame(Kind::ResetStream, 0, 1, &[0, 0, 1, 0]);
    assert_eq!(open(&plain(), unknown), Told::bad("the server gave the request up: error 256"));
}

#[test]
fn a_server_that_does_not_speak_http_2_is_told_from_one_that_does() {
    let told = open(&plain(), "HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n");
    assert_eq!(told, Told::bad("the server speaks HTTP/1, not HTTP/2"));
    let told = open(&plain(), "<html>\r\n<head>");
    assert_eq!(told, Told::bad("the answer is not HTTP/2: \"<html>\\r\\n<\""));
    let told = open(&plain(), Answer::default().headers("200", 0));
    assert!(matches!(told, Told::Bad(_)), "settings come first: {told:?}");
    let ack = Answer::default().frame(Kind::Settings, ACK, 0, &[]);
    assert!(matches!(open(&plain(), ack), Told::Bad(_)));
    assert_eq!(closed(&plain(), "220 x"), Told::bad("the answer is not HTTP/2: \"220 x\""));
}

#[test]
fn how_far_it_got_is_said() {
    let none = Told::Waits("connected, but no answer came".to_owned());
    assert_eq!(open(&plain(), ""), none);
    let greeted = Told::Waits("the server speaks HTTP/2, but no answer came".to_owned());
    assert_eq!(open(&plain(), Answer::new()), greeted);
    let early = Told::bad("the connection was closed without an answer");
    assert_eq!(closed(&plain(), ""), early);
    assert_eq!(closed(&plain(), Answer::new()), early);
    let within = Told::bad("the connection was closed within the body");
    assert_eq!(closed(&expecting(vec![text("x")]), Answer::new().headers("200", 0)), within);
}

#[test]
fn a_frame_that_cannot_be_is_bad() {
    let frames: [(Kind, u8, u32, &[u8], &str); 18] = [
        (Kind::Data, 0, 1, b"x", "data where none can be"),
        (Kind::Data, 0, 0, b"x", "a frame on a stream where it cannot be"),
        (Kind::Headers, 4, 3, b"\x88", "a frame on a stream where it cannot be"),
        (Kind::Headers, 4, 0, b"\x88", "a frame on a stream where it cannot be"),
        (Kind::Headers, 4, 1, b"\xff", "a malformed header block"),
        (Kind::Headers, 4, 1, b"\x40\x01a\x01b", "an answer without a status"),
        (Kind::Headers, 4, 1, b"\x08\x0320x", "an answer without a status"),
        (Kind::Headers, 4, 1, b"\x08\x03101", "an answer without a status"),
        (Kind::Headers, 4 | PADDED, 1, b"\x02\x88", "a malformed frame"),
        (Kind::Headers, 4 | PRIORITY, 1, b"\x88", "a malformed frame"),
        (Kind::ResetStream, 0, 1, b"x", "a malformed frame"),
        (Kind::Settings, 0, 1, b"", "a frame on a stream where it cannot be"),
        (Kind::Settings, 0, 0, b"xxxxx", "malformed settings"),
        (Kind::Settings, ACK, 0, b"\0\x04\0\0\0\0", "malformed settings"),
        (Kind::PushPromise, 4, 1, b"\0\0\0\x02\x88", "a push, which was forbidden"),
        (Kind::Ping, 0, 0, b"short", "a malformed frame"),
        (Kind::Goaway, 0, 0, b"short", "a malformed frame"),
        (Kind::WindowUpdate, 0, 0, b"\0\0\0\0", "a malformed frame"),
    ];
    for (kind, flags, stream, payload, what) in frames {
        let told = open(&plain(), Answer::new().frame(kind, flags, stream, payload));
        assert_eq!(told, Told::Bad(format!("HTTP/2: {what}")), "{kind:?} {payload:?}");
    }
}

#[test]
fn windows_have_a_bound() {
    let large = Told::bad("HTTP/2: a window that is too large");
    let most = 0x7fff_ffff_u32.to_be_bytes();
    for stream in [0, 1] {
        let answer = Answer::new().frame(Kind::WindowUpdate, 0, stream, &most);
        assert_eq!(open(&plain(), answer), large);
    }
    assert_eq!(open(&plain(), Answer::new().settings(&[(4, 0x8000_0000)])), large);
    let wide = Answer::new().settings(&[(4, 0x7fff_ffff)]).headers("200", 0);
    assert_eq!(open(&plain(), wide), Told::Good);
}

#[test]
fn kinds_and_settings_that_are_newer_than_us_are_passed_over() {
    let mut answer = Answer::new().settings(&[(0x4242, 7), (3, 0)]);
    answer.0.extend_from_slice(b"\0\0\x03\x10\xff\0\0\0\x05new");
    assert_eq!(open(&plain(), answer.clone().headers("200", 0)), Told::Good);
    // The bit before the stream's number says nothing (RFC 9113 section 4.1).
    answer.0.extend_from_slice(b"\0\0\x01\x01\x04\x80\0\0\x01\x88");
    assert_eq!(open(&plain(), answer), Told::Good);
}

#[test]
fn a_frame_that_is_too_long_is_bad_before_it_comes() {
    let mut answer = Answer::new();
    answer.0.extend_from_slice(&[0, 0x40, 1, 0, 0, 0, 0, 0, 1]);
    assert_eq!(open(&plain(), answer), Told::bad("HTTP/2: a frame is longer than was allowed"));
}

#[test]
fn frames_without_end_are_bad() {
    let idle = Told::bad("HTTP/2: frame after frame that brings nothing");
    let begun = Answer::new().headers("200", 0);
    let repeat =
        |first: &Answer, more: Answer, n: usize| Answer([&first.0[..], &more.0.repeat(n)].concat());
    let http = expecting(vec![text("x")]);
    let ping = Answer::default().frame(Kind::Ping, 0, 0, &[0; 8]);
    assert_eq!(open(&http, repeat(&begun, ping, 1001)), idle);
    assert_eq!(open(&http, repeat(&begun, Answer::default().data(b"", 0), 1001)), idle);
    let padding = Answer::default().frame(Kind::Data, PADDED, 1, &[9; 10]);
    assert_eq!(open(&http, repeat(&begun, padding, 1001)), idle);
    assert_eq!(
        open(&http, repeat(&Answer::new(), Answer::default().headers("103", 0), 1001)),
        idle
    );
    let long = Told::bad("the header section is longer than 64 KiB");
    let part = Answer::default().frame(Kind::Continuation, 0, 1, &[0; 1000]);
    let begun = Answer::new().frame(Kind::Headers, 0, 1, &[]);
    assert_eq!(open(&http, repeat(&begun, part, 70)), long);
    let field = block(&[("a", &"b".repeat(1000))]).repeat(66);
    let mut answer = Answer::new().frame(Kind::Headers, 0, 1, &[]);
    for part in field.chunks(16384) {
        answer = answer.frame(Kind::Continuation, 0, 1, part);
    }
    assert_eq!(open(&http, answer), long);
    let second = Answer::new().headers("200", 0).headers("200", 0);
    let told = Told::bad("HTTP/2: a second header section that is not the last");
    assert_eq!(open(&http, second), told);
}
