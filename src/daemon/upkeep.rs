//! Keeps the host what its role says: reconciles when something changed, when something may have
//! drifted, and from time to time unasked.
//!
//! Two of them, so that a unit that hangs does not keep a dead server in the IPVS table: one for
//! the table, which is looked at several times a second because the kernel never tells of a change
//! to it, and one for all else. Each makes one reconcile at a time; what comes up meanwhile makes
//! for one more. A failure is tried again after a while that doubles. What failed is remembered,
//! because a director on which the IPVS table could not be made must not draw the traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::host::HostError;
use crate::plan::Change;
use crate::reconcile::{Outcome, Report};
use crate::resource::{Id, Kind};

/// After an event, for those that come with it.
const SETTLE: Duration = Duration::from_millis(100);
/// A look unasked: for what changes without an event.
const FLOOR: Duration = Duration::from_secs(30);
/// The same for what never changes with an event, if a look is cheap.
const QUICK_FLOOR: Duration = Duration::from_millis(250);
/// And the longest for it: who empties a table notices.
const QUICK_CEILING: Duration = Duration::from_secs(1);
/// The longest wait for it while something of it fails.
const QUICK_RETRY: Duration = Duration::from_secs(5);
/// The first and the longest wait before something that failed is tried again.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How much of the time looks at the table may take: one part in this many.
const SHARE: u32 = 100;

/// How often to look unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Now and then: most changes are told.
    Slow,
    /// As soon as it does no harm: no change is told.
    Quick,
}

impl Pace {
    /// From the end of a look that took so long to the next.
    fn rest(self, took: Duration) -> Duration {
        match self {
            Pace::Slow => FLOOR,
            Pace::Quick => (took * SHARE).clamp(QUICK_FLOOR, QUICK_CEILING),
        }
    }
}

/// When to look next, and what the last look left undone.
#[derive(Debug)]
pub struct Upkeep {
    pace: Pace,
    began: Instant,
    due: Instant,
    retry: Duration,
    /// Whether the host was ever what its role says, as far as it can be.
    looked: bool,
    failing: Failing,
    before: Failing,
}

/// No look is ever further away than this.
const LATEST: Duration = Duration::from_secs(120);

/// What could not be made or seen, and why.
#[derive(Clone, Debug, Default)]
pub struct Failing {
    resources: BTreeMap<Id, String>,
    kinds: BTreeMap<Kind, String>,
}

impl Upkeep {
    /// To look at once.
    pub fn new(pace: Pace, now: Instant) -> Self {
        let (failing, before) = (Failing::default(), Failing::default());
        Upkeep { pace, began: now, due: now, retry: RETRY.0, looked: false, failing, before }
    }

    /// When to look next.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// The desired state is another one: look at once.
    pub fn wanted(&mut self, now: Instant) {
        self.due = self.due.min(now);
    }

    /// Something may have drifted: look, but not for every single event.
    pub fn drifted(&mut self, now: Instant) {
        self.due = self.due.min(now + SETTLE);
    }

    /// Takes in how a look ended that began when [`Upkeep::due`] had come.
    pub fn done(&mut self, result: Result<&Report, &HostError>, now: Instant) {
        let settled = match result {
            Ok(report) => {
                self.looked = true;
                self.before = std::mem::replace(&mut self.failing, failing(report));
                report.converged()
            }
            Err(_) => false,
        };
        let rest = self.pace.rest(now.saturating_duration_since(self.began));
        let wait = match (settled, self.pace) {
            (true, _) => rest,
            (false, Pace::Slow) => self.retry,
            // One virtual server that the kernel does not take must not cost the others their care.
            (false, Pace::Quick) => self.retry.min(QUICK_RETRY),
        };
        self.retry = if settled { RETRY.0 } else { (self.retry * 2).min(RETRY.1) };
        self.due = self.due.min(now + wait);
    }

    /// What the last look left undone.
    pub fn failing(&self) -> &Failing {
        &self.failing
    }

    /// Begins a look: what comes up from now on makes for another one.
    pub fn begin(&mut self, pace: Pace, now: Instant) {
        (self.pace, self.began) = (pace, now);
        self.due = now + LATEST;
    }

    /// Why a router that needs these may not be Active; empty if it may. A single failure does not
    /// make an Active one step down: the next look decides.
    pub fn unmet(&self, needs: &BTreeSet<Id>, active: bool) -> BTreeSet<String> {
        if !self.looked {
            return BTreeSet::from(["the host is not converged yet".to_owned()]);
        }
        let of = |failing: &Failing| -> BTreeMap<Id, String> {
            let why = |id: &Id| failing.resources.get(id).or_else(|| failing.kinds.get(&id.kind));
            needs.iter().filter_map(|id| Some((id.clone(), why(id)?.clone()))).collect()
        };
        let before = of(&self.before);
        let lasting = |id: &Id| !active || before.contains_key(id);
        let unmet = of(&self.failing).into_iter().filter(|(id, _)| lasting(id));
        unmet.map(|(id, why)| format!("{id}: {why}")).collect()
    }
}

impl Failing {
    /// Whether this came out in the same way.
    pub fn has(&self, id: &Id, outcome: &Outcome) -> bool {
        let why = why(outcome);
        why.is_some() && self.resources.get(id) == why.as_ref()
    }

