//! The wall clocks of the other directors, as far as they are known from what they tell.
//!
//! A drain's end is a time of the wall clock of the host where it was said, and clocks differ. So
//! each director tells what its own one says, and the end is judged by that.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Moment;

/// A clock that differs by less, in milliseconds, is the same: what is told takes some time on its
/// way.
pub const SAME: u64 = 5_000;
/// One that differs by more is worth a word, if it does so when it is told again.
const WRONG: u64 = 60_000;
/// Within this time after the start the other directors have told theirs, or are not there.
pub const UNTOLD: Duration = Duration::from_secs(20);

/// The wall clocks of the other directors, as far as they are known.
#[derive(Clone, Debug)]
pub struct Clocks {
    own: String,
    others: BTreeMap<String, Clock>,
}

#[derive(Clone, Copy, Debug)]
struct Clock {
    /// What it said, in milliseconds since 1970, and when: our own may be set meanwhile.
    said: u64,
    at: Moment,
    /// How often in a row it differed by much.
    wrong: u32,
}

impl Clocks {
    /// Of the others nothing is known yet.
    pub fn new(own: &str) -> Self {
        Clocks { own: own.to_owned(), others: BTreeMap::new() }
    }

    /// Another one says this while ours says `wall`. Returns by how many seconds it is ahead, once
    /// if it is wrong: what was on its way for long is not told twice in a row.
    pub fn take(&mut self, by: &str, said: u64, wall: u64, now: Moment) -> Option<i64> {
        let signed = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
        let ahead = signed(said).saturating_sub(signed(wall));
        let wrong = self.others.get(by).map_or(0, |clock| clock.wrong);
        let wrong = if ahead.unsigned_abs() > WRONG { wrong.saturating_add(1) } else { 0 };
        self.others.insert(by.to_owned(), Clock { said, at: now, wrong });
        (wrong == 2).then_some(ahead / 1000)
    }

    /// What it is there when ours says `wall`. Of one that may tell it soon (`is_new`) nothing is
    /// known, and nothing of it is over.
    pub fn there(&self, by: &str, wall: u64, now: Moment, is_new: bool) -> u64 {
        match self.others.get(by) {
            _ if by == self.own => wall,
            Some(Clock { said, at, .. }) => {
                let gone = u64::try_from(now.since(*at).as_millis()).unwrap_or(u64::MAX);
                let there = said.saturating_add(gone);
                if there.abs_diff(wall) < SAME { wall } else { there }
            }
            None if is_new => 0,
            None => wall,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_once_and_only_if_it_says_so_twice() {
        let mut clocks = Clocks::new("a");
        let mut take = |said| clocks.take("b", said, 500_000, Moment::ZERO);
        assert_eq!(take(1_000_000), None);
        assert_eq!(take(500_000), None, "it was on its way for long");
        assert_eq!((take(0), take(0), take(0)), (None, Some(-500), None));
    }

    #[test]
    fn what_it_is_there_does_not_hang_on_our_own_clock() {
        let at = |seconds| Moment::after_start(Duration::from_secs(seconds));
        let mut clocks = Clocks::new("a");
        assert_eq!(clocks.there("a", 500_000, at(1), true), 500_000);
        assert_eq!(clocks.there("b", 500_000, at(1), true), 0, "it may tell it yet");
        assert_eq!(clocks.there("b", 500_000, at(30), false), 500_000);
        clocks.take("b", 100_000, 500_000, at(1));
        assert_eq!(clocks.there("b", 503_000, at(4), false), 103_000);
        // Ours is set forward by an hour.
        assert_eq!(clocks.there("b", 4_103_000, at(4), false), 103_000);
        clocks.take("b", 503_000, 500_000, at(1));
        assert_eq!(clocks.there("b", 600_000, at(101), false), 600_000, "that is the way's");
    }
}
