//! How a check can end, and what many of them add up to.
//!
//! An outcome says what is wrong in plain words, and by what evidence: a server that refuses has
//! proven that the way to it is open, one that is silent has proven nothing. A check that could not
//! be made is no outcome of the server's at all.

use std::fmt;

use crate::clock::Moment;

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Good(Advice),
    /// It is not.
    Bad(Failure),
    /// It could not be made, through no fault of the server's: no descriptor, no memory, no
    /// permission. It counts for nothing, and somebody has to be told.
    Unmade(String),
}

/// What a server says of itself beside being well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// The weight that it wants.
    pub weight: Option<Asked>,
    /// What it wants to be done with it.
    pub wish: Option<Wish>,
    /// What somebody should know although all is well: "its certificate ends in 5 days".
    pub note: Option<String>,
}

/// The weight that a server asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// This share of its configured weight, in percent; 0 takes no new connections.
    Percent(u16),
    /// This weight.
    Weight(u32),
}

/// What a server wants to be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// No new connections.
    Drain,
    /// No traffic.
    Maintenance,
}

/// What is wrong with a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In some words that stay the same as long as the same is wrong: "connection refused".
    pub what: String,
    /// How it is known.
    pub evidence: Evidence,
}

impl Failure {
    /// The server gave this wrong answer.
    pub fn answered(what: impl Into<String>) -> Self {
        Failure { what: what.into(), evidence: Evidence::Answered }
    }

    /// Nothing came from the server.
    pub fn silent(what: impl Into<String>) -> Self {
        Failure { what: what.into(), evidence: Evidence::Silent }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// How a failure is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Nothing came from the server: it is dead, or the way to it is.
    Silent,
    /// Something did: the way is open, and the server is at fault.
    Answered,
}

/// What is held to be true of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether it is well.
    pub state: State,
    /// Since when.
    pub since: Moment,
    /// What the last good check brought; nothing unless it is up.
    pub advice: Advice,
    /// The failures in a row that the last checks ended with, if they did.
    pub failing: Option<Failing>,
}

/// Whether a target is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is known yet.
    Unknown,
    /// It is well.
    Up,
    /// It is not.
    Down,
}

/// Checks that failed one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// When the first of them ended.
    pub since: Moment,
    /// What the last of them said.
    pub failure: Failure,
}
