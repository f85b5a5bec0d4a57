//! What an HTTP check says to the server.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::check::config::{Tls, TlsStart};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn lines(http: &Http, target: &Target, tls: Option<&Tls>) -> Vec<String> {
    let mut out = Vec::new();
    Talk::new(http, target, tls).open(&mut out);
    let text = String::from_utf8(out).expect("text");
    text.split("\r\n").map(str::to_owned).collect()
}

fn host(address: &str, port: u16, tls: Option<&Tls>) -> Option<String> {
    let target = Target { address: address.parse().expect("an address"), port };
    let lines = lines(&one(HttpVersion::V11, get("/")), &target, tls);
    lines.iter().find_map(|line| line.strip_prefix("Host: ").map(str::to_owned))
}

fn tls(name: Option<&str>) -> Tls {
    Tls {
        start: TlsStart::AtOnce,
        name: name.map(str::to_owned),
        verify: true,
        ca: None::<PathBuf>,
        warn_before: Duration::ZERO,
    }
}

#[test]
fn a_get_says_no_more_than_it_has_to() {
    let agent = format!("User-Agent: converge/{VERSION}");
    let lines = lines(&one(HttpVersion::V11, get("/a?b=c")), &target(), None);
    let wanted = ["GET /a?b=c HTTP/1.1", "Host: 192.0.2.7:8080", "Connection: close", &agent];
    assert_eq!(lines, [&wanted[..], &["", ""]].concat());
}

#[test]
fn http_1_0_has_no_host_unless_one_is_given_or_tls_asks_for_a_name() {
    let mut request = get("/");
    let host_of = |request: &HttpRequest, tls: Option<&Tls>| {
        let lines = lines(&one(HttpVersion::V10, request.clone()), &target(), tls);
        assert_eq!(lines[0], "GET / HTTP/1.0");
        lines.into_iter().find(|line| line.starts_with("Host"))
    };
    assert_eq!(host_of(&request, None), None);
    assert_eq!(host_of(&request, Some(&tls(None))), None);
    let named = tls(Some("www.example.com"));
    assert_eq!(host_of(&request, Some(&named)).as_deref(), Some("Host: www.example.com:8080"));
    request.host = Some("www.example.org".to_owned());
    assert_eq!(host_of(&request, None).as_deref(), Some("Host: www.example.org"));
    assert_eq!(host_of(&request, Some(&named)).as_deref(), Some("Host: www.example.org"));
}

#[test]
fn the_host_is_the_given_one_or_the_name_or_the_address() {
    let (named, nameless) = (tls(Some("www.example.com")), tls(None));
    assert_eq!(host("192.0.2.7", 80, None).as_deref(), Some("192.0.2.7"));
    assert_eq!(host("192.0.2.7", 443, None).as_deref(), Some("192.0.2.7:443"));
    assert_eq!(host("2001:db8::7", 8080, None).as_deref(), Some("[2001:db8::7]:8080"));
    assert_eq!(host("192.0.2.7", 443, Some(&nameless)).as_deref(), Some("192.0.2.7"));
    assert_eq!(host("192.0.2.7", 443, Some(&named)).as_deref(), Some("www.example.com"));
    assert_eq!(host("192.0.2.7", 8443, Some(&named)).as_deref(), Some("www.example.com:8443"));
    let given = HttpRequest { host: Some("other.example".to_owned()), ..get("/") };
    let lines = lines(&one(HttpVersion::V11, given), &target(), Some(&named));
    assert!(lines.contains(&"Host: other.example".to_owned()), "{lines:?}");
}

#[test]
fn given_headers_take_the_place_of_ours() {
    let given = [("host", "h"), ("USER-AGENT", "u"), ("connection", "Upgrade"), ("X-Own", "1")];
    let headers = given.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let request = HttpRequest { headers, host: Some("unused".to_owned()), ..get("/") };
    let lines = lines(&one(HttpVersion::V11, request), &target(), None);
    let wanted = ["host: h", "USER-AGENT: u", "connection: Upgrade", "X-Own: 1", "", ""];
    assert_eq!(lines[1..], wanted);
}

