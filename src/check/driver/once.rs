//! Who wants to know how each single check ended, and how long it took.
//!
//! For a command that makes every check once. The resident converge only wants to know what they
//! add up to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::check::config::CheckConfig;
use crate::check::machine::Run;
use crate::check::outcome::Outcome;
use crate::clock::Moment;

/// A check that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Which one.
    pub check: Arc<CheckConfig>,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// Where what was made comes out. Its writer makes each check once, so there is a bound to it.
pub struct Outcomes(UnboundedReceiver<Made>);

impl Outcomes {
    /// The next one. `None`: no more come.
    pub async fn next(&mut self) -> Option<Made> {
        self.0.recv().await
    }
}

/// Looks on.
pub(super) struct Onlooker {
    begun: BTreeMap<Run, (Arc<CheckConfig>, Moment)>,
    sender: UnboundedSender<Made>,
}

impl Onlooker {
    pub(super) fn handle_begin(&mut self, run: Run, check: &Arc<CheckConfig>, now: Moment) {
        self.begun.insert(run, (Arc::clone(check), now));
    }

    pub(super) fn handle_end(&mut self, run: Run, outcome: &Outcome, now: Moment) {
        if let Some((check, begun)) = self.begun.remove(&run) {
            let made = Made { check, outcome: outcome.clone(), took: now.since(begun) };
            // Whoever asked may have what he wanted.
            self.sender.send(made).ok();
        }
    }
}

/// Somebody who looks on, and what he sees.
pub(super) fn onlooker() -> (Onlooker, Outcomes) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Onlooker { begun: BTreeMap::new(), sender }, Outcomes(receiver))
}
