//! The checker: which check begins when, and what its outcomes add up to. Pure; told the time.
//!
//! Each check has a steady beat of its own ([`beat`]) and is judged by rise and fall
//! ([`judgement`]). It begins on its beat whatever the last answer took; between beats only while
//! the answers are about to turn what is held true (`fast`). No more than [`Limits::at_once`] run
//! at the same time: what is due then waits its turn, oldest first, so nothing waits for ever.
//!
//! The driver gives one input and drains [`Checker::poll_output`], then sleeps up to
//! [`Checker::poll_timeout`]. It hands in the outcomes it has before it lets time pass, so that a
//! host that was held up does not take answers that lie in its sockets for silence.

mod beat;
mod entry;
mod judgement;
mod reload;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::config::CheckConfig;
use super::outcome::{Health, Outcome};
use crate::clock::Moment;
use entry::Entry;
pub use tally::Tally;

/// One execution of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    index: u32,
    generation: u32,
}

impl Run {
    /// A small number that no other run in flight has: a place in a table.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// What the machine below us bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Runs in flight at the same time; at least one.
    pub at_once: usize,
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Begin, and answer with [`Checker::handle_outcome`].
    Begin {
        /// The name of what begins.
        run: Run,
        /// What is to be done.
        check: Arc<CheckConfig>,
    },
    /// Its time is up: stop it, and answer at once with what is known of it.
    Expire(Run),
    /// It is no longer wanted, or makes way for the next beat: stop it. Nothing is to be answered.
    Abort(Run),
    /// The state, the advice or the reason is another. Not said of what is new and unknown.
    Changed(Arc<CheckConfig>, Health),
}

/// All checks of a host.
#[derive(Debug)]
pub struct Checker {
    at_once: usize,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_check: BTreeMap<Arc<CheckConfig>, u32>,
    /// When what is not running is due to begin.
    starts: BTreeSet<(Moment, u32)>,
    /// When the time of what is running is up.
    ends: BTreeSet<(Moment, u32)>,
    outputs: VecDeque<Output>,
    tally: Tally,
    /// Of the next run.
    generation: u32,
    /// Where the next new check lies between two beats, in parts of 2^64.
    place: u64,
}

impl Checker {
    /// Nothing to check yet. The seed decides where the beats lie.
    pub fn new(limits: Limits, seed: u64) -> Self {
        Checker {
            at_once: limits.at_once.max(1),
            entries: Vec::new(),
            free: Vec::new(),
            by_check: BTreeMap::new(),
            starts: BTreeSet::new(),
            ends: BTreeSet::new(),
            outputs: VecDeque::new(),
            tally: Tally::default(),
            generation: 0,
            place: seed,
        }
    }

    /// These are the checks from now on. What stays keeps its beat and what is known of it; so
    /// does what differs in timing alone, as far as it can.
    pub fn configure(&mut self, checks: &BTreeSet<Arc<CheckConfig>>, now: Moment) {
        reload::configure(self, checks, now);
        self.begin_due(now);
    }

    /// A run has ended. One that is not in flight is ignored.
    pub fn handle_outcome(&mut self, run: Run, outcome: Outcome, now: Moment) {
        let was_full = self.is_full();
        let Some(entry) = flying(&mut self.entries, run) else { return };
        let Some(flight) = entry.flight.take() else { return };
        self.ends.remove(&(flight.ends, run.index));
        self.tally.end();
        let outcome = entry.forgive(&flight, outcome);
        let timing = &entry.check.timing;
        if entry.judgement.take(outcome, timing, now) {
            let health = entry.judgement.health.clone();
            self.outputs.push_back(Output::Changed(Arc::clone(&entry.check), health));
        }
        entry.due = entry.next(flight.began, now);
        self.starts.insert((entry.due, run.index));
        if was_full {
            self.begin_due(now);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Moment) {
        while let Some(&(ends, index)) = self.ends.first()
            && ends <= now
        {
            self.ends.pop_first();
            self.end(index, now);
        }
        self.begin_due(now);
    }

    /// This process was not run for a while, whatever the reason. Servers may have given up on what
    /// is in flight.
    pub fn handle_pause(&mut self) {
        let flights = self.entries.iter_mut().flatten().filter_map(|entry| entry.flight.as_mut());
        flights.for_each(|flight| flight.paused = true);
    }

    /// The time of a run is up, or it makes way for the next beat.
    fn end(&mut self, index: u32, now: Moment) {
        let Some(entry) = &mut self.entries[index as usize] else { return };
        let Some(flight) = entry.flight else { return };
        if !flight.makes_way(entry.check.timing.timeout) {
            return self.outputs.push_back(Output::Expire(flight.run));
        }
        entry.flight = None;
        entry.due = entry.next(flight.began, now);
        self.tally.end();
        self.starts.insert((entry.due, index));
        self.outputs.push_back(Output::Abort(flight.run));
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether there is anything to be done.
    pub fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// When [`Checker::handle_timeout`] is wanted.
    pub fn poll_timeout(&self) -> Option<Moment> {
        // What is due and has no room waits for an outcome, not for time.
        let start = self.starts.first().filter(|_| !self.is_full());
        let first = start.into_iter().chain(self.ends.first()).min();
        first.map(|(moment, _)| *moment)
    }

    /// What is held true of a check.
    pub fn health(&self, check: &CheckConfig) -> Option<&Health> {
        let index = *self.by_check.get(check)?;
        self.entries[index as usize].as_ref().map(|entry| &entry.judgement.health)
    }

    /// What was done up to now.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn is_full(&self) -> bool {
        self.tally.in_flight >= self.at_once
    }

    /// Begins what is due, oldest first, as far as there is room.
    fn begin_due(&mut self, now: Moment) {
        while !self.is_full()
            && let Some(&(due, index)) = self.starts.first()
            && due <= now
        {
            self.starts.pop_first();
            let run = Run { index, generation: self.generation };
            self.generation = self.generation.wrapping_add(1);
            let entry = self.entries[index as usize].as_mut();
            let entry = entry.expect("what is due to begin is there");
            self.tally.skipped += entry.left_out(now);
            self.tally.begin(now.since(due));
            self.ends.insert((entry.begin(run, now), index));
            self.outputs.push_back(Output::Begin { run, check: Arc::clone(&entry.check) });
        }
    }
}

/// The entry whose run this is, while it is.
fn flying(entries: &mut [Option<Entry>], run: Run) -> Option<&mut Entry> {
    let entry = entries.get_mut(run.index())?.as_mut()?;
    let is_it = entry.flight.is_some_and(|flight| flight.run == run);
    is_it.then_some(entry)
}
