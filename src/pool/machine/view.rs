//! What a pool is told: the whole truth of the moment, never a difference.
//!
//! So nothing depends on having seen an earlier view, and telling the same twice changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::check::config::CheckConfig;
use crate::check::made::Made;
use crate::check::outcome::Health;
use crate::clock::Moment;
use crate::pool::words::Words;

/// All that a pool's shares depend on beside its configuration and its past.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What is held true of each check; one that is missing was not judged yet.
    pub health: &'a BTreeMap<Arc<CheckConfig>, Health>,
    /// In which time the checks were made: what is held true of them says nothing of later.
    pub made: Made,
    /// What the operator said; a drain whose time is over is maintenance there.
    pub words: &'a Words,
    /// What the other directors see of this pool, as far as it is fresh.
    pub peers: &'a [Peer],
    /// Whether anything on the servers' network that is none of them answers us; `None` where
    /// nothing was given to be asked.
    pub witness: Option<Witness>,
}

/// What those on the servers' network say that are none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Any of them answers, as far as that is known.
    pub answers: bool,
    /// Within this time each of them is asked, and missed if it does not answer.
    pub within: Duration,
}

/// What another director sees of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// What it sees.
    pub sees: Summary,
    /// When it said so. It says so every two seconds, also if nothing has changed.
    pub at: Moment,
}

/// What a director sees of a pool, for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// As many servers are well.
    pub up: u32,
    /// As many are not.
    pub down: u32,
    /// As many were not judged yet.
    pub unknown: u32,
    /// It sees none that is well and takes the fault to be its own, so what it sees is no evidence.
    pub held: bool,
}
