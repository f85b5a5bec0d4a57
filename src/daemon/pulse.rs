//! Tells systemd that we live, for as long as VRRP does.
//!
//! On a thread of its own: a file system that hangs, a slow answer or a reload may hold up the
//! main loop, and must not have a converge killed whose advertisements leave on time. Only a main
//! loop that is stuck for longer than anything that it waits for takes may.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::service::Service;

/// Longer than systemd's longest job of a look at the host, and some more.
const STUCK: Duration = Duration::from_secs(300);

/// The thread; it ends when this is dropped.
pub struct Pulse(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
}

struct State {
    /// What VRRP counts; none if there is no VRRP.
    heart: Option<Arc<AtomicU64>>,
    /// When the main loop last turned.
    turned: Instant,
}

impl Pulse {
    /// Begins, and says so this often.
    pub fn start(every: Duration) -> io::Result<Self> {
        let state = Mutex::new(State { heart: None, turned: Instant::now() });
        let shared = Arc::new(Shared { state });
        let weak = Arc::downgrade(&shared);
        thread::Builder::new().name("pulse".into()).spawn(move || run(&weak, every))?;
        Ok(Pulse(shared))
    }

    /// From now on this has to count up.
    pub fn follow(&self, heart: Arc<AtomicU64>) {
        self.0.lock().heart = Some(heart);
    }

    /// The main loop turns.
    pub fn turned(&self) {
        self.0.lock().turned = Instant::now();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(shared: &Weak<Shared>, every: Duration) {
    let (service, mut last) = (Service::default(), None);
    loop {
        thread::sleep(every);
        let Some(shared) = shared.upgrade() else { return };
        let (beat, turned) = {
            let state = shared.lock();
            (state.heart.as_ref().map(|heart| heart.load(Ordering::Relaxed)), state.turned)
        };
        match why_not(last, beat, turned.elapsed()) {
            None => service.alive(),
            Some(why) => tracing::warn!("{why}"),
        }
        last = beat;
    }
}

/// Why we are not alive.
fn why_not(last: Option<u64>, beat: Option<u64>, since: Duration) -> Option<&'static str> {
    if beat.is_some() && beat == last {
        return Some("the VRRP thread did not turn since the last look at it");
    }
    (since > STUCK).then_some("the main loop is stuck")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_vrrp_that_does_not_turn_or_a_main_loop_that_never_does_is_dead() {
        let (short, long) = (Duration::from_secs(60), STUCK * 2);
        assert_eq!(why_not(None, None, short), None, "there is no VRRP");
        assert_eq!(why_not(Some(1), Some(2), short), None, "a slow look at the host");
        assert!(why_not(Some(2), Some(2), Duration::ZERO).is_some());
        assert!(why_not(Some(1), Some(2), long).is_some());
    }
}
