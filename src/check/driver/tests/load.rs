//! Thousands of targets at the same time: all are made, in time, within bounds, and cheaply.

use std::fs;
use std::io::{Read, Write};
use std::thread;

use super::servers::*;
use super::*;
use crate::check::config::{Http, HttpRequest, HttpVersion};

/// Targets on different addresses with one port.
fn targets(count: usize, port: u16) -> impl Iterator<Item = SocketAddr> {
    let address =
        |n: usize| [127, 16 + (n / 62_500) as u8, (n / 250 % 250) as u8, (n % 250) as u8 + 1];
    (0..count).map(move |n| SocketAddr::from((address(n), port)))
}

#[test]
fn five_thousand_servers_are_all_found_and_one_descriptor_at_a_time_is_enough() {
    let port = saying("").port();
    for (at_once, count) in [(100_000, 5_000), (1, 500)] {
        let checks =
            targets(count, port).map(|at| CheckConfig { timing: timing(4_000), ..look(at) });
        let mut driven = Driven::limited(checks, at_once);
        driven.until_all(State::Up, count);
        thread::sleep(Duration::from_secs(5));
        let status = driven.checks.status();
        assert!(status.sockets <= at_once, "{}", status.sockets);
        assert_eq!((status.unmade, status.tally.skipped), (0, 0), "{at_once}");
    }
}

#[test]
#[ignore = "measures CPU time; only of use in a release build, on a host that does nothing else"]
fn a_look_at_a_port_costs() {
    let port = saying("").port();
    for count in [1_000, 10_000] {
        measure("tcp", count, targets(count, port).map(look));
    }
}

#[test]
#[ignore = "measures CPU time; only of use in a release build, on a host that does nothing else"]
fn a_page_costs() {
    let port = pages();
    for count in [1_000, 10_000] {
        measure("http", count, targets(count, port).map(page));
    }
}

fn page(at: SocketAddr) -> CheckConfig {
    let request = HttpRequest::get("/");
    let http = Http { version: HttpVersion::V11, requests: vec![request] };
    check(at, Probe::Speak { protocol: Protocol::Http(http), tls: None })
}

/// A server of one page, one after the other.
fn pages() -> u16 {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    for _ in 0..2 {
        let listener = listener.try_clone().expect("a descriptor");
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            for mut stream in listener.incoming().flatten() {
                let _read = stream.read(&mut buffer);
                let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                stream.write_all(head).ok();
            }
        });
    }
    port
}

/// Every second, for ten seconds after the first round.
fn measure(what: &str, count: usize, checks: impl Iterator<Item = CheckConfig>) {
    let checks = checks.map(|check| CheckConfig { timing: timing(1_000), ..check });
    let mut driven = Driven::start(checks);
    driven.until_all(State::Up, count);
    thread::sleep(Duration::from_secs(2));
    let (before, spent) = (driven.checks.status().tally, spent());
    thread::sleep(Duration::from_secs(10));
    let (after, spent) = (driven.checks.status().tally, super::load::spent() - spent);
    let made = after.made - before.made;
    println!(
        "{what} {count}: {:.2} µs each, {:.3} cores, {} made of {}, latest {:?}, 99 % {:?}, {} kB",
        spent.as_secs_f64() * 1e6 / made as f64,
        spent.as_secs_f64() / 10.0,
        made,
        after.asked() - before.asked(),
        after.latest(),
        after.late(990),
        resident(),
    );
}

/// CPU time of the thread that makes checks.
fn spent() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("threads").flatten();
    let is_it = |path: &std::path::PathBuf| {
        fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "checks")
    };
    let nanos = |path: std::path::PathBuf| -> Option<u64> {
        fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    let all = tasks.map(|task| task.path()).filter(is_it).filter_map(nanos);
    Duration::from_nanos(all.max().unwrap_or(0))
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}
