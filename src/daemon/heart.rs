//! How long a thread that counts its turns has not turned, seen by looking now and then.
//!
//! Pure; told the time. When the whole process was stopped, or the host was suspended, whoever
//! looks stood still as well, so no more than [`STEP`] is counted from one look to the next: a
//! pause of everything makes no single thread a dead one.

use std::time::Duration;

use crate::clock::Moment;

/// Twice as long as whoever looks takes from one look to the next.
const STEP: Duration = Duration::from_secs(4);

/// What was seen of a thread.
#[derive(Debug, Default)]
pub struct Heart {
    turns: Option<u64>,
    looked: Option<Moment>,
    still: Duration,
}

impl Heart {
    /// A look at the turns that the thread has counted; none, if there never was one. For how long
    /// it has not turned is answered.
    pub fn look(&mut self, turns: Option<u64>, now: Moment) -> Duration {
        let since = self.looked.map_or(Duration::ZERO, |looked| now.since(looked));
        self.still = match turns.is_some() && turns == self.turns {
            true => self.still + since.min(STEP),
            false => Duration::ZERO,
        };
        (self.turns, self.looked) = (turns, Some(now));
        self.still
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn only_a_thread_that_does_not_turn_while_it_is_looked_at_stands_still() {
        let mut heart = Heart::default();
        let mut look = |turns, second| heart.look(turns, at(second)).as_secs();
        assert_eq!((look(None, 0), look(None, 2)), (0, 0), "there is none");
        assert_eq!((look(Some(1), 4), look(Some(2), 6)), (0, 0), "it turns");
        assert_eq!((look(Some(2), 8), look(Some(2), 10)), (2, 4));
        assert_eq!(look(Some(3), 12), 0);
    }

    #[test]
    fn a_pause_of_everything_counts_for_next_to_nothing() {
        let mut heart = Heart::default();
        heart.look(Some(1), at(0));
        assert_eq!(heart.look(Some(1), at(3600)), STEP);
        assert_eq!(heart.look(Some(2), at(3602)), Duration::ZERO);
    }
}
