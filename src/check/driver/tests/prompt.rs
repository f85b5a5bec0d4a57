//! What is known is told at once, however little else there is to do.

use super::*;

/// The thread wakes up once a second in any case. With the seed of these tests the check begins
/// well within the first one.
const BEAT: Duration = Duration::from_secs(1);

#[test]
fn a_verdict_is_told_at_once_although_nothing_else_is_due_for_long() {
    // This host itself answers before anything is waited for, and no connection is let go after it.
    let at = "127.0.0.1:0".parse().expect("an address");
    let check = CheckConfig { timing: timing(20_000), ..check(at, Probe::Ping) };
    let judged = || {
        let began = Instant::now();
        let health = Driven::start([check.clone()]).verdict(&check);
        assert_eq!(health.state, State::Up, "{health:?}");
        began.elapsed()
    };
    // A busy computer may take long, but not always.
    assert!((0..8).any(|_| judged() < BEAT));
}
