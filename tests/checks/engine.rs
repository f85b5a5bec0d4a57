//! Checks as the resident converge makes them: by its own thread, with its sockets and its TLS.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use converge::check::config::{CheckConfig, Probe, Protocol, Target, Timing, Tls, TlsStart};
use converge::check::driver::{Checks, Settings};
use converge::check::machine::Limits;
use converge::check::outcome::Outcome;
use tokio::runtime::Builder;

use super::asking::{Answer, NAME, answer, write_certificate};

/// Longer than any check takes here.
const PATIENCE: Duration = Duration::from_secs(20);
/// With it the first check of all is made at once.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15_u64.wrapping_neg();

/// Makes a check once, and says how it ended.
pub(crate) fn made(probe: Probe, at: SocketAddr) -> Outcome {
    made_within(probe, at, PATIENCE)
}

/// The same with so much time.
pub(crate) fn made_within(probe: Probe, at: SocketAddr, timeout: Duration) -> Outcome {
    let mut made = all_made([probe], at, timeout);
    made.pop().expect("one").1
}

/// Makes all of these, beginning within a second; and says how each ended.
pub(crate) fn all_made(
    probes: impl IntoIterator<Item = Probe>,
    at: SocketAddr,
    timeout: Duration,
) -> Vec<(Probe, Outcome)> {
    let one = NonZeroU8::MIN;
    let every = Duration::from_secs(3600);
    let timing = Timing { every, timeout, fast: every, rise: one, fall: one };
    let target = Target { address: at.ip(), port: at.port() };
    let checks =
        probes.into_iter().map(|probe| CheckConfig { target, probe: Arc::new(probe), timing });
    let checks: BTreeSet<_> = checks.map(Arc::new).collect();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tasks = runtime.handle().clone();
    let settings = Settings { tasks, seed: SEED, limits: Limits { at_once: 1000 } };
    let all = checks.len();
    let (_checks, mut outcomes) = Checks::watched(settings, checks).expect("a thread for checks");
    let mut made: Vec<(Probe, Outcome)> = Vec::new();
    // Where the beats lie close, one may be made a second time meanwhile.
    while made.len() < all {
        let next = async { tokio::time::timeout(timeout + PATIENCE, outcomes.next()).await };
        let next = runtime.block_on(next).expect("in time").expect("the thread lives");
        let probe = Probe::clone(&next.check.probe);
        if made.iter().all(|(other, _)| *other != probe) {
            made.push((probe, next.outcome));
        }
    }
    made
}

/// The answer of a server that gave one.
#[track_caller]
pub(crate) fn ask(protocol: &Protocol, tls: Option<Tls>, at: SocketAddr) -> Answer {
    answer(made(Probe::Speak { protocol: protocol.clone(), tls }, at))
}

/// TLS towards one who is to have this name, trusting the certificate in this file.
pub(crate) fn tls(start: TlsStart, name: &str, trusted: &Path) -> Tls {
    let (name, ca) = (Some(name.to_owned()), Some(trusted.to_owned()));
    Tls { start, name, verify: true, ca, warn_before: Duration::ZERO }
}

/// A server's certificate has to be for its name and signed by who is trusted, unless nobody
/// wants to know.
#[track_caller]
pub(crate) fn its_certificate_counts(
    protocol: &Protocol,
    start: TlsStart,
    at: SocketAddr,
    trusted: &Path,
) {
    let ask = |tls: Tls| ask(protocol, Some(tls), at).map(|_| ());
    let bad = |what: &str| Err(what.to_owned());
    assert_eq!(ask(tls(start, NAME, trusted)), Ok(()), "{protocol:?} {start:?}");
    let other = ask(tls(start, "other.example", trusted));
    let named = bad("its certificate is not for other.example but for server.example");
    assert_eq!(other, named, "{protocol:?} {start:?}");
    // One for the same name that somebody else has signed.
    let strange = trusted.with_file_name("strange");
    std::fs::create_dir_all(&strange).expect("a directory of our own");
    write_certificate(&strange);
    let file = strange.join("cert.pem");
    let unknown = ask(tls(start, NAME, &file)).expect_err("signed by a stranger");
    assert!(unknown.contains("its certificate"), "{protocol:?} {start:?}: {unknown}");
    let careless = Tls { verify: false, ..tls(start, "other.example", &file) };
    assert_eq!(ask(careless), Ok(()), "{protocol:?} {start:?}");
}
