//! What a test may rely on when it uses the lab.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use converge::lab::Lab;

static CLUSTER: LazyLock<Lab> = LazyLock::new(|| super::boot("machines", &["a", "b"]));

#[test]
fn commands_run_with_status_and_output() {
    let a = CLUSTER.host("a");
    let output = a.run("hostname; cat >&2 /etc/hostname; exit 3").unwrap();
    assert_eq!((output.status, output.stdout.as_str(), output.stderr.as_str()), (3, "a\n", "a\n"));
}

#[test]
fn machines_reach_each_other_by_name() {
    let started = Instant::now();
    CLUSTER.host("a").ok("ping -c 2 -i 0.2 -W 2 b").unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
}
