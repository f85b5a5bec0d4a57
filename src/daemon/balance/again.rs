//! When a thread that died is started again: soon, and each time later.
//!
//! A panic is a defect of converge, and nothing says that the next start meets it again; but if it
//! does, the log is not to be filled with it. Pure but for the waiting.

use std::time::Duration;

use tokio::time::Instant;

use super::at;

/// Before the first start anew, and the longest time before one: longer than the process may live
/// without checks, so that in the end systemd starts all of it anew.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(64));

/// What ran for so long did not die of its start.
const CALM: Duration = Duration::from_secs(60);

/// The clock of one thread.
#[derive(Debug)]
pub(super) struct Again {
    due: Option<Instant>,
    rest: Duration,
    began: Instant,
}

impl Again {
    pub(super) fn new(now: Instant) -> Self {
        Again { due: None, rest: Duration::ZERO, began: now }
    }

    /// It died, or could not be started. After how long it is started again is answered.
    pub(super) fn died(&mut self, now: Instant) -> Duration {
        self.rest = match now.saturating_duration_since(self.began) >= CALM {
            true => REST.0,
            false => (self.rest * 2).clamp(REST.0, REST.1),
        };
        self.due = Some(now + self.rest);
        self.rest
    }

    /// It runs.
    pub(super) fn began(&mut self, now: Instant) {
        (self.due, self.began) = (None, now);
    }

    /// Waits until it is to be started; for ever, if it is not.
    pub(super) async fn wait(&self) {
        at(self.due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dies_at_once_is_started_ever_later_and_what_lasted_soon() {
        let begin = Instant::now();
        let mut again = Again::new(begin);
        let mut died = |after: Duration| {
            again.began(begin);
            again.died(begin + after).as_secs()
        };
        let rests: Vec<u64> = (0..9).map(|_| died(Duration::ZERO)).collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        assert_eq!((died(CALM), died(Duration::ZERO)), (1, 2));
    }
}
