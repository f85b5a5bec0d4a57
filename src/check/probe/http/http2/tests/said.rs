//! What an HTTP/2 check says.

use super::super::frame::PADDED;
use super::super::hpack::Decoder;
use super::*;

/// The frames behind the preface.
fn first_frames(http: &Http) -> Vec<Frame> {
    let said = said(http);
    frames(said.strip_prefix(PREFACE).expect("the preface"))
}

fn fields(frames: &[Frame]) -> Vec<String> {
    let of_block = |frame: &&Frame| matches!(frame.kind, Some(Kind::Headers | Kind::Continuation));
    let block: Vec<u8> =
        frames.iter().filter(of_block).flat_map(|frame| frame.payload.clone()).collect();
    let mut fields = Vec::new();
    let show = |name: &[u8], value: &[u8]| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        fields.push(format!("{}: {}", text(name), text(value)));
    };
    Decoder::default().decode(&block, show).expect("a block");
    fields
}

#[test]
fn a_get_is_settings_and_one_header_block() {
    let frames = first_frames(&plain());
    let kinds: Vec<_> = frames.iter().map(|f| (f.kind, f.flags, f.stream)).collect();
    let headers = (Some(Kind::Headers), END_HEADERS | END_STREAM, 1);
    assert_eq!(kinds, [(Some(Kind::Settings), 0, 0), headers]);
    let agent = concat!("user-agent: converge/", env!("CARGO_PKG_VERSION"));
    let wanted = [":method: GET", ":scheme: http", ":path: /", ":authority: 192.0.2.7:8080", agent];
    assert_eq!(fields(&frames), wanted);
}

#[test]
fn headers_become_those_of_http_2() {
    let given = [("Host", "www.example.com"), ("Connection", "close"), ("X-Own", "1")];
    let headers = given.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let frames = first_frames(&one(HttpVersion::V2, HttpRequest { headers, ..get("/") }));
    let fields = fields(&frames);
    assert_eq!(fields[3], ":authority: www.example.com");
    assert_eq!(fields[5..], ["x-own: 1"]);
}

#[test]
fn many_headers_go_on_in_further_frames() {
    let headers = vec![("a".to_owned(), "b".repeat(40_000))];
    let frames = first_frames(&one(HttpVersion::V2, HttpRequest { headers, ..get("/") }));
    let kinds: Vec<_> = frames[1..].iter().map(|f| (f.kind, f.flags)).collect();
    let (first, more) = (Some(Kind::Headers), Some(Kind::Continuation));
    assert_eq!(kinds, [(first, END_STREAM), (more, 0), (more, END_HEADERS)]);
    assert_eq!(fields(&frames)[5].len(), 40_003);
}

fn post(length: usize) -> Http {
    let body = vec![b'x'; length];
    one(HttpVersion::V2, HttpRequest { method: "POST".to_owned(), body, ..get("/") })
}

fn data(frames: &[Frame]) -> Vec<(usize, u8)> {
    let data = frames.iter().filter(|frame| frame.kind == Some(Kind::Data));
    data.map(|frame| (frame.payload.len(), frame.flags)).collect()
}

#[test]
fn a_body_follows_the_headers() {
    let frames = first_frames(&post(20_000));
    assert_eq!((frames[1].kind, frames[1].flags), (Some(Kind::Headers), END_HEADERS));
    assert!(fields(&frames).contains(&"content-length: 20000".to_owned()));
    assert_eq!(data(&frames), [(16384, 0), (3616, END_STREAM)]);
    assert_eq!(data(&first_frames(&post(0))), []);
}

#[test]
fn a_large_body_waits_for_both_windows() {
    let http = post(70_000);
    let sent: usize = data(&first_frames(&http)).iter().map(|(length, _)| length).sum();
    assert_eq!(sent, 65535);
    let by = |n: u32| n.to_be_bytes();
    let later = |answer: Answer| {
        let (told, out) = hear(&http, [answer.as_ref()], false);
        assert!(matches!(told, Told::Waits(_)), "{told:?}");
        data(&frames(&out))
    };
    let connection = Answer::new().frame(Kind::WindowUpdate, 0, 0, &by(4200));
    assert_eq!(later(connection.clone()), []);
    let stream = connection.clone().frame(Kind::WindowUpdate, 0, 1, &by(4000));
    assert_eq!(later(stream.clone()), [(4000, 0)]);
    let rest = stream.frame(Kind::WindowUpdate, 0, 1, &by(4000));
    assert_eq!(later(rest.clone()), [(4000, 0), (200, 0)]);
    let rest = rest.frame(Kind::WindowUpdate, 0, 0, &by(4000));
    assert_eq!(later(rest), [(4000, 0), (200, 0), (265, END_STREAM)]);
    // The settings move the window of the stream that is open.
    assert_eq!(later(connection.clone().settings(&[(4, 65535 + 10)])), [(10, 0)]);
    assert_eq!(later(connection.settings(&[(4, 0)]).settings(&[(4, 65536)])), [(1, 0)]);
}

/// What is said to this, as kind, flags, stream and payload.
fn replies(http: &Http, answer: Answer) -> Vec<(Kind, u8, u32, Vec<u8>)> {
    let (_, out) = hear(http, [answer.as_ref()], false);
    let shown = |frame: Frame| {
        (frame.kind.expect("a kind of ours"), frame.flags, frame.stream, frame.payload)
    };
    frames(&out).into_iter().map(shown).collect()
}

#[test]
fn settings_and_pings_are_acknowledged() {
    let answer = Answer::new().frame(Kind::Ping, 0, 0, b"12345678");
    let answer = answer.frame(Kind::Ping, ACK, 0, &[0; 8]).frame(Kind::Settings, ACK, 0, &[]);
    let settings = (Kind::Settings, ACK, 0, Vec::new());
    let ping = (Kind::Ping, ACK, 0, b"12345678".to_vec());
    assert_eq!(replies(&plain(), answer), [settings, ping]);
}

#[test]
fn windows_stay_as_wide_as_they_were() {
    let http = expecting(vec![Expectation::Md5("0".to_owned())]);
    let answer = Answer::new().headers("200", 0);
    let answer = answer.frame(Kind::Data, PADDED, 1, b"\x02body12").data(b"", 0);
    // Padding and its length count.
    let by = |stream| (Kind::WindowUpdate, 0, stream, vec![0, 0, 0, 7]);
    assert_eq!(replies(&http, answer)[1..], [by(0), by(1)]);
}
