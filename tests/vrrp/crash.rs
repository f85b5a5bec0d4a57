//! A director that dies, hangs or is put to sleep leaves no VIP behind.
//!
//! It runs in a process of its own, which is this test binary again.

use std::env;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use converge::vrrp::driver::Event;
use converge::vrrp::router::{Start, State};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::lan::{Director, Lan, addresses, eventually_within, router, settings};
use crate::kinds::apart::each_in_a_namespace;

/// Set in the director's process: its interval in milliseconds.
const DIRECTOR: &str = "CONVERGE_TEST_DIRECTOR";

const SECOND: Duration = Duration::from_secs(1);

/// Director "a" in a process of its own, killed at the end.
struct Process(Child);

impl Process {
    fn start(lan: &Lan, interval: Duration) -> Self {
        let child = Command::new("nsenter")
            .arg(format!("--net={}", lan.a.network()))
            .arg(env::current_exe().expect("our own path"))
            .args(["--exact", "vrrp::crash::a_director", "--ignored", "--nocapture"])
            .env(DIRECTOR, interval.as_millis().to_string())
            .stdout(Stdio::null())
            .spawn();
        Process(child.expect("nsenter"))
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("our own child");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("our own child");
    }
}

#[test]
#[ignore = "it is the other process of the tests here"]
fn a_director() {
    let Ok(interval) = env::var(DIRECTOR) else { return };
    let interval = Duration::from_millis(interval.parse().expect("a number"));
    let routers = vec![(router("a", interval), Start::Fresh)];
    let vrrp = converge::vrrp::driver::Vrrp::start(settings("a", true), routers);
    let (_vrrp, mut events) = vrrp.expect("VRRP can be spoken");
    while events.wait().is_some() {}
}

fn b(lan: &Lan, interval: Duration) -> Director {
    let routers = vec![(router("b", interval), Start::Fresh)];
    Director::start(&lan.b, settings("b", true), routers)
}

fn has_vip(there: &crate::kinds::apart::Neighbour) -> bool {
    addresses(there).contains("10.77.0.100/24")
}

/// a is Active with the VIP, and b knows it.
fn both(lan: &Lan, interval: Duration) -> (Process, Director) {
    let a = Process::start(lan, interval);
    eventually_within(5 * SECOND, "no VIP", || has_vip(&lan.a).then_some(()));
    let b = b(lan, interval);
    b.wait(|event| matches!(event, Event::PeerUp { .. }));
    std::thread::sleep(SECOND / 2);
    (a, b)
}

each_in_a_namespace! {
    async fn a_killed_process_is_followed_at_once_and_its_vip_ends_with_the_lease(_host) {
        let lan = Lan::new();
        let (a, b) = both(&lan, SECOND);
        let begin = Instant::now();
        a.signal(Signal::SIGKILL);
        let active = b.becomes_since(begin, State::Active) - begin;
        assert!(active < SECOND, "longer than its silence would have taken: {active:?}");
        assert!(has_vip(&lan.a), "the kernel goes on answering until the neighbours know");
        eventually_within(9 * SECOND, "orphaned", || (!has_vip(&lan.a)).then_some(()));
        println!("killed: Active {active:?}, VIP gone {:?}", begin.elapsed());
        assert!(has_vip(&lan.b));
    }

    async fn a_stalled_process_loses_the_vip_and_listens_before_it_speaks(_host) {
        let lan = Lan::new();
        let interval = Duration::from_millis(100);
        let (a, b) = both(&lan, interval);
        let begin = Instant::now();
        a.signal(Signal::SIGSTOP);
        let active = b.becomes_since(begin, State::Active) - begin;
        assert!(active < 2 * SECOND, "{active:?}");
        eventually_within(7 * SECOND, "orphaned", || (!has_vip(&lan.a)).then_some(()));
        println!("stalled: Active {active:?}, VIP gone {:?}", begin.elapsed());
        let begin = Instant::now();
        a.signal(Signal::SIGCONT);
        // It ranks higher, so it takes over; before that it was Backup and heard b.
        b.becomes_since(begin, State::Backup);
        eventually_within(5 * SECOND, "not back", || has_vip(&lan.a).then_some(()));
        eventually_within(5 * SECOND, "on both", || (!has_vip(&lan.b)).then_some(()));
        println!("back after {:?}", begin.elapsed());
    }
}
