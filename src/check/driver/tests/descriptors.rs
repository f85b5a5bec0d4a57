//! Few descriptors: checks wait for each other, and when there are none at all, somebody is told.
//!
//! The limit is the whole process's, so each of these tests runs in a process of its own.

use std::fs::File;
use std::process::Command;
use std::thread;

use nix::sys::resource::{Resource, setrlimit};

use super::servers::*;
use super::*;

/// Runs the rest of a test in a process that may open this many.
#[track_caller]
fn alone(test: &str, limit: u64) -> bool {
    const MARK: &str = "CONVERGE_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        setrlimit(Resource::RLIMIT_NOFILE, limit, limit).expect("a lower limit");
        return true;
    }
    let name = format!("{}::{test}", module_path!().split_once("::").expect("a crate").1);
    let own = std::env::current_exe().expect("a program");
    let child = Command::new(own).args([&name, "--exact", "--nocapture"]).env(MARK, "").output();
    let output = child.expect("a process");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    false
}

#[test]
fn with_few_descriptors_all_checks_are_made_a_few_at_a_time() {
    if !alone("with_few_descriptors_all_checks_are_made_a_few_at_a_time", 64) {
        return;
    }
    let (open, (_hole, _filling, hole)) = (saying(""), hole());
    let at = |n: u8| SocketAddr::new([127, 7, 0, n].into(), open.port());
    let good = (1..200).map(|n| CheckConfig { timing: timing(1_000), ..look(at(n)) });
    let silent = CheckConfig { timing: timing(200), ..look(hole) };
    let mut driven = Driven::start(good.chain([silent]));
    driven.until("all are judged", |d| d.health.len() == 200);
    thread::sleep(Duration::from_secs(2));
    let status = driven.checks.status();
    assert!(status.at_once < 48 && status.sockets <= status.at_once, "{status:?}");
    assert_eq!(status.unmade, 0);
    assert_eq!(driven.noticed, Vec::<String>::new());
}

#[test]
fn without_a_descriptor_nothing_is_held_against_a_server_and_it_is_said_once() {
    if !alone("without_a_descriptor_nothing_is_held_against_a_server_and_it_is_said_once", 64) {
        return;
    }
    let open = look(saying(""));
    let mut driven = Driven::start([CheckConfig { timing: timing(50), ..open }]);
    driven.until_all(State::Up, 1);
    let talk = CheckConfig { timing: timing(50), ..expects(saying("ok"), "ok") };
    let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let other =
        |n: u8| CheckConfig { target: look(([127, 7, 1, n], 1).into()).target, ..talk.clone() };
    driven.configure([talk.clone()].into_iter().chain((1..20).map(other)));
    driven.until("a notice", |d| !d.noticed.is_empty());
    assert!(driven.noticed[0].contains("LimitNOFILE"), "{:?}", driven.noticed);
    thread::sleep(Duration::from_millis(500));
    assert!(driven.checks.status().unmade > 0 || driven.noticed.len() == 1);
    taken.clear();
    driven.until("all are judged", |d| d.health.len() == 21);
    driven.until("it is well", |d| d.health[&talk].state == State::Up);
    assert_eq!(driven.noticed.len(), 1);
}
