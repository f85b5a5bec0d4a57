//! What the plain model says of a pool at one time.
//!
//! The machine has to show the first four; the rest is what the model looks back to when it works
//! out the next row.

use super::*;

/// What is to come out at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) shares: BTreeMap<SocketAddr, (Option<u32>, Standing)>,
    pub(super) spare: Option<usize>,
    pub(super) summary: Summary,
    pub(super) is_blind: bool,
    /// The quorum is had, or lost, or not decided.
    pub(super) quorum: Option<bool>,
    /// Who is held, since when they failed, and since when one is well again.
    pub(super) held: BTreeSet<SocketAddr>,
    pub(super) first: Moment,
    pub(super) together: bool,
    pub(super) well: Option<Moment>,
    /// Since when they are held, whether that was told, since when something speaks against it, and
    /// when another director last saw some of them up.
    pub(super) noticed: Moment,
    pub(super) is_told: bool,
    pub(super) doubted: Option<Moment>,
    pub(super) is_seen: bool,
    pub(super) lost: Option<Moment>,
    /// What each server had by its own right.
    pub(super) earned: BTreeMap<SocketAddr, u32>,
}
