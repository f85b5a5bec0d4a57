//! The guard against our own blindness.
//!
//! If all servers seem to fail at once, or only this director sees them fail, the fault is likely
//! here: then the last good set stays as it was. What is evidence that they really failed ends it,
//! and so does the first of them that is well again.

use super::Pool;
use super::look::Look;
use super::view::View;
use crate::clock::Moment;

/// Whether the last good set is held.
#[derive(Clone, Debug)]
pub(super) enum Guard {
    /// It is not.
    Open,
}

impl Guard {
    pub(super) fn timeout(&self, _on: bool, _now: Moment) -> Option<Moment> {
        match self {
            Guard::Open => None,
        }
    }
}

/// Whether another director sees what we do not.
#[derive(Clone, Debug, Default)]
pub(super) struct Blindness {
    /// Since when, and whether for so long that it is believed.
    since: Option<Moment>,
    is_believed: bool,
}

impl Blindness {
    pub(super) fn is_believed(&self) -> bool {
        self.is_believed
    }

    pub(super) fn timeout(&self, _now: Moment) -> Option<Moment> {
        self.since
    }
}

impl Pool {
    /// Holds the last good set, goes on holding it, or lets go.
    pub(super) fn watch_over(
        &mut self,
        _looks: &[Look<'_>],
        _view: &View<'_>,
        _fell: &[usize],
        _now: Moment,
    ) {
    }
}
