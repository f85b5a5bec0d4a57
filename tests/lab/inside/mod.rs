//! What needs systemd and an NFS server, in a machine: units, mounts and exports.
//!
//! The machine sees this very test binary. Outside, a test has the machine run the test of its own
//! name; inside, it runs its body, through `reconcile` as a user's run does.

mod export;
mod mount;
mod unit;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use converge::host::Host;
use converge::lab::Lab;
use converge::lab::rundir::RunDir;
use converge::reconcile::{Outcome, Report, look, reconcile};
use converge::resource::{Desired, Kinds, Resource};

/// Set in the machine.
const INSIDE: &str = "CONVERGE_TEST_INSIDE";
/// Printed after the body, so that a run of no test does not pass for a success.
const PASSED: &str = "the body ran to its end";

/// One machine for all, one test at a time.
static MACHINE: LazyLock<Option<Mutex<Lab>>> = LazyLock::new(|| {
    let lab = super::boot("inside", &["one"])?;
    let share = RunDir::of(lab.name()).expect("a lab is up there").machine("one").share();
    let binary = std::env::current_exe().expect("our own path");
    std::fs::copy(binary, share.join("inside")).expect("the machine's share can be written");
    Some(Mutex::new(lab))
});

/// Runs a test's body in the machine. `name` is the test's path below the crate.
pub(crate) fn inside(name: &str, body: impl AsyncFnOnce(&Host)) {
    if std::env::var_os(INSIDE).is_none() {
        let Some(machine) = MACHINE.as_ref() else { return };
        let machine = machine.lock().unwrap_or_else(PoisonError::into_inner);
        let program = "RUST_BACKTRACE=0 /lab/share/inside";
        let command = format!("{INSIDE}=1 {program} --exact {name} --nocapture");
        let output = machine.host("one").run(&command).expect("the machine answers");
        assert_eq!(output.status, 0, "inside:\n{}\n{}", output.stdout, output.stderr);
        assert!(output.stdout.contains(PASSED), "no test of that name:\n{}", output.stdout);
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let host = Host::this();
        // What a test that failed has left is in nobody's way.
        attempt(&host, &[]).await;
        body(&host).await;
    });
    println!("{PASSED}");
}

/// Tests that each run in the machine: `async fn name(host) { … }`.
macro_rules! each_inside {
    ($($(#[$meta:meta])* async fn $name:ident($host:ident) $body:block)*) => {$(
        #[test]
        $(#[$meta])*
        fn $name() {
            let path = concat!(module_path!(), "::", stringify!($name));
            let path = path.split_once("::").expect("a path below the crate").1;
            $crate::lab::inside::inside(path, async |$host: &converge::host::Host| $body);
        }
    )*};
}
pub(crate) use each_inside;

/// A role that wants exactly these.
fn desired(resources: &[Resource]) -> Desired {
    let mut desired = Desired::default();
    for resource in resources {
        assert!(desired.state.insert(resource.clone()).is_none(), "two of one name");
    }
    desired
}

/// Converges, whatever comes of it.
async fn attempt(host: &Host, resources: &[Resource]) -> Report {
    reconcile(host, &desired(resources), Kinds::All, |_, _| {})
        .await
        .expect("the ledger can be read")
}

/// Converges; the second plan must be empty. Returns what was changed.
async fn converge(host: &Host, resources: &[Resource]) -> Vec<String> {
    let report = attempt(host, resources).await;
    assert!(report.converged(), "{report:#?}");
    assert_eq!(planned(host, resources).await, [""; 0], "the second plan is not empty");
    report.changes.iter().map(|(change, _)| format!("{}{}", sign(change), change.id())).collect()
}

/// What would be changed.
async fn planned(host: &Host, resources: &[Resource]) -> Vec<String> {
    let (plan, seen) = look(host, &desired(resources)).await.expect("the ledger can be read");
    assert!(seen.unknown.is_empty(), "{:#?}", seen.unknown);
    plan.changes.iter().map(|change| format!("{}{}", sign(change), change.id())).collect()
}

fn sign(change: &converge::plan::Change) -> char {
    match change {
        converge::plan::Change::Create { .. } => '+',
        converge::plan::Change::Update { .. } => '~',
        converge::plan::Change::Remove { .. } => '-',
    }
}

/// The errors of a run, each with its hint and its causes, by the name of what failed.
fn errors(report: &Report) -> BTreeMap<String, String> {
    let failed = report.changes.iter().filter_map(|(change, outcome)| match outcome {
        Outcome::Failed(error) => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(error);
            while let Some(next) = cause {
                text.push_str(&format!(": {next}"));
                cause = next.source();
            }
            Some((
                change.id().to_string(),
                format!("{text} [{}]", error.hint().unwrap_or_default()),
            ))
        }
        Outcome::Done => None,
        Outcome::Held { by } => Some((change.id().to_string(), format!("held by {by}"))),
    });
    failed.collect()
}

/// Runs a shell command, as an administrator beside us would, and returns what it prints.
#[track_caller]
fn sh(command: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", command])
        // Else `systemctl enable` runs for half a minute to no effect.
        .env("SYSTEMCTL_SKIP_SYSV", "1")
        .output()
        .expect("a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{command}`: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
