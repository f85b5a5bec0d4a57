//! The probe against small servers on loopback: who answers, what fails, and how long.

mod server;

use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use converge::probe::Report;
use converge::probe::beat::{self, Beat};
use converge::probe::client::{BODY, Client, Manner};
use converge::probe::target::Target;

use server::{Answer, Server};

/// What a busy machine with two cores may add to a duration.
const SLACK_MS: f64 = 150.0;

const BURST: Beat = Beat { interval: None, count: Some(20), length: None, concurrency: None };

fn manner() -> Manner {
    Manner {
        timeout: Duration::from_millis(500),
        insecure: false,
        keep_alive: false,
        follow: false,
    }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn every(interval: Duration, count: u64) -> Beat {
    Beat { interval: Some(interval), count: Some(count), length: None, concurrency: None }
}

async fn probe_as(url: &str, beat: Beat, manner: Manner) -> Report {
    let target: Target = url.parse().expect("a target");
    let client = Arc::new(Client::new(&target, &manner).expect("a client"));
    let run = beat::run(client, beat, pending(), |_, _| {}).await;
    Report::new(target.to_string(), &run.tally, run.duration)
}

async fn probe(url: &str, beat: Beat) -> Report {
    probe_as(url, beat, manner()).await
}

#[track_caller]
fn assert_all_failed_as(report: &Report, kind: &str) {
    let counted: Vec<(&str, u64)> = report.errors.iter().map(|(k, n)| (k.as_str(), *n)).collect();
    assert_eq!(counted, [(kind, report.requests)], "{:?}", report.error_details);
    assert!(!report.all_ok());
}

#[tokio::test]
async fn servers_that_take_turns_have_equal_shares() {
    let web1 = Answer::page("HTTP/1.1 200 OK\r\nx-served-by: web1\r\n", "hello");
    let web2 = Answer::page("HTTP/1.1 200 OK\r\n", "<h1>web2</h1>\n<p>hello</p>");
    let server = Server::start("127.0.0.1:0", vec![web1, web2]).await;
    let report = probe(&server.url(), BURST).await;
    let shares: Vec<(&str, u64)> = report.servers.iter().map(|(s, n)| (s.as_str(), *n)).collect();
    assert_eq!(shares, [("web1", 10), ("web2", 10)]);
    assert!(report.all_ok(), "{report}");
    assert!(report.latency_ms.is_some_and(|l| l.min > 0.0 && l.min <= l.median && l.p99 <= l.max));
}

#[tokio::test]
async fn each_request_has_a_connection_of_its_own_unless_told_otherwise() {
    let server = Server::start("127.0.0.1:0", vec![Answer::ok("web1")]).await;
    probe(&server.url(), BURST).await;
    assert_eq!(server.connections(), 20);
    let kept = probe_as(&server.url(), BURST, Manner { keep_alive: true, ..manner() }).await;
    assert!(kept.all_ok(), "{kept}");
    assert_eq!(server.connections(), 21);
}

#[tokio::test]
async fn failures_are_told_apart() {
    for (answer, kind) in [
        (Answer::Reset, "reset"),
        (Answer::Close, "closed"),
        (Answer::page("SSH-2.0-OpenSSH_9.2\r\n", ""), "garbage"),
        (Answer::Hang, "timeout"),
        (Answer::page("HTTP/1.1 503 Busy\r\n", "busy"), "status_503"),
        // Says 100 bytes, sends 4 and closes.
        (Answer::Raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".into()), "closed"),
        (Answer::Slow, "timeout"),
    ] {
        let server = Server::start("127.0.0.1:0", vec![answer]).await;
        let beat = Beat { count: Some(3), ..BURST };
        assert_all_failed_as(&probe(&server.url(), beat).await, kind);
    }
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_refuses() {
    let url = Server::start("127.0.0.1:0", vec![]).await.url();
    let report = probe(&url, every(ms(2), 50)).await;
    assert_all_failed_as(&report, "refused");
    assert_eq!(report.gaps.len(), 1);
    assert_eq!(report.gaps[0].lost, 50);
    let port = url.trim_start_matches("http://").trim_end_matches('/');
    assert_all_failed_as(&probe(&format!("tcp://{port}"), BURST).await, "refused");
}

#[tokio::test]
async fn a_name_without_an_address_is_no_fault_of_the_vip() {
    let beat = Beat { count: Some(1), ..BURST };
    let patient = Manner { timeout: ms(30_000), ..manner() };
    for url in ["http://no-such-host.invalid/", "tcp://no-such-host.invalid:80"] {
        assert_all_failed_as(&probe_as(url, beat, patient.clone()).await, "unresolved");
    }
}

#[tokio::test]
async fn plain_http_where_tls_is_expected_is_a_tls_failure() {
    let server = Server::start("127.0.0.1:0", vec![Answer::page("HTTP/1.1 400 Bad\r\n", "")]).await;
    let report = probe(&server.url().replace("http:", "https:"), BURST).await;
    assert_all_failed_as(&report, "tls");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let away = Answer::page("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n", "web1");
    let server = Server::start("127.0.0.1:0", vec![away]).await;
    let report = probe(&server.url(), BURST).await;
    assert_eq!(report.servers["web1"], 20);
    let followed = probe_as(&server.url(), BURST, Manner { follow: true, ..manner() }).await;
    assert_all_failed_as(&followed, "refused");
}

#[tokio::test]
async fn a_body_that_never_ends_is_read_up_to_the_cap() {
    let server = Server::start("127.0.0.1:0", vec![Answer::Endless]).await;
    let beat = Beat { count: Some(2), ..BURST };
    let report = probe_as(&server.url(), beat, Manner { timeout: ms(10_000), ..manner() }).await;
    assert_eq!(report.servers["endless"], 2, "{report}");
    // The kernel's buffers hold some more than was read.
    assert!(server.bytes() < 2 * (BODY as u64 + (16 << 20)), "{}", server.bytes());
}

#[tokio::test]
async fn ipv6_is_asked_as_ipv4_is() {
    let server = Server::start("[::1]:0", vec![Answer::ok("web6")]).await;
    assert_eq!(probe(&server.url(), BURST).await.servers["web6"], 20);
    let tcp = server.url().replace("http:", "tcp:");
    let report = probe(&tcp, BURST).await;
    assert_eq!(report.servers.values().sum::<u64>(), 20, "{report}");
    assert!(report.servers.keys().all(|name| name.starts_with("[::1]:")), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_hangs_does_not_delay_the_next() {
    let mut answers = vec![Answer::ok("web1"); 9];
    answers.push(Answer::Hang);
    let server = Server::start("127.0.0.1:0", answers).await;
    let start = Instant::now();
    let patient = Manner { timeout: ms(3_000), ..manner() };
    let report = probe_as(&server.url(), every(ms(5), 100), patient).await;
    assert_eq!((report.ok, report.errors["timeout"]), (90, 10), "{report}");
    // 100 requests 5 ms apart and one time limit; one after the other, they would take 30 s.
    assert!(start.elapsed() < ms(500 + 3_000 + 5_000), "{:?}", start.elapsed());
    assert!(report.longest_gap_ms < 10.0 + SLACK_MS + report.late_ms, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_measured_to_the_millisecond() {
    let server = Server::start("127.0.0.1:0", vec![Answer::ok("web1")]).await;
    let url = server.url();
    let patient = Manner { timeout: ms(10_000), ..manner() };
    let probing = async move { probe_as(&url, every(ms(1), 900), patient).await };
    let probing = tokio::spawn(probing);
    tokio::time::sleep(ms(300)).await;
    let (address, down) = (server.address(), Instant::now());
    server.stop().await;
    tokio::time::sleep(ms(200)).await;
    let _back = Server::start(&address.to_string(), vec![Answer::ok("web1")]).await;
    let outage = down.elapsed().as_secs_f64() * 1000.0;
    let report = probing.await.expect("the probe ends");
    let off = report.longest_gap_ms - outage;
    // The gap holds the outage, the way to it and back, and what this machine was late.
    assert!(off.abs() < 5.0 + report.late_ms + 20.0, "{outage} ms was down\n{report}");
    assert!(report.gaps.iter().any(|gap| gap.lost > 50), "{report}");
    assert!(report.errors.keys().all(|kind| kind == "refused" || kind == "reset"), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_whose_requests_all_answer_late_is_a_gap_too() {
    let server = Server::start("127.0.0.1:0", vec![Answer::ok("web1")]).await;
    let url = server.url();
    let patient = Manner { timeout: ms(10_000), ..manner() };
    let probing = async move { probe_as(&url, every(ms(2), 300), patient).await };
    let probing = tokio::spawn(probing);
    tokio::time::sleep(ms(200)).await;
    server.hold(ms(250)).await;
    let report = probing.await.expect("the probe ends");
    assert_eq!(report.error_count, 0, "{report}");
    assert!(report.longest_gap_ms > 240.0, "{report}");
    assert!(report.longest_gap_ms < 250.0 + SLACK_MS + report.late_ms, "{report}");
}

#[tokio::test]
async fn a_beat_with_too_many_waiting_says_what_it_did_not_send() {
    let server = Server::start("127.0.0.1:0", vec![Answer::Hang]).await;
    let two = NonZeroUsize::new(2);
    let report = probe(&server.url(), Beat { concurrency: two, ..every(ms(10), 20) }).await;
    assert_eq!((report.requests, report.skipped), (2, 18), "{report}");
}

#[tokio::test]
async fn a_run_that_is_interrupted_reports_what_it_has() {
    let server = Server::start("127.0.0.1:0", vec![Answer::ok("web1"), Answer::Hang]).await;
    let target: Target = server.url().parse().expect("a target");
    let client = Client::new(&target, &Manner { timeout: ms(60_000), ..manner() });
    let client = Arc::new(client.expect("a client"));
    let endless = Beat { count: None, ..BURST };
    let run = beat::run(client, endless, tokio::time::sleep(ms(200)), |_, _| {}).await;
    assert_eq!((run.tally.ok(), run.tally.failed()), (1, 0));
    assert!(run.tally.longest() > ms(150), "{:?}", run.tally.longest());
}

#[tokio::test]
async fn a_timed_run_stops_sending_in_time() {
    let server = Server::start("127.0.0.1:0", vec![Answer::ok("web1")]).await;
    let timed = Beat { count: None, length: Some(ms(200)), ..every(ms(10), 0) };
    let report = probe(&server.url(), timed).await;
    assert!((10..=20).contains(&report.requests), "{report}");
    assert!(report.duration_ms >= 190.0, "{report}");
}
