//! HTTP checks of nginx, of Apache, and of servers that misbehave.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use converge::check::config::{
    Expectation, Http, HttpRequest, HttpVersion, Pattern, Protocol, Target, TlsStart,
};
use converge::check::outcome::{Evidence, Outcome};
use converge::check::probe::{Step, dialogue, http::digests};
use converge::track::config::Statuses;

use super::asking::{NAME, WELL};
use super::engine::{self, its_certificate_counts, tls};
use super::rogue::{Rogue, rogue};
use super::web::{Web, apache, large, nginx};
use super::{Talked, talk};
use crate::kinds::apart::skipped;

/// Longer than any answer takes that comes.
const PATIENCE: Duration = Duration::from_secs(20);
/// For answers that do not come; longer, where what comes before them did not come within it.
const IMPATIENCE: Duration = Duration::from_millis(300);

const VERSIONS: [HttpVersion; 3] = [HttpVersion::V10, HttpVersion::V11, HttpVersion::V2];

fn get(path: &str) -> HttpRequest {
    HttpRequest { status: Statuses(vec![(200, 299)]), ..HttpRequest::get(path) }
}

fn expecting(path: &str, expect: Expectation) -> HttpRequest {
    HttpRequest { expect: vec![expect], ..get(path) }
}

fn text(text: &str) -> Expectation {
    Expectation::Text(text.as_bytes().to_vec())
}

fn matches(text: &str) -> Expectation {
    Expectation::Matches(Pattern::new(text).expect("a pattern"))
}

/// Asks all of it, over as many connections as that takes. None is good.
fn ask(version: HttpVersion, requests: Vec<HttpRequest>, address: SocketAddr) -> Option<String> {
    match talked(version, requests, address, PATIENCE) {
        Talked::Asks(Step::Done(Outcome::Good(_))) => None,
        Talked::Asks(Step::Done(Outcome::Bad(failure))) => {
            assert_eq!(failure.evidence, Evidence::Answered, "{failure}");
            Some(failure.what)
        }
        other => panic!("{other:?}"),
    }
}

fn talked(
    version: HttpVersion,
    requests: Vec<HttpRequest>,
    address: SocketAddr,
    patience: Duration,
) -> Talked {
    let target = Target { address: address.ip(), port: address.port() };
    let protocol = Protocol::Http(Http { version, requests });
    let mut dialogue = dialogue(&protocol, &target, None, [0; 16]);
    loop {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(patience)).expect("a stream");
        match talk(dialogue.as_mut(), &mut stream) {
            Talked::Asks(Step::Again) => {}
            other => return other,
        }
    }
}

/// Asks a web server in every version: the same comes of it in each.
#[track_caller]
fn everywhere(web: &Web, request: &HttpRequest, wanted: Option<&str>) {
    for version in VERSIONS {
        let address = if version == HttpVersion::V2 { web.http2() } else { web.http1() };
        let failure = ask(version, vec![request.clone()], address);
        let log = web.log();
        assert_eq!(failure.as_deref(), wanted, "{version:?} {}\n{log}", request.path);
    }
}

/// What has to be so with every web server.
fn a_web_server_is_told_good_from_bad(web: &Web) {
    everywhere(web, &get("/"), None);
    everywhere(web, &expecting("/", text("is well")), None);
    everywhere(web, &expecting("/in.shtml", text("in chunks: /in.shtml: well")), None);
    everywhere(web, &expecting("/", matches("^<html>web[0-9] is well</html>\n$")), None);
    let head = HttpRequest { method: "HEAD".to_owned(), ..get("/large") };
    everywhere(web, &head, None);
    everywhere(web, &get("/none"), Some("status 404, not 200-299"));
    everywhere(web, &get("/broken"), Some("status 500, not 200-299"));
    everywhere(web, &get("/moved"), Some("status 302, not 200-299"));
    let wrong = expecting("/", text("is ill"));
    everywhere(web, &wrong, Some("the body does not hold \"is ill\""));
    let wrong = expecting("/empty", matches("."));
    everywhere(web, &wrong, Some("the body does not match /./"));
    let not = Expectation::MatchesNot(Pattern::new("web[0-9]").expect("a pattern"));
    everywhere(web, &expecting("/", not), Some("the body matches /web[0-9]/"));
}

fn a_large_page_is_read_by_its_digest(web: &Web) {
    let digests = digests(large().as_bytes());
    everywhere(web, &expecting("/large", Expectation::Md5(digests.md5)), None);
    everywhere(web, &expecting("/large", Expectation::Sha256(digests.sha256)), None);
    let wrong = expecting("/large", Expectation::Md5("00".repeat(16)));
    let told = format!("the body's MD5 is not {}", "00".repeat(16));
    everywhere(web, &wrong, Some(&told));
    let far = expecting("/large", text("line 19999\n"));
    let told = "the first 64 KiB of the body do not hold \"line 19999\\n\"";
    everywhere(web, &far, Some(told));
}

