//! Ports, pages and carriers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;

use converge::track::config::Statuses;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::kinds::apart;

async fn listener(at: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(at).await.expect("a port");
    let at = listener.local_addr().expect("its address");
    (listener, at)
}

#[tokio::test]
async fn a_port_is_good_as_long_as_it_takes_connections() {
    let (first, at) = listener("127.0.0.1:0").await;
    let mut watched = Watched::new(track(Watch::Tcp(at)));
    watched.until_good().await;
    drop(first);
    assert_eq!(watched.until_bad().await, "connection refused");
    assert_eq!(watched.faults(), [format!("tcp {at}: connection refused")]);
    let _second = TcpListener::bind(at).await.expect("the same port");
    watched.until_good().await;
}

#[tokio::test]
async fn one_lost_connection_moves_nothing_where_several_are_asked_for() {
    let (first, at) = listener("127.0.0.1:0").await;
    let mut port = track(Watch::Tcp(at));
    (port.rise, port.fall) = (NonZeroU8::new(3).expect("3"), NonZeroU8::new(4).expect("4"));
    let mut watched = Watched::new(port);
    // The first look decides, whatever rise says.
    watched.until_good().await;
    drop(first);
    let start = Instant::now();
    watched.until_bad().await;
    assert!(start.elapsed() >= 3 * BEAT - Duration::from_millis(5), "{:?}", start.elapsed());
}

/// Answers each request with the status that is set; 0 says nothing at all.
fn serve(listener: TcpListener, status: Arc<AtomicU16>) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let status = Arc::clone(&status);
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let n = stream.read(&mut request).await.unwrap_or(0);
                assert!(request[..n].starts_with(b"GET /health HTTP/1.1\r\n"));
                match status.load(Ordering::Relaxed) {
                    0 => std::future::pending().await,
                    status => {
                        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
                        stream.write_all(head.as_bytes()).await.ok();
                    }
                }
            });
        }
    })
}

#[tokio::test]
async fn a_page_is_good_as_long_as_its_status_is() {
    let (listener, at) = listener("127.0.0.1:0").await;
    let status = Arc::new(AtomicU16::new(204));
    let server = serve(listener, Arc::clone(&status));
    let url = format!("http://{at}/health");
    let wanted = Statuses(vec![(200, 299)]);
    let mut page = track(Watch::Http { url: url.clone(), status: wanted });
    page.timeout = Duration::from_millis(500);
    let mut watched = Watched::new(page);
    watched.until_good().await;
    for (answer, words) in [(503, "status 503"), (302, "status 302"), (0, "no answer within 500ms")]
    {
        status.store(answer, Ordering::Relaxed);
        assert_eq!(watched.until_bad_as(words).await, words);
    }
    assert_eq!(watched.faults(), [format!("http {url}: no answer within 500ms")]);
    status.store(200, Ordering::Relaxed);
    watched.until_good().await;
    server.abort();
    watched.until_bad_as("efused").await;
}

#[test]
fn an_interface_is_good_as_long_as_it_has_a_carrier() {
    let name = "track::network::an_interface_is_good_as_long_as_it_has_a_carrier";
    apart::in_namespace(name, async |_| {
        let sh = |line: &str| {
            let status = std::process::Command::new("sh").args(["-c", line]).status();
            assert!(status.expect("a shell").success(), "{line}");
        };
        let mut interface = track(Watch::Interface("one".into()));
        // Nothing of what follows is heard of on the beat.
        interface.every = Duration::from_secs(3600);
        let mut watched = Watched::new(interface);
        assert_eq!(watched.until_bad().await, "there is no such interface");
        sh("ip link add one type veth peer name other && ip link set other up");
        watched.until_bad_as("down").await;
        sh("ip link set one up");
        watched.until_good().await;
        sh("ip link set other down");
        assert_eq!(watched.until_bad().await, "no carrier");
        assert_eq!(watched.faults(), ["interface one: no carrier"]);
        assert!(watched.tracker.condition(&router()).unreachable, "it is the router's own");
        sh("ip link set other up");
        watched.until_good().await;
        sh("ip link del one");
        watched.until_bad_as("there is no such interface").await;
    });
}
