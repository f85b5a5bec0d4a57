//! What a virtual router is told while it runs, besides advertisements.
//!
//! A [`Condition`] is always the whole truth of the moment and never a difference, so nothing
//! depends on having seen an earlier one. [`PeerNews`] comes over the connection between two
//! directors, and is true when it is said.

use std::collections::BTreeSet;
use std::time::Duration;

use super::State;

/// How a router begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As the RFCs have it.
    Fresh,
    /// As Active at once: the process before this one was, and was replaced as planned.
    Resume,
    /// Only to resign: a process before this one was Active and ended without doing so, and its
    /// VIPs are still here.
    Leaving,
}

/// What tracking knows about this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Why this router cannot be Active, in plain words. Empty: it can.
    pub faults: BTreeSet<String>,
    /// One of the faults is that the link itself is lost: nothing can be said or heard there.
    pub unreachable: bool,
    /// The sum of the weights, which moves the priority.
    pub adjust: i16,
}

/// What is known of another director, and when it is not from its advertisements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerNews {
    /// Its process has ended: a connection to it is refused.
    Gone,
    /// It ceases to be Active and will not take over.
    Resigned,
    /// It is there.
    Present {
        /// Its state.
        state: State,
        /// Its priority, tracking included.
        priority: u8,
    },
    /// Its process is being replaced, and will be back within this time.
    Restarting(Duration),
    /// The connection is lost, and nothing is known.
    Unknown,
}
