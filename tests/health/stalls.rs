//! A director that stands still, as a whole or with the thread that checks alone.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use converge::pool::standing::Standing;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use serde_json::Value;

use super::blindness::{held, never_left, pair};
use super::site::{PROXIED, director, proxied, segment_with_nginx, until, until_well};
use super::web::Web;
use crate::failover::node::Node;
use crate::failover::segment::PATIENCE;

const CHECK: &str = "kind = \"http\"\nevery = \"500ms\"\n";

/// A thread that is not run as long as this is there.
struct Held(Pid);

impl Held {
    /// The thread of that name.
    fn new(node: &Node<'_>, name: &str) -> Held {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", node.pid())).expect("it runs");
        let is_it = |path: &std::path::Path| {
            std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name)
        };
        let mut paths = tasks.filter_map(|task| Some(task.ok()?.path()));
        let path = paths.find(|path| is_it(path)).expect("there is such a thread");
        let number = path.file_name().and_then(|number| number.to_str()?.parse().ok());
        let thread = Pid::from_raw(number.expect("a number"));
        ptrace::seize(thread, Options::empty()).expect("may trace a child");
        ptrace::interrupt(thread).expect("it stops");
        waitpid(thread, Some(WaitPidFlag::__WALL)).expect("it has stopped");
        Held(thread)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // If it has ended, nobody but its tracer can let it go.
        if ptrace::detach(self.0, None).is_err() {
            waitpid(self.0, Some(WaitPidFlag::__WALL)).ok();
        }
    }
}

/// How a director makes its checks.
fn checks(node: &Node<'_>) -> Value {
    let shown = node.converge("servers -o json").stdout;
    let mut shown: Value = serde_json::from_slice(&shown).expect("JSON");
    shown["checks"].take()
}

#[test]
fn a_thread_that_does_not_check_has_the_vip_go_to_a_director_that_does() {
    let Some((segment, _webs)) = segment_with_nginx() else { return };
    let (a, b) = pair(&segment, CHECK);
    let end = Instant::now() + PATIENCE;
    while checks(&a)["made"].as_u64().is_none_or(|made| made == 0) {
        assert!(Instant::now() < end, "{}", checks(&a));
        sleep(Duration::from_millis(200));
    }
    assert!(checks(&a)["stalled"].is_null());
    let thread = Held::new(&a, "checks");
    a.await_log("has not turned for");
    a.await_log("stand still here, but b is answered");
    held(&segment, "b", [&a, &b]);
    let stalled = checks(&a);
    let since = stalled["stalled"].as_u64();
    assert!(since.is_some() && since < stalled["at"].as_u64(), "{stalled}");
    drop(thread);
    a.await_log("turns again, after");
    held(&segment, "a", [&a, &b]);
    until_well(&a, PROXIED);
    never_left(&a);
    never_left(&b);
    assert_eq!(a.log().matches("has not turned").count(), 1, "{}", a.log());
    assert!(!b.log().contains("stand still"), "{}", b.log());
}

#[test]
fn a_process_that_stood_still_holds_nothing_against_any_server_nor_against_itself() {
    let Some((segment, _webs)) = segment_with_nginx() else { return };
    let (a, b) = pair(&segment, CHECK);
    a.signal(Signal::SIGSTOP);
    // Longer than a thread may stand still.
    sleep(Duration::from_secs(15));
    held(&segment, "b", [&a, &b]);
    a.signal(Signal::SIGCONT);
    held(&segment, "a", [&a, &b]);
    // All servers are asked anew, and its heart is felt.
    sleep(Duration::from_secs(3));
    for node in [&a, &b] {
        until_well(node, PROXIED);
        never_left(node);
        for word in [" is out", "has not turned", "stand still here"] {
            assert!(!node.log().contains(word), "`{word}`:\n{}", node.log());
        }
    }
}

#[test]
fn a_server_that_climbs_to_its_weight_makes_nginx_reload_seldom() {
    const FILE: &str = "nginx/conf.d/converge-upstream-app.conf";
    let Some((segment, [_web1, web2])) = segment_with_nginx() else { return };
    let role = proxied(CHECK).replace("name = \"app\"", "name = \"app\"\nslow-start = \"4s\"");
    let mut a = director(&segment, "a", "", &role);
    a.start();
    a.await_file(FILE, "192.0.2.4:80 weight=10");
    drop(web2);
    // At once, in both directions.
    a.await_file(FILE, "192.0.2.4:80 down");
    let _web2 = Web::open(&segment, "web2");
    until(&a, PROXIED, "web2", Standing::Starting);
    let (mut seen, end) = (BTreeSet::new(), Instant::now() + PATIENCE);
    while !seen.contains("10") {
        let file = std::fs::read_to_string(a.path(FILE)).unwrap_or_default();
        let weight = file.split("192.0.2.4:80 weight=").nth(1);
        let weight = weight.and_then(|rest| rest.split([' ', ';']).next());
        seen.extend(weight.map(str::to_owned));
        assert!(Instant::now() < end, "{seen:?}\n{}", a.log());
        sleep(Duration::from_millis(10));
    }
    assert!(seen.len() <= 3, "{seen:?}");
}