#[test]
fn nginx_is_told_good_from_bad() {
    let Some(web) = nginx() else { return };
    a_web_server_is_told_good_from_bad(&web);
    a_large_page_is_read_by_its_digest(&web);
}

#[test]
fn apache_is_told_good_from_bad() {
    let Some(web) = apache() else { return };
    a_web_server_is_told_good_from_bad(&web);
    a_large_page_is_read_by_its_digest(&web);
}

#[test]
fn both_are_asked_under_tls_and_over_ipv6() {
    for web in [nginx(), apache()].into_iter().flatten() {
        for version in VERSIONS {
            let requests = vec![expecting("/", text("is well"))];
            let protocol = Protocol::Http(Http { version, requests });
            let (secure, trusted) = (web.https(), web.certificate());
            its_certificate_counts(&protocol, TlsStart::AtOnce, secure, &trusted);
            let covered = Some(tls(TlsStart::AtOnce, NAME, &trusted));
            let six = engine::ask(&protocol, covered, web.over_six(secure));
            assert_eq!(six, WELL, "{version:?} {}", web.log());
            let open = if version == HttpVersion::V2 { web.http2() } else { web.http1() };
            let six = engine::ask(&protocol, None, web.over_six(open));
            assert_eq!(six, WELL, "{version:?} {}", web.log());
        }
    }
}

#[test]
fn long_headers_trailers_and_what_could_be_pushed_are_no_harm() {
    for (web, paths) in
        [(nginx(), &["/long", "/trailed", "/pushed"][..]), (apache(), &["/long", "/pushed"][..])]
    {
        let Some(web) = web else { return };
        for path in paths {
            everywhere(&web, &expecting(path, text("is well")), None);
            everywhere(&web, &expecting(path, text("is ill")), Some(NOT_ILL));
        }
    }
}

const NOT_ILL: &str = "the body does not hold \"is ill\"";

#[test]
fn a_digest_is_what_genhash_of_keepalived_prints() {
    let Some(web) = nginx() else { return };
    let at = web.http1();
    let (host, port) = (at.ip().to_string(), at.port().to_string());
    for path in ["/", "/large", "/in.shtml", "/none"] {
        let mut genhash = Command::new("genhash");
        let output = genhash.args(["-s", &host, "-p", &port, "-u", path]).output();
        let Ok(output) = output else {
            return skipped("a test of checks", "genhash is missing: apt-get install keepalived");
        };
        let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert_eq!(printed.len(), 32, "{printed} {}", String::from_utf8_lossy(&output.stderr));
        let any = Statuses(vec![(200, 499)]);
        let request = HttpRequest { status: any, ..expecting(path, Expectation::Md5(printed)) };
        everywhere(&web, &request, None);
    }
}

#[test]
fn nginx_sees_what_was_asked() {
    let Some(web) = nginx() else { return };
    let agent = concat!("converge/", env!("CARGO_PKG_VERSION"));
    let own = vec![("X-Own".to_owned(), "own".to_owned())];
    let body = vec![b'x'; 100_000];
    for (version, protocol) in VERSIONS.into_iter().zip(["1.0", "1.1", "2.0"]) {
        let address = if version == HttpVersion::V2 { web.http2() } else { web.http1() };
        let host = Some("web.example".to_owned());
        let seen = text(&format!("GET web.example HTTP/{protocol} {agent} own "));
        let request = HttpRequest { host, headers: own.clone(), ..expecting("/seen", seen) };
        assert_eq!(ask(version, vec![request], address), None);
        let other = HttpRequest {
            host: Some("www.example.com".to_owned()),
            ..expecting("/", text("the other host"))
        };
        assert_eq!(ask(version, vec![other], address), None);
        // nginx hands the body on when it has all of it, which takes windows in HTTP/2.
        let seen = matches(" own 100000$");
        let upload = HttpRequest {
            method: "POST".to_owned(),
            body: body.clone(),
            headers: own.clone(),
            ..expecting("/upload", seen)
        };
        assert_eq!(ask(version, vec![upload], address), None, "{version:?}");
    }
}

#[test]
fn several_pages_of_nginx_all_have_to_be_good() {
    let Some(web) = nginx() else { return };
    let good = vec![get("/"), expecting("/large", text("line 7")), get("/empty")];
    assert_eq!(ask(HttpVersion::V11, good.clone(), web.http1()), None);
    assert_eq!(ask(HttpVersion::V2, good.clone(), web.http2()), None);
    let bad = [good, vec![get("/none")]].concat();
    let failure = ask(HttpVersion::V11, bad, web.http1());
    assert_eq!(failure.as_deref(), Some("/none: status 404, not 200-299"));
}