#[test]
fn a_body_comes_with_its_length() {
    let post = |method: &str, body: &str| {
        let request = HttpRequest { method: method.into(), body: body.into(), ..get("/") };
        let lines = lines(&one(HttpVersion::V11, request), &target(), None);
        let length = lines.iter().find(|line| line.starts_with("Content-Length"));
        (length.cloned(), lines.last().cloned().unwrap_or_default())
    };
    assert_eq!(post("POST", "a=1"), (Some("Content-Length: 3".into()), "a=1".into()));
    assert_eq!(post("POST", ""), (Some("Content-Length: 0".into()), String::new()));
    assert_eq!(post("QUERY", "q"), (Some("Content-Length: 1".into()), "q".into()));
    assert_eq!(post("GET", ""), (None, String::new()));
    let headers = vec![("transfer-encoding".to_owned(), "chunked".to_owned())];
    let body = b"0\r\n\r\n".to_vec();
    let own = HttpRequest { method: "POST".into(), headers, body, ..get("/") };
    let lines = lines(&one(HttpVersion::V11, own), &target(), None);
    assert!(!lines.iter().any(|line| line.starts_with("Content-Length")), "{lines:?}");
}

#[test]
fn a_path_gets_the_slash_that_it_lacks() {
    let first = |method: &str, path: &str| {
        let request = HttpRequest { method: method.to_owned(), ..get(path) };
        lines(&one(HttpVersion::V11, request), &target(), None)[0].clone()
    };
    assert_eq!(first("GET", "index.html"), "GET /index.html HTTP/1.1");
    assert_eq!(first("GET", ""), "GET / HTTP/1.1");
    assert_eq!(first("OPTIONS", "*"), "OPTIONS * HTTP/1.1");
    assert_eq!(first("GET", "http://a.example/"), "GET http://a.example/ HTTP/1.1");
    assert_eq!(first("CONNECT", "a.example:80"), "CONNECT a.example:80 HTTP/1.1");
}

#[test]
fn several_requests_are_made_one_after_the_other_and_the_bad_one_is_named() {
    let requests = vec![get("/a"), get("/b"), get("/c")];
    let http = Http { version: HttpVersion::V11, requests };
    let mut talk = Talk::new(&http, &target(), None);
    let mut next = |answer: &str| {
        let mut out = Vec::new();
        assert_eq!(talk.open(&mut out), Step::More);
        let line = String::from_utf8_lossy(&out).lines().next().map(str::to_owned);
        assert!(talk.so_far().ends_with(": connected, but no answer came"), "{}", talk.so_far());
        (line.unwrap_or_default(), talk.feed(answer.as_bytes(), &mut out))
    };
    let good = "HTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(next(good), ("GET /a HTTP/1.1".to_owned(), Step::Again));
    assert_eq!(next(good), ("GET /b HTTP/1.1".to_owned(), Step::Again));
    let (line, step) = next("HTTP/1.1 503 Service Unavailable\r\n\r\n");
    let Step::Done(Outcome::Bad(failure)) = step else { panic!("{step:?}") };
    assert_eq!(line, "GET /c HTTP/1.1");
    assert_eq!(failure.what, "/c: status 503, not 200-399");
}

#[test]
fn all_of_several_have_to_be_good() {
    let http = Http { version: HttpVersion::V11, requests: vec![get("/a"), get("/b")] };
    let mut talk = Talk::new(&http, &target(), None);
    let good = b"HTTP/1.1 200 OK\r\n\r\n";
    for wanted in [Step::Again, Step::Done(Outcome::Good(Default::default()))] {
        talk.open(&mut Vec::new());
        assert_eq!(talk.feed(good, &mut Vec::new()), wanted);
    }
}

#[test]
fn nothing_to_ask_for_is_not_the_servers_fault() {
    let http = Http { version: HttpVersion::V2, requests: Vec::new() };
    let step = Talk::new(&http, &target(), None).open(&mut Vec::new());
    assert!(matches!(step, Step::Done(Outcome::Unmade(_))), "{step:?}");
}