    /// Whether this kind could not be looked at for the same reason.
    pub fn has_kind(&self, kind: Kind, error: &HostError) -> bool {
        self.kinds.get(&kind) == Some(&error.to_string())
    }
}

/// Why a change was not made.
fn why(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Done => None,
        Outcome::Failed(error) => Some(error.to_string()),
        Outcome::Held { by } => Some(format!("needs {by}, which failed")),
    }
}

fn failing(report: &Report) -> Failing {
    let why = |(change, outcome): &(Change, Outcome)| Some((change.id(), why(outcome)?));
    let unsettled = report.unsettled.changes.iter();
    let unsettled = unsettled.map(|c| (c.id(), "differs still after it was changed".to_owned()));
    Failing {
        resources: report.changes.iter().filter_map(why).chain(unsettled).collect(),
        kinds: report.unknown.iter().map(|(kind, error)| (*kind, error.to_string())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> Id {
        Id { kind: Kind::VirtualServer, name: name.into() }
    }

    fn blind() -> Report {
        let error = HostError::Unit(crate::host::UnitError::NoSystemd);
        Report { unknown: vec![(Kind::VirtualServer, error)], ..Report::default() }
    }

    #[test]
    fn nobody_is_active_before_the_first_look() {
        let now = Instant::now();
        let mut upkeep = Upkeep::new(Pace::Slow, now);
        assert!(!upkeep.unmet(&BTreeSet::new(), false).is_empty());
        upkeep.done(Ok(&Report::default()), now);
        assert!(upkeep.unmet(&BTreeSet::from([id("a")]), false).is_empty());
    }

    #[test]
    fn an_active_router_steps_down_only_for_what_fails_twice() {
        let now = Instant::now();
        let mut upkeep = Upkeep::new(Pace::Slow, now);
        let needs = BTreeSet::from([id("a")]);
        upkeep.done(Ok(&Report::default()), now);
        upkeep.done(Ok(&blind()), now);
        assert!(upkeep.unmet(&needs, true).is_empty());
        assert!(!upkeep.unmet(&needs, false).is_empty(), "another one may not become Active");
        upkeep.done(Ok(&blind()), now);
        assert!(!upkeep.unmet(&needs, true).is_empty());
        upkeep.done(Ok(&Report::default()), now);
        assert!(upkeep.unmet(&needs, true).is_empty());
    }

    #[test]
    fn what_fails_is_tried_again_ever_less_often_and_what_is_well_now_and_then() {
        let now = Instant::now();
        let mut upkeep = Upkeep::new(Pace::Slow, now);
        let wait = |upkeep: &mut Upkeep, report: &Report| {
            upkeep.begin(Pace::Slow, now);
            upkeep.done(Ok(report), now);
            upkeep.due() - now
        };
        assert_eq!(wait(&mut upkeep, &blind()), Duration::from_secs(1));
        assert_eq!(wait(&mut upkeep, &blind()), Duration::from_secs(2));
        let longest = (0..10).map(|_| wait(&mut upkeep, &blind())).max();
        assert_eq!(longest, Some(RETRY.1));
        assert_eq!(wait(&mut upkeep, &Report::default()), FLOOR);
        upkeep.drifted(now);
        assert_eq!(upkeep.due() - now, SETTLE);
        upkeep.wanted(now);
        assert_eq!(upkeep.due(), now);
    }

    #[test]
    fn the_table_is_looked_at_often_unless_a_look_takes_long() {
        let now = Instant::now();
        let mut upkeep = Upkeep::new(Pace::Quick, now);
        let mut wait = |took: Duration| {
            upkeep.begin(Pace::Quick, now);
            upkeep.done(Ok(&Report::default()), now + took);
            upkeep.due() - (now + took)
        };
        assert_eq!(wait(Duration::from_micros(100)), QUICK_FLOOR);
        assert_eq!(wait(Duration::from_millis(5)), Duration::from_millis(500));
        assert_eq!(wait(Duration::from_millis(40)), QUICK_CEILING);
    }

    #[test]
    fn what_fails_again_in_the_same_way_is_known() {
        let held = |by: &str| Outcome::Held { by: id(by) };
        let resources = BTreeMap::from([(id("a"), "needs ".to_owned() + &id("b").to_string())]);
        let mut known = Failing { resources, ..Failing::default() };
        assert!(!known.has(&id("a"), &held("b")), "for another reason");
        known.resources.insert(id("a"), why(&held("b")).expect("a reason"));
        assert!(known.has(&id("a"), &held("b")));
        assert!(!known.has(&id("a"), &held("c")));
        assert!(!known.has(&id("b"), &held("b")));
        assert!(!known.has(&id("a"), &Outcome::Done));
        let (kind, error) = &blind().unknown[0];
        assert!(!known.has_kind(*kind, error));
        assert!(failing(&blind()).has_kind(*kind, error));
    }

    #[test]
    fn what_comes_up_during_a_look_makes_for_another_one() {
        let now = Instant::now();
        let mut upkeep = Upkeep::new(Pace::Slow, now);
        upkeep.begin(Pace::Slow, now);
        upkeep.drifted(now);
        upkeep.done(Ok(&Report::default()), now);
        assert_eq!(upkeep.due() - now, SETTLE);
    }
}
