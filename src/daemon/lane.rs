//! One of the two ways on which the host is kept what its role says: the IPVS table, or all else.
//!
//! Each has its own beat and its own reconcile under way, so that neither waits for the other. What
//! is wanted is worked out when role or situation change, and not for each look.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use tokio::time::{Instant, sleep_until};

use super::log;
use super::upkeep::{Failing, Pace, Upkeep};
use crate::host::{Host, HostError};
use crate::plan::Change;
use crate::reconcile::{self, Outcome, Report};
use crate::resource::{Desired, Id, Kinds};

type Work<'h> = Pin<Box<dyn Future<Output = Result<Report, HostError>> + 'h>>;

/// One way.
pub struct Lane<'h> {
    host: &'h Host,
    kinds: Kinds,
    pace: Pace,
    desired: Rc<Desired>,
    upkeep: Upkeep,
    work: Option<Work<'h>>,
    tried: bool,
}

/// What a lane woke up for.
pub enum Step {
    /// It is time to look.
    Due,
    /// A look ended.
    Worked(Result<Report, HostError>),
}

impl<'h> Lane<'h> {
    /// A lane for these kinds, of which nothing is wanted yet.
    pub fn new(host: &'h Host, kinds: Kinds, pace: Pace) -> Self {
        let upkeep = Upkeep::new(pace, Instant::now());
        Lane { host, kinds, pace, desired: Rc::default(), upkeep, work: None, tried: false }
    }

    /// This is wanted from now on, as far as it is of this lane's kinds.
    pub fn want(&mut self, desired: &Desired) {
        let desired = desired.only(self.kinds);
        if *self.desired != desired {
            self.desired = Rc::new(desired);
            self.upkeep.wanted(Instant::now());
        }
    }

    /// What is wanted.
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// Something may have changed.
    pub fn drifted(&mut self) {
        self.upkeep.drifted(Instant::now());
    }

    /// To look at once, whatever is known.
    pub fn hurry(&mut self) {
        self.upkeep.wanted(Instant::now());
    }

    /// Waits for what comes next. May be dropped and called again.
    pub async fn next(&mut self) -> Step {
        match &mut self.work {
            Some(work) => Step::Worked(work.await),
            None => {
                sleep_until(self.upkeep.due()).await;
                Step::Due
            }
        }
    }

    /// Begins to look, and to put right what differs.
    pub fn begin(&mut self) {
        // Where nothing is wanted there is nothing to be quick about.
        let pace = if self.desired.state.is_empty() { Pace::Slow } else { self.pace };
        self.upkeep.begin(pace, Instant::now());
        let (desired, before) = (Rc::clone(&self.desired), self.upkeep.failing().clone());
        self.work = Some(Box::pin(reconcile_all(self.host, desired, self.kinds, before)));
    }

    /// Takes in how a look ended.
    pub fn worked(&mut self, result: &Result<Report, HostError>) {
        self.work = None;
        self.tried = true;
        log::report(result, self.upkeep.failing());
        self.upkeep.done(result.as_ref(), Instant::now());
    }

    /// Whether a look has ended, well or not.
    pub fn has_tried(&self) -> bool {
        self.tried
    }

    /// Why a router that needs these may not be Active; empty if it may.
    pub fn unmet(&self, needs: &BTreeSet<Id>, active: bool) -> BTreeSet<String> {
        self.upkeep.unmet(needs, active)
    }
}

async fn reconcile_all(
    host: &Host,
    desired: Rc<Desired>,
    kinds: Kinds,
    before: Failing,
) -> Result<Report, HostError> {
    let tell = |change: &Change, outcome: &Outcome| log::change(change, outcome, &before);
    reconcile::reconcile(host, &desired, kinds, tell).await
}
