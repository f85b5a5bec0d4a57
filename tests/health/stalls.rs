//! A director that stands still: as a whole, with one of its threads alone, or with its disk.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use converge::pool::standing::Standing;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use serde_json::Value;

use super::blindness::{held, never_left, pair};
use super::site::{
    BALANCED, PROXIED, VIRTUAL, balanced, director, proxied, segment, segment_with_nginx, until,
    until_well,
};
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

/// A disk under a director's own directory that answers nobody as long as this is there.
struct HangingDisk(Child);

impl HangingDisk {
    /// None without FUSE, which is said loudly.
    fn under(node: &Node<'_>) -> Option<HangingDisk> {
        if !Path::new("/dev/fuse").exists() {
            crate::kinds::apart::skipped("a test of a disk that hangs", "there is no /dev/fuse");
            return None;
        }
        let line = "exec 9<>/dev/fuse && mount -i -t fuse \
                    -o fd=9,rootmode=40000,user_id=0,group_id=0 none /var/lib \
                    && echo it hangs && exec sleep 600";
        let mut command = Command::new("nsenter");
        command.args(["--target", &node.pid().to_string(), "--mount", "sh", "-c", line]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("nsenter can be run");
        let mut said = String::new();
        let output = child.stdout.take().expect("a pipe of our own");
        BufReader::new(output).read_line(&mut said).expect("a pipe of our own");
        let disk = HangingDisk(child);
        if said != "it hangs\n" {
            crate::kinds::apart::skipped("a test of a disk that hangs", "FUSE cannot be mounted");
            return None;
        }
        Some(disk)
    }
}

impl Drop for HangingDisk {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("our own child");
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
fn a_link_that_nobody_watches_is_told_with_its_alarms_and_no_server_is_touched() {
    let Some((segment, _webs)) = segment() else { return };
    let mut a = director(&segment, "a", "", &balanced(CHECK));
    a.start();
    until_well(&a, BALANCED);
    segment.ok("web1", &format!("ip address add {VIRTUAL}/32 dev eth0"));
    a.await_log("answers ARP for the VIP");
    let thread = Held::new(&a, "wire");
    a.await_log("the thread `wire`, which watches the link to the real servers, has not turned");
    a.await_log("whether this is still so is not known: real server web1 ");
    let unwatched = |wanted: bool| {
        let end = Instant::now() + PATIENCE;
        while checks(&a)["unwatched"].is_u64() != wanted {
            assert!(Instant::now() < end, "{}\n{}", checks(&a), a.log());
            sleep(Duration::from_millis(100));
        }
    };
    unwatched(true);
    assert!(checks(&a)["stalled"].is_null());
    for command in ["servers", "check"] {
        let said = String::from_utf8_lossy(&a.converge(command).stderr).into_owned();
        assert!(said.contains("has not watched the link to the real servers for"), "{said}");
    }
    drop(thread);
    a.await_log("the thread `wire` goes on, after");
    // What is wrong still is found anew: it was told, called unknown, and is told again.
    a.await_times("answers ARP for the VIP", 3);
    unwatched(false);
    until_well(&a, BALANCED);
    assert!(!a.log().contains(" is out"), "{}", a.log());
}

#[test]
fn a_disk_that_hangs_keeps_no_dead_server_in_and_no_word_of_the_others_out() {
    let Some((segment, [web1, _web2])) = segment() else { return };
    let role = balanced(CHECK);
    let mut a = director(&segment, "a", "", &role);
    let mut b = director(&segment, "b", "", &role);
    for node in [&mut a, &mut b] {
        node.start();
        until_well(node, BALANCED);
    }
    held(&segment, "a", [&a, &b]);
    let Some(_disk) = HangingDisk::under(&a) else { return };
    // The host is looked at anew, and the files are read.
    a.signal(Signal::SIGHUP);
    a.await_log("files read again");
    drop(web1);
    until(&a, BALANCED, "web1", Standing::Down);
    assert!(b.converge("drain web2").status.success());
    until(&a, BALANCED, "web2", Standing::Draining);
    held(&segment, "a", [&a, &b]);
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