#[test]
fn a_slow_page_of_nginx_is_good_if_only_its_status_counts() {
    let Some(web) = nginx() else { return };
    for (version, address) in [(HttpVersion::V11, web.http1()), (HttpVersion::V2, web.http2())] {
        let begun = Instant::now();
        assert_eq!(ask(version, vec![get("/slow")], address), None);
        // All of it takes 100 s.
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        let late = expecting("/slow", text("line 19999"));
        // On a busy computer nothing at all may have come.
        let found = (0..20).find_map(|_| {
            let asked = talked(version, vec![late.clone()], address, IMPATIENCE);
            let Talked::Broke(kind, far) = asked else { panic!("it takes 100 s") };
            assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{kind}");
            far.starts_with("status 200 came, but the body did not end").then_some(())
        });
        assert_eq!(found, Some(()));
    }
}

#[test]
fn the_wrong_version_is_named() {
    let Some(web) = apache() else { return };
    let failure = ask(HttpVersion::V2, vec![get("/")], web.http1());
    assert_eq!(failure.as_deref(), Some("the server speaks HTTP/1, not HTTP/2"));
    let Some(web) = nginx() else { return };
    let failure = ask(HttpVersion::V11, vec![get("/")], web.http2()).expect("not HTTP/1");
    assert!(failure.starts_with("the answer is not HTTP: "), "{failure}");
    let failure = ask(HttpVersion::V2, vec![get("/")], web.http1()).expect("not HTTP/2");
    assert!(failure.contains("not HTTP/2"), "{failure}");
}

/// What a rogue server is told, with a text expected of the body.
fn of(how: Rogue, version: HttpVersion, patience: Duration) -> Talked {
    talked(version, vec![expecting("/", text("ok"))], rogue(how), patience)
}

#[track_caller]
fn bad(how: Rogue, version: HttpVersion, wanted: &str) {
    match of(how, version, PATIENCE) {
        Talked::Asks(Step::Done(Outcome::Bad(failure))) => assert_eq!(failure.what, wanted),
        other => panic!("{other:?}, not {wanted}"),
    }
}

#[track_caller]
fn breaks(how: Rogue, version: HttpVersion, wanted: &str) {
    let mut patience = IMPATIENCE;
    loop {
        match of(how, version, patience) {
            Talked::Broke(_, far) if far == wanted => return,
            // On a busy computer it had not said it yet.
            Talked::Broke(..) if patience < PATIENCE => patience *= 4,
            other => panic!("{other:?}, not {wanted}"),
        }
    }
}

#[test]
fn a_server_without_end_is_bad() {
    let one = HttpVersion::V11;
    let long = "the header section is longer than 64 KiB";
    bad(Rogue::Repeats(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"), one, long);
    bad(Rogue::Repeats(b"HTTP/1.1 200 ", b"a"), one, long);
    let body = "the first 64 KiB of the body do not hold \"ok\"";
    bad(Rogue::Repeats(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), one, body);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    bad(Rogue::Repeats(chunked, b"1\r\nx\r\n"), one, body);
    let pings = b"\0\0\x08\x06\0\0\0\0\0pingping";
    let idle = "HTTP/2: frame after frame that brings nothing";
    bad(Rogue::Repeats(b"\0\0\0\x04\0\0\0\0\0", pings), HttpVersion::V2, idle);
}

#[test]
fn a_server_that_closes_or_talks_nonsense_is_bad() {
    for version in VERSIONS {
        bad(Rogue::Says(b""), version, "the connection was closed without an answer");
    }
    let garbage = b"\xff\xfe\0\x80\r\n";
    bad(
        Rogue::Says(garbage),
        HttpVersion::V11,
        "the answer is not HTTP: \"\\xff\\xfe\\u{0}\\x80\"",
    );
    let two = "the answer is not HTTP/2: \"\\xff\\xfe\\u{0}\\x80\\r\\n\"";
    bad(Rogue::Says(garbage), HttpVersion::V2, two);
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    bad(Rogue::Says(half), HttpVersion::V11, "the connection was closed within the body");
}

#[test]
fn of_a_server_that_stalls_or_resets_it_is_said_how_far_it_got() {
    let nothing = "connected, but no answer came";
    for version in VERSIONS {
        breaks(Rogue::Stalls(b""), version, nothing);
        breaks(Rogue::Resets(b""), version, nothing);
    }
    let head = "the header section did not end";
    breaks(Rogue::Stalls(b"HTTP/1.1 200 OK\r\n"), HttpVersion::V11, head);
    breaks(Rogue::Resets(b"HTTP/1.1 200 OK\r\n"), HttpVersion::V11, head);
    let greeted = "the server speaks HTTP/2, but no answer came";
    breaks(Rogue::Stalls(b"\0\0\0\x04\0\0\0\0\0"), HttpVersion::V2, greeted);
}
