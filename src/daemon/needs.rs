//! Looks whether this host has what the files name: programs that their users can run,
//! certificates.
//!
//! The user database is asked, which may hang, so such a look has a thread of its own that nobody
//! waits for, nor at the end. There is one thread at most: while a look is under way a later one
//! waits for its end, in the place of any that waits already, for only what the files say last
//! matters. That is said, and what hangs holds up nothing else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::Look;

/// The looks, of which at most one is under way.
#[derive(Clone, Default)]
pub struct Needs(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    next: Option<Look>,
    is_looking: bool,
}

impl Needs {
    /// Tells what a person should see of the files, and what they name and this host has not got:
    /// whatever needs it will fail.
    pub fn tell(&self, warnings: &[String], missing: Look) {
        for text in warnings {
            tracing::warn!("{text}");
        }
        self.look(missing);
    }

    fn look(&self, missing: Look) {
        let mut state = self.lock();
        state.next = Some(missing);
        if std::mem::replace(&mut state.is_looking, true) {
            drop(state);
            return tracing::warn!(
                "whether programs and certificates are here is not known yet: the look before has \
                 not ended, and the next one waits for it; does the user database hang, or a disk?"
            );
        }
        drop(state);
        let looking = Looking(self.clone());
        let looks = move || while looking.one() {};
        if let Err(error) = thread::Builder::new().name("needs".into()).spawn(looks) {
            self.lock().is_looking = false;
            tracing::warn!(%error, "whether programs and certificates are here is not looked at");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread has; while it is there no other begins.
struct Looking(Needs);

impl Looking {
    /// Makes one look. Whether there was one to be made.
    fn one(&self) -> bool {
        let mut state = self.0.lock();
        let Some(look) = state.next.take() else {
            state.is_looking = false;
            return false;
        };
        drop(state);
        let missing = look();
        // What other files named is of no interest any more.
        if self.0.lock().next.is_none() {
            missing.iter().for_each(|text| tracing::error!("{text}"));
        }
        true
    }
}

impl Drop for Looking {
    /// A thread that fails is in nobody's way.
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().is_looking = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Longer than anything takes on a busy computer.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_look_that_hangs_holds_up_nothing_and_only_the_last_of_the_others_follows() {
        let needs = Needs::default();
        let (release, held) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let began = tell.clone();
        needs.look(Box::new(move || {
            began.send("first").expect("somebody waits");
            held.recv().expect("somebody lets go");
            Vec::new()
        }));
        assert_eq!(told.recv_timeout(PATIENCE), Ok("first"));
        for name in ["second", "third", "fourth"] {
            let tell = tell.clone();
            needs.look(Box::new(move || {
                tell.send(name).expect("somebody waits");
                Vec::new()
            }));
        }
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err(), "none beside it");
        release.send(()).expect("it waits");
        assert_eq!(told.recv_timeout(PATIENCE), Ok("fourth"));
        drop(tell);
        assert!(told.recv_timeout(PATIENCE).is_err(), "and nothing else");
    }

    #[test]
    fn a_look_that_fails_is_in_no_other_s_way() {
        let needs = Needs::default();
        needs.look(Box::new(|| panic!("on purpose")));
        let (tell, told) = mpsc::channel();
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let tell = tell.clone();
            needs.look(Box::new(move || {
                tell.send(()).ok();
                Vec::new()
            }));
            if told.recv_timeout(Duration::from_millis(50)).is_ok() {
                return;
            }
            assert!(std::time::Instant::now() < end, "none is made any more");
        }
    }
}
