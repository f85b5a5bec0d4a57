//! What every conversation has to stand.
//!
//! Its server's words are cut anywhere, which must change nothing; and changed, mixed with junk and
//! repeated without end, which must neither panic nor fill the memory nor go on for ever.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::exchange::{Exchange, Speaker};
use super::{Dialogue, MOST_BYTES, Step};
use crate::check::outcome::Outcome;

/// Makes the conversation anew.
type Make = Box<dyn Fn() -> Box<dyn Dialogue>>;

/// A conversation and what its server says. Each claim at the end is tried with the server's words
/// whole, cut at every byte, and byte by byte; then with junk.
pub(crate) struct Ordeal {
    make: Make,
    /// What the server says; TLS begins between two of them.
    heard: Vec<Vec<u8>>,
    /// What it is told, checked on the way.
    live: Option<(Box<dyn Dialogue>, Step)>,
    said: Vec<u8>,
    ends: bool,
}

/// How it went: what was said, and the last step.
#[derive(Debug, PartialEq)]
struct Went {
    said: Vec<u8>,
    step: Step,
}

impl Ordeal {
    pub(crate) fn new<S: Speaker + 'static>(make: impl Fn() -> S + 'static) -> Ordeal {
        Ordeal::of(move || Exchange::boxed(make()))
    }

    pub(crate) fn of(make: impl Fn() -> Box<dyn Dialogue> + 'static) -> Ordeal {
        let mut dialogue = make();
        let mut said = Vec::new();
        let step = dialogue.open(&mut said);
        let live = Some((dialogue, step));
        Ordeal { make: Box::new(make), heard: vec![Vec::new()], live, said, ends: false }
    }

    /// The server says this.
    pub(crate) fn hears(mut self, bytes: &[u8]) -> Ordeal {
        let (dialogue, step) = self.live.as_mut().expect("a conversation");
        assert_eq!(*step, Step::More, "it is over before {:?}", bytes.escape_ascii().to_string());
        *step = dialogue.feed(bytes, &mut self.said);
        self.heard.last_mut().expect("one").extend_from_slice(bytes);
        self
    }

    /// And was told this since it was last asked.
    #[track_caller]
    pub(crate) fn says(mut self, bytes: &[u8]) -> Ordeal {
        let (said, wanted) = (self.said.escape_ascii(), bytes.escape_ascii());
        assert_eq!(said.to_string(), wanted.to_string());
        self.said.clear();
        self
    }

    /// TLS is asked for, and stands.
    #[track_caller]
    pub(crate) fn upgrades(mut self) -> Ordeal {
        let (dialogue, step) = self.live.as_mut().expect("a conversation");
        assert_eq!(*step, Step::Upgrade);
        self.said.clear();
        *step = dialogue.upgraded(&mut self.said);
        self.heard.push(Vec::new());
        self
    }

    /// The server closes.
    pub(crate) fn ends(mut self) -> Ordeal {
        let (dialogue, step) = self.live.as_mut().expect("a conversation");
        assert_eq!(*step, Step::More, "it is over before the end");
        *step = dialogue.end();
        self.ends = true;
        self
    }

    #[track_caller]
    pub(crate) fn ends_good(self) {
        self.ends_as(|outcome| match outcome {
            Outcome::Good(advice) => assert_eq!(*advice, Default::default()),
            Outcome::Bad(_) | Outcome::Unmade(_) => panic!("{outcome:?}"),
        });
    }

    #[track_caller]
    pub(crate) fn ends_bad(self, what: &str) {
        self.ends_as(|outcome| match outcome {
            Outcome::Bad(failure) => {
                assert_eq!(failure.what, what);
                assert_eq!(failure.evidence, crate::check::outcome::Evidence::Answered);
            }
            Outcome::Good(_) | Outcome::Unmade(_) => panic!("{outcome:?}, not {what}"),
        });
    }

    /// The server says no more, and that is found out by the time alone.
    #[track_caller]
    pub(crate) fn silent(self, so_far: &str) {
        let (dialogue, step) = self.live.as_ref().expect("a conversation");
        assert_eq!(*step, Step::More);
        assert_eq!(dialogue.so_far(), so_far);
    }

    /// The outcome, which has to be the same wherever the words are cut.
    #[track_caller]
    pub(crate) fn ends_as(self, check: impl Fn(&Outcome)) {
        let (_, step) = self.live.as_ref().expect("a conversation");
        let Step::Done(outcome) = step else { panic!("{step:?}, not an outcome") };
        check(outcome);
        self.cut_anywhere_it_is_the_same();
        self.junk_is_no_harm();
    }

    fn cut_anywhere_it_is_the_same(&self) {
        let whole = self.went(&self.heard, |bytes| vec![bytes.to_vec()]);
        let single = self.went(&self.heard, |bytes| bytes.chunks(1).map(<[u8]>::to_vec).collect());
        assert_eq!(whole, single, "byte by byte");
        let longest = self.heard.iter().map(Vec::len).max().expect("one");
        for at in (0..=longest).filter(|at| longest < 2000 || at % 97 == 0) {
            let cut = self.went(&self.heard, |bytes| {
                let (a, b) = bytes.split_at(at.min(bytes.len()));
                vec![a.to_vec(), b.to_vec()]
            });
            assert_eq!(whole, cut, "cut at {at}");
        }
    }

    /// What the server says, changed here and there, never is more than a bad answer.
    fn junk_is_no_harm(&self) {
        let mut runner =
            TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
        let changes =
            prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..6);
        let strategy = (changes, 1..40usize, any::<Vec<u8>>());
        let all = self.heard.concat();
        let result = runner.run(&strategy, |(changes, size, junk)| {
            let mut heard = all.clone();
            for (index, byte, how) in changes {
                change(&mut heard, index, byte, how);
            }
            heard.extend_from_slice(&junk);
            self.comes_to_an_end(&heard, size);
            self.comes_to_an_end(&junk, size);
            Ok(())
        });
        result.expect("junk does no harm");
        // And one who goes on for ever, after each piece of what is right.
        for after in [0, all.len() / 2, all.len()] {
            for noise in [&b"\0"[..], b"\xff", b"220-x\r\n", b"0\x82\x7f\xff"] {
                let mut heard = all[..after].to_vec();
                heard.extend(noise.iter().cycle().take(MOST_BYTES + 1));
                self.comes_to_an_end(&heard, 5000);
            }
        }
    }

    /// Feeds until it is over; at the latest when the server closes.
    fn comes_to_an_end(&self, heard: &[u8], size: usize) {
        let mut dialogue = (self.make)();
        let mut out = Vec::new();
        let mut step = dialogue.open(&mut out);
        for bytes in heard.chunks(size) {
            match step {
                Step::More => step = dialogue.feed(bytes, &mut out),
                Step::Upgrade => step = dialogue.upgraded(&mut out),
                Step::Again | Step::Done(_) => break,
            }
            dialogue.so_far();
        }
        assert!(out.len() < 2 * MOST_BYTES, "it said {} bytes", out.len());
        if step == Step::More {
            assert!(matches!(dialogue.end(), Step::Done(_)));
        }
        if heard.len() > MOST_BYTES {
            assert!(step != Step::More, "{} bytes and no end", heard.len());
        }
    }

    fn went(&self, heard: &[Vec<u8>], cut: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Went {
        let mut dialogue = (self.make)();
        let mut said = Vec::new();
        let mut step = dialogue.open(&mut said);
        for (i, bytes) in heard.iter().enumerate() {
            if i > 0 {
                assert_eq!(step, Step::Upgrade, "before part {i}");
                step = dialogue.upgraded(&mut said);
            }
            for piece in cut(bytes) {
                if step == Step::More {
                    step = dialogue.feed(&piece, &mut said);
                }
            }
        }
        if self.ends && step == Step::More {
            step = dialogue.end();
        }
        Went { said, step }
    }
}

/// Changes a byte, drops some, doubles some, or cuts the rest off.
fn change(heard: &mut Vec<u8>, index: prop::sample::Index, byte: u8, how: u8) {
    if heard.is_empty() {
        return;
    }
    let at = index.index(heard.len());
    match how {
        0 => heard[at] = byte,
        1 => drop(heard.drain(at..(at + usize::from(byte % 8)).min(heard.len()))),
        2 => {
            let piece = heard[at..].to_vec();
            heard.extend(piece);
        }
        _ => heard.truncate(at),
    }
}

/// Why it cannot be made.
#[track_caller]
pub(crate) fn failure<S: Speaker + 'static>(speaker: S) -> String {
    match Exchange::boxed(speaker).open(&mut Vec::new()) {
        Step::Done(Outcome::Unmade(why)) => why,
        step => panic!("{step:?}"),
    }
}
