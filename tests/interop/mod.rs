//! converge and other makes of VRRP as each other's peers, in network namespaces of this kernel.
//!
//! Host `a` has converge, host `b` Debian's keepalived (2.2.7 was seen) or FRR's vrrpd (8.4.4), and
//! host `c` whoever disturbs them. Each program is a process as its users start it; what is on the
//! wire is heard beside them. What differs from keepalived on purpose is said at the test that
//! shows it.

mod differing;
mod ear;
mod frr;
mod junk;
mod keepalived;
mod pairing;
mod process;
mod split;
mod turns;
mod voice;

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::failover::node::Node;
use crate::failover::segment::{PATIENCE, Segment};
use pairing::Family;

/// A virtual router of another make on host `b`.
trait Other {
    /// Starts it.
    fn start(&mut self);
    /// Asks it to end, and waits until it has.
    fn stop(&mut self);
    /// Whether it has the VIPs.
    fn is_active(&self) -> bool;
    /// What it has said.
    fn log(&self) -> String;
}

/// Who has the VIPs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Converge,
    Other,
    Both,
}

/// Waits until this is who has the VIPs.
#[track_caller]
fn held(by: Holder, segment: &Segment, family: Family, a: &Node<'_>, b: &dyn Other) {
    let wanted = match by {
        Holder::Converge => (true, false),
        Holder::Other => (false, true),
        Holder::Both => (true, true),
    };
    let end = Instant::now() + PATIENCE;
    loop {
        let found = (segment.has("a", family.vip()), b.is_active());
        if found == wanted {
            return;
        }
        assert!(
            Instant::now() < end,
            "the VIP is to be on {by:?}: (converge, other) is {found:?}\n---- converge\n{}\n\
             ---- the other\n{}",
            a.log(),
            b.log()
        );
        sleep(Duration::from_millis(20));
    }
}

/// Whether a program is installed; said loudly if not.
fn is_here(program: &str, package: &str) -> bool {
    let here = Path::new(program).exists();
    if !here {
        let why = format!("{program} is missing: apt-get install {package}");
        crate::kinds::apart::skipped("a test of interoperation", &why);
    }
    here
}
