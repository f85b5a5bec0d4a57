//! What a run ends with, and what is told of a failure.
//!
//! A failure prints everything that is needed to understand it and to see it again: the seed, the
//! configuration, what happened before it, and how everything stood.

use std::fmt;

use crate::clock::Moment;

/// How much of the timeline a failure prints.
const LINES: usize = 80;

/// How a run went.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What it was made from.
    pub seed: u64,
    /// The scenario as text.
    pub scenario: String,
    /// What was broken first, if anything was.
    pub violation: Option<Violation>,
    /// What happened, where it was asked for or something was broken.
    pub timeline: Vec<String>,
    /// How much of it there was.
    pub tally: Tally,
}

/// How much happened in a run, to see that it tests what it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Routers that became Active.
    pub takeovers: u64,
    /// Advertisements sent.
    pub adverts: u64,
    /// Times at which everything had come to rest and was looked at.
    pub settled: u64,
    /// Moves after which it was looked whether the VIP had always been somewhere.
    pub moves: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.takeovers += other.takeovers;
        self.adverts += other.adverts;
        self.settled += other.settled;
        self.moves += other.moves;
    }
}

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The rule's name.
    pub rule: &'static str,
    /// When.
    pub at: Moment,
    /// By whom and how.
    pub what: String,
    /// How every host stood then.
    pub standing: String,
}

impl Verdict {
    /// Whether nothing was broken.
    pub fn is_good(&self) -> bool {
        self.violation.is_none()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(broken) = &self.violation else {
            return write!(f, "seed {}: nothing broken, {:?}", self.seed, self.tally);
        };
        writeln!(f, "{} is broken at {} with seed {}", broken.rule, broken.at, self.seed)?;
        writeln!(f, "  {}\n\n{}", broken.what, self.scenario)?;
        let from = self.timeline.len().saturating_sub(LINES);
        writeln!(f, "the last {} of {} lines:", self.timeline.len() - from, self.timeline.len())?;
        for line in &self.timeline[from..] {
            writeln!(f, "{line}")?;
        }
        write!(f, "\n{}", broken.standing)
    }
}

/// What happened, if somebody wants to read it.
#[derive(Clone, Debug, Default)]
pub struct Timeline(Option<Vec<String>>);

impl Timeline {
    /// One that is kept, or one that costs nothing.
    pub fn new(kept: bool) -> Self {
        Timeline(kept.then(Vec::new))
    }

    /// Adds a line.
    pub fn note(&mut self, now: Moment, line: impl FnOnce() -> String) {
        if let Timeline(Some(lines)) = self {
            lines.push(format!("{:12.6} {}", now.since_start().as_secs_f64(), line()));
        }
    }

    /// The lines.
    pub fn into_lines(self) -> Vec<String> {
        self.0.unwrap_or_default()
    }
}
