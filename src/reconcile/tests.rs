//! What a run remembers and reports, and what holds a change back.
//!
//! The host is a scratch directory, and the resources are directories and files in it; a plan for a
//! unit is made, but not carried out.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::host::scratch::{Hanging, Scratch};
use crate::resource::directory::Directory;
use crate::resource::file::{File, Mode, UnprovenError};
use crate::resource::unit::Unit;

const LEDGER: &str = "/var/lib/converge/made.json";

fn desired(paths: &[&str]) -> Desired {
    let mut desired = Desired::default();
    for path in paths {
        let directory = Directory { path: path.into(), mode: Mode(0o755), owner: None };
        assert!(desired.state.insert(directory.into()).is_none());
    }
    desired
}

#[tokio::main(flavor = "current_thread")]
async fn run(scratch: &Scratch, paths: &[&str], tell: impl FnMut(&Change, &Outcome)) -> Report {
    reconcile(&scratch.host(), &desired(paths), Kinds::All, tell)
        .await
        .expect("the ledger can be read")
}

#[tokio::main(flavor = "current_thread")]
async fn looked(scratch: &Scratch) -> (Plan, Observed) {
    look(&scratch.host(), &Desired::default()).await.expect("the ledger can be read")
}

#[tokio::main(flavor = "current_thread")]
async fn look_while_it_hangs(scratch: &Scratch, path: &str) {
    let Some(_disk) = Hanging::over(scratch.real(path)) else { return };
    let (rest, table) = (Kinds::But(Kind::VirtualServer), Kinds::Only(Kind::VirtualServer));
    let (host, tell) = (scratch.host(), |_: &Change, _: &Outcome| {});
    assert!(reconcile(&host, &Desired::default(), table, tell).await.is_ok());
    let wanted = desired(&["/srv/a"]);
    let look = reconcile(&host, &wanted, rest, tell);
    let looked = timeout(Duration::from_millis(50), look).await;
    assert!(looked.is_err(), "{path} hangs, and this does not");
}

#[test]
fn a_disk_that_hangs_holds_up_nobody_else_and_the_table_not_at_all() {
    let scratch = Scratch::new();
    assert!(run(&scratch, &["/srv/a"], |_, _| {}).converged());
    for path in ["/var/lib", "/srv"] {
        look_while_it_hangs(&scratch, path);
    }
    assert!(run(&scratch, &["/srv/a"], |_, _| {}).changes.is_empty());
}

#[test]
fn what_went_by_hand_and_came_back_by_hand_is_not_ours_any_more() {
    let scratch = Scratch::new();
    run(&scratch, &["/a", "/b"], |_, _| {});
    std::fs::remove_dir(scratch.real("/a")).expect("removes");
    assert!(run(&scratch, &["/b"], |_, _| {}).changes.is_empty());
    std::fs::create_dir(scratch.real("/a")).expect("makes");
    assert_eq!(run(&scratch, &[], |_, _| {}).changes.len(), 1, "only /b is ours");
    assert!(scratch.real("/a").exists());
}

#[test]
fn a_look_at_the_host_writes_nothing() {
    let scratch = Scratch::new();
    run(&scratch, &["/a"], |_, _| {});
    std::fs::remove_dir(scratch.real("/a")).expect("removes");
    let before = scratch.read(LEDGER);
    let (plan, _) = looked(&scratch);
    assert!(plan.is_empty());
    assert_eq!(scratch.read(LEDGER), before);
}

#[test]
fn what_was_done_is_told_even_if_the_second_look_fails() {
    let scratch = Scratch::new();
    let report = run(&scratch, &["/a"], |_, _| {
        std::fs::remove_file(scratch.real(LEDGER)).expect("removes");
        std::fs::create_dir(scratch.real(LEDGER)).expect("makes");
    });
    assert!(matches!(report.changes[..], [(_, Outcome::Done)]));
    assert!(matches!(report.unknown[..], [(Kind::Directory, _)]), "{report:?}");
    assert!(!report.converged());
}

/// A unit that needs a file, and what comes of it when that file's change fails with `error`.
fn is_held(file_stood: bool, unit_runs: bool, checked: bool, error: HostError) -> bool {
    let file = |content: &str| File {
        path: "/etc/web.conf".into(),
        content: content.into(),
        mode: None,
        owner: None,
        once: false,
        check: None,
    };
    let unit = |active| Unit {
        unit: "web.service".into(),
        active,
        enabled: None,
        reads: Vec::new(),
        loaded: None,
        check: checked.then(|| vec!["true".into()]),
    };
    let mut observed = Observed::default();
    observed.state.insert(unit(unit_runs).into());
    if file_stood {
        observed.state.insert(file("old").into());
    }
    let mut desired = Desired::default();
    let wanted = Unit { enabled: Some(true), ..unit(true) };
    let ids = [file("new").into(), wanted.into()].map(|r: Resource| {
        let id = r.id();
        desired.state.insert(r);
        id
    });
    desired.needs.insert(ids[1].clone(), [ids[0].clone()].into());
    let plan = Plan::between(&desired, &observed);
    let mut failed = Failed::default();
    failed.note(&plan.changes[0], &Outcome::Failed(error));
    holder(&plan, &BTreeSet::new(), &failed, &plan.changes[1]).is_some()
}

#[test]
fn only_a_unit_that_is_down_and_has_a_check_is_started_with_the_file_that_was_put_back() {
    let unproven = || UnprovenError::Sibling { path: "/etc/other.conf".into() }.into();
    assert!(!is_held(true, false, true, unproven()));
    assert!(is_held(true, true, true, unproven()), "it runs");
    assert!(is_held(true, false, false, unproven()), "nothing proves the old file");
    assert!(is_held(false, false, true, unproven()), "no file stands");
    let other = HostError::Command(crate::host::CommandError::Missing { program: "x".into() });
    assert!(is_held(true, false, true, other), "nobody knows what stands");
}

/// The mask is the whole process's, so that the test runs in one of its own.
#[test]
fn directories_above_what_is_made_can_be_entered_whatever_the_umask() {
    const MASKED: &str = "CONVERGE_TEST_MASKED";
    if std::env::var_os(MASKED).is_none() {
        let name = "reconcile::tests::\
                    directories_above_what_is_made_can_be_entered_whatever_the_umask";
        let own = std::env::current_exe().expect("our own path");
        let mut again = std::process::Command::new("sh");
        again.args(["-c", "umask 077; exec \"$0\" --exact \"$1\""]).arg(own).arg(name);
        let output = again.env(MASKED, "1").output().expect("a shell");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let scratch = Scratch::new();
    assert!(run(&scratch, &["/srv/www/page"], |_, _| {}).converged());
    for above in ["/srv", "/srv/www"] {
        let found = scratch.host().files().stat(above).expect("can be looked at");
        assert_eq!(found.map(|s| s.mode), Some(0o755), "{above}");
    }
}
