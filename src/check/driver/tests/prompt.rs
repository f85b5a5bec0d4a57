//! What is known is told at once, however little else there is to do.

use std::net::TcpListener;

use super::*;

/// The thread wakes up once a second in any case. With the seed of these tests the check begins
/// well within the first one.
const BEAT: Duration = Duration::from_secs(1);

#[test]
fn a_verdict_is_told_at_once_although_nothing_else_is_due_for_long() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = server.local_addr().expect("an address");
    let check = CheckConfig { timing: timing(20_000), ..look(at) };
    let judged = || {
        let began = Instant::now();
        let health = Driven::start([check.clone()]).verdict(&check);
        assert_eq!(health.state, State::Up, "{health:?}");
        began.elapsed()
    };
    // A busy computer may take long, but not always.
    assert!((0..8).any(|_| judged() < BEAT));
}
