//! One of the two ways on which the host is kept what its role says: the IPVS table, or all else.
//!
//! Each has its own beat and its own reconcile under way, so that neither waits for the other. What
//! is wanted is worked out when role or situation change, and not for each look. A look at our own
//! ledger, at files and at directories has a thread beside the loop, for a disk or a user database
//! may hang; one that does holds up its lane alone. What other kinds read of the disk (units,
//! mounts, exports) and what is written is read and written on the loop.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::balance::at;
use super::log;
use super::upkeep::{Failing, Pace, Upkeep};
use crate::host::{Host, HostError};
use crate::plan::Change;
use crate::reconcile::{self, Outcome, Report};
use crate::resource::{Desired, Id, Kinds, Resource};

/// Longer than systemd's longest job of a look at the host, and some more.
const LATE: Duration = Duration::from_secs(300);

type Work<'h> = Pin<Box<dyn Future<Output = Result<Report, HostError>> + 'h>>;

/// One way.
pub struct Lane<'h> {
    host: &'h Host,
    kinds: Kinds,
    pace: Pace,
    desired: Rc<Desired>,
    upkeep: Upkeep,
    work: Option<Work<'h>>,
    /// When the work takes too long to be told nothing of it.
    late: Option<Instant>,
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
        let desired = Rc::default();
        Lane { host, kinds, pace, desired, upkeep, work: None, late: None, tried: false }
    }

    /// This is wanted from now on, as far as it is of this lane's kinds.
    pub fn want(&mut self, desired: &Desired) {
        let desired = desired.only(self.kinds);
        if *self.desired != desired {
            self.desired = Rc::new(desired);
            self.upkeep.wanted(Instant::now());
        }
    }

    /// The files whose change is drift.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        let path = |resource: &Resource| match resource {
            Resource::File(file) => Some(self.host.files().real(&file.path)),
            _ => None,
        };
        self.desired.state.iter().filter_map(|(_, resource)| path(resource)).collect()
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
        let Some(work) = &mut self.work else {
            sleep_until(self.upkeep.due()).await;
            return Step::Due;
        };
        loop {
            tokio::select! {
                result = work.as_mut() => return Step::Worked(result),
                () = at(self.late) => {
                    self.late = None;
                    log::late(LATE);
                }
            }
        }
    }

    /// Begins to look, and to put right what differs.
    pub fn begin(&mut self) {
        // Where nothing is wanted there is nothing to be quick about.
        let pace = if self.desired.state.is_empty() { Pace::Slow } else { self.pace };
        self.upkeep.begin(pace, Instant::now());
        let (desired, before) = (Rc::clone(&self.desired), self.upkeep.failing().clone());
        self.late = Some(Instant::now() + LATE);
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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::timeout;

    use super::*;
    use crate::host::scratch::Scratch;

    #[tokio::test]
    async fn a_look_that_does_not_end_is_told_of_once_and_goes_on() {
        let scratch = Scratch::new();
        let host = scratch.host();
        let mut lane = Lane::new(&host, Kinds::All, Pace::Slow);
        lane.begin();
        assert!(lane.late.is_some_and(|late| late > Instant::now()));
        lane.work = Some(Box::pin(pending()));
        lane.late = Some(Instant::now());
        assert!(timeout(Duration::from_millis(50), lane.next()).await.is_err());
        assert!(lane.late.is_none() && lane.work.is_some());
    }
}
