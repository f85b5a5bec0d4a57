//! Tells systemd that we live, for as long as VRRP does and real servers are checked.
//!
//! On a thread of its own: a file system that hangs, a slow answer or a reload may hold up the
//! main loop, and must not have a converge killed whose advertisements leave on time. Only a main
//! loop that is stuck for longer than anything that it waits for takes may. Checks that stand still
//! are worked around at first, as [`balance`](super::balance) does; if they still do after a
//! minute, only a new process helps.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::heart::Heart;
use crate::host::service::Service;
use crate::vrrp::driver::now;

/// Longer than systemd's longest job of a look at the host, and some more.
const STUCK: Duration = Duration::from_secs(300);

/// The VIP has gone to a director that checks by then, if there is one; without one it stays here
/// for as long, with the table as it was last known to be right.
const UNCHECKED: Duration = Duration::from_secs(60);

/// The thread; it ends when this is dropped.
pub struct Pulse(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
}

struct State {
    /// What VRRP counts; none if there is no VRRP.
    vrrp: Option<Arc<AtomicU64>>,
    /// What the checks count; none if there never were any.
    checks: Option<Arc<AtomicU64>>,
    /// When the main loop last turned.
    turned: Instant,
}

impl Pulse {
    /// Begins, and says so this often.
    pub fn start(every: Duration) -> io::Result<Self> {
        let state = Mutex::new(State { vrrp: None, checks: None, turned: Instant::now() });
        let shared = Arc::new(Shared { state });
        let weak = Arc::downgrade(&shared);
        thread::Builder::new().name("pulse".into()).spawn(move || run(&weak, every))?;
        Ok(Pulse(shared))
    }

    /// From now on this has to count up.
    pub fn follow(&self, vrrp: Arc<AtomicU64>) {
        self.0.lock().vrrp = Some(vrrp);
    }

    /// The main loop turns, and this is what the checks count.
    pub fn turned(&self, checks: Option<Arc<AtomicU64>>) {
        let mut state = self.0.lock();
        (state.turned, state.checks) = (Instant::now(), checks);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(shared: &Weak<Shared>, every: Duration) {
    let (service, mut last, mut heart, mut said) =
        (Service::default(), None, Heart::default(), None);
    loop {
        thread::sleep(every);
        let Some(shared) = shared.upgrade() else { return };
        let count = |heart: &Option<Arc<AtomicU64>>| {
            heart.as_ref().map(|heart| heart.load(Ordering::Relaxed))
        };
        let (beat, checks, turned) = {
            let state = shared.lock();
            (count(&state.vrrp), count(&state.checks), state.turned)
        };
        let why = why_not(last, beat, heart.look(checks, now()), turned.elapsed());
        match why {
            None => service.alive(),
            Some(why) if said != Some(why) => {
                tracing::error!("{why}: systemd is not told any more that converge lives");
            }
            Some(_) => {}
        }
        (last, said) = (beat, why);
    }
}

/// Why we are not alive. `still` is for how long the checks have not turned, `since` the main loop.
fn why_not(
    last: Option<u64>,
    beat: Option<u64>,
    still: Duration,
    since: Duration,
) -> Option<&'static str> {
    if beat.is_some() && beat == last {
        return Some("the VRRP thread did not turn since the last look at it");
    }
    if still >= UNCHECKED {
        return Some("the thread that checks real servers has not turned for a minute");
    }
    (since > STUCK).then_some("the main loop is stuck")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::ZERO;

    #[test]
    fn only_a_vrrp_that_does_not_turn_or_a_main_loop_that_never_does_is_dead() {
        let (short, long) = (Duration::from_secs(60), STUCK * 2);
        assert_eq!(why_not(None, None, NEVER, short), None, "there is no VRRP");
        assert_eq!(why_not(Some(1), Some(2), NEVER, short), None, "a slow look at the host");
        assert!(why_not(Some(2), Some(2), NEVER, Duration::ZERO).is_some());
        assert!(why_not(Some(1), Some(2), NEVER, long).is_some());
    }

    #[test]
    fn checks_that_stand_still_for_a_minute_have_the_process_started_again() {
        let well = |still| why_not(Some(1), Some(2), still, Duration::ZERO);
        assert_eq!(well(UNCHECKED - Duration::from_secs(1)), None, "it is worked around");
        let why = well(UNCHECKED).expect("it is told");
        assert!(why.contains("checks real servers"), "{why}");
    }
}
