//! From single looks to a verdict: rise and fall.
//!
//! The first look decides at once. After it, only as many looks in a row that say otherwise turn
//! the verdict, so one lost answer moves nothing. A number out of a file is taken as it stands.

use std::fmt;
use std::num::NonZeroU8;

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Good,
    /// It is not.
    Bad(Failure),
    /// A file has this number, which moves the priority.
    Number(i64),
}

/// What is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// In some words that stay the same as long as the same is wrong: "exit code 1".
    pub what: String,
    /// What a script printed, which may be different each time.
    pub said: String,
}

impl Failure {
    /// Some words alone.
    pub fn new(what: impl Into<String>) -> Self {
        Failure { what: what.into(), said: String::new() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match self.said.is_empty() {
            true => Ok(()),
            false => write!(f, ", it said {:?}", self.said),
        }
    }
}

/// What is held to be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is known since the start; what could be a fault counts as one.
    Unknown,
    /// Nothing is known yet of what was added while running: until its first look it counts for
    /// nothing, so that adding a check moves no VIP.
    Joining,
    /// All is well.
    Good,
    /// It is not, for this reason.
    Bad(Failure),
    /// A file has this number.
    Number(i64),
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Verdict {
        match outcome {
            Outcome::Good => Verdict::Good,
            Outcome::Bad(failure) => Verdict::Bad(failure),
            Outcome::Number(number) => Verdict::Number(number),
        }
    }
}

/// Adds looks up.
#[derive(Clone, Debug)]
pub struct Tally {
    rise: NonZeroU8,
    fall: NonZeroU8,
    verdict: Verdict,
    /// Looks in a row that said otherwise; less than rise or fall asks for.
    against: u8,
}

impl Tally {
    /// Goes on from a verdict; that is [`Verdict::Unknown`] at the start.
    pub fn new(rise: NonZeroU8, fall: NonZeroU8, verdict: Verdict) -> Self {
        Tally { rise, fall, verdict, against: 0 }
    }

    /// What is held to be true.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Whether the last look said the same as the verdict.
    pub fn is_settled(&self) -> bool {
        self.against == 0
    }

    /// Takes a look into account.
    pub fn note(&mut self, outcome: Outcome) {
        let needed = match (&self.verdict, &outcome) {
            (Verdict::Good, Outcome::Bad(_)) => self.fall.get(),
            (Verdict::Bad(_), Outcome::Good) => self.rise.get(),
            // The same again, for a reason that may be another; the first look; a number.
            (Verdict::Good, Outcome::Good)
            | (Verdict::Bad(_), Outcome::Bad(_))
            | (Verdict::Unknown | Verdict::Joining | Verdict::Number(_), _)
            | (Verdict::Good | Verdict::Bad(_), Outcome::Number(_)) => 0,
        };
        self.against = if needed == 0 { 0 } else { self.against + 1 };
        if self.against >= needed {
            self.verdict = Verdict::from(outcome);
            self.against = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tally(rise: u8, fall: u8) -> Tally {
        let count = |n| NonZeroU8::new(n).expect("not zero");
        Tally::new(count(rise), count(fall), Verdict::Unknown)
    }

    fn bad(words: &str) -> Outcome {
        Outcome::Bad(Failure::new(words))
    }

    #[test]
    fn the_first_look_decides_at_once() {
        for outcome in [Outcome::Good, bad("gone"), Outcome::Number(3)] {
            let mut tally = tally(5, 5);
            assert_eq!(*tally.verdict(), Verdict::Unknown);
            tally.note(outcome.clone());
            assert_eq!(*tally.verdict(), Verdict::from(outcome));
        }
    }

    #[test]
    fn one_good_look_among_bad_ones_begins_the_count_anew() {
        let mut tally = tally(1, 3);
        for outcome in [Outcome::Good, bad("a"), bad("b"), Outcome::Good, bad("c"), bad("d")] {
            tally.note(outcome);
            assert_eq!(*tally.verdict(), Verdict::Good);
        }
        tally.note(bad("e"));
        assert_eq!(*tally.verdict(), Verdict::Bad(Failure::new("e")));
    }

    #[test]
    fn the_reason_is_always_the_last_one() {
        let mut tally = tally(2, 1);
        for words in ["refused", "timed out"] {
            tally.note(bad(words));
            assert_eq!(*tally.verdict(), Verdict::Bad(Failure::new(words)));
        }
    }

    #[test]
    fn what_was_said_is_quoted_after_the_reason() {
        let failure = Failure { what: "exit code 1".into(), said: "no\nnginx".into() };
        assert_eq!(failure.to_string(), "exit code 1, it said \"no\\nnginx\"");
        assert_eq!(Failure::new("exit code 1").to_string(), "exit code 1");
    }

    /// The rule again, over the whole history: a verdict stands from the look that began it until
    /// the end of the first run of contrary looks that is long enough.
    fn plainly(history: &[bool], rise: usize, fall: usize) -> Option<bool> {
        let (mut verdict, mut from) = (*history.first()?, 0);
        'turns: loop {
            let needed = if verdict { fall } else { rise };
            for end in from + needed..=history.len() {
                if history[end - needed..end].iter().all(|good| *good != verdict) {
                    (verdict, from) = (!verdict, end);
                    continue 'turns;
                }
            }
            return Some(verdict);
        }
    }

    proptest! {
        #[test]
        fn any_history_has_the_verdict_of_the_plain_rule(
            history in proptest::collection::vec(any::<bool>(), 0..40),
            rise in 1..5_u8,
            fall in 1..5_u8,
        ) {
            let mut tally = tally(rise, fall);
            for (i, good) in history.iter().enumerate() {
                tally.note(if *good { Outcome::Good } else { bad("x") });
                let plain = plainly(&history[..=i], usize::from(rise), usize::from(fall));
                prop_assert_eq!(*tally.verdict() == Verdict::Good, plain == Some(true));
            }
        }

        #[test]
        fn a_verdict_turns_only_after_as_many_looks_as_it_is_told(
            history in proptest::collection::vec(any::<bool>(), 1..40),
            rise in 1..5_u8,
            fall in 1..5_u8,
        ) {
            let mut tally = tally(rise, fall);
            let mut since_turn = 0;
            for (i, good) in history.iter().enumerate() {
                let before = tally.verdict().clone();
                tally.note(if *good { Outcome::Good } else { bad("x") });
                since_turn += 1;
                if before != *tally.verdict() {
                    let needed = if *good { rise } else { fall };
                    prop_assert!(i == 0 || since_turn >= needed);
                    since_turn = 0;
                }
            }
        }
    }
}
