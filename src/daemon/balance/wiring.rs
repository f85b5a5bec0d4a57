//! The thread that watches the links to real servers: started when there is something to watch,
//! and again when it dies; what it finds is told, but never without end.
//!
//! Nothing hangs on it but alarms. When it is seen to stand still these are not known any more, and
//! it is given up: it ends as soon as it goes on, and only then another one begins, which finds
//! anew what is wrong. So there is never more than one, and none that knows what was long ago.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::Healths;
use super::again::Again;
use crate::check::wire::config::WireConfig;
use crate::check::wire::finding::{Fault, Finding};
use crate::check::wire::flow::{self, FlowConfig};
use crate::check::wire::{self, Findings, Up, Wire, segment};
use crate::clock::Moment;
use crate::control::wall;
use crate::daemon::heart::Heart;
use crate::daemon::log;

/// As many findings are told within this time.
const MOST: u32 = 20;
const WITHIN: Duration = Duration::from_secs(60);

/// The thread turns at least once a second. A busy host, or a kernel with very many interfaces, may
/// cost it some turns and not ten in a row.
const STILL: Duration = Duration::from_secs(10);

/// As many findings are known at most: one for each of a thousand servers.
const KNOWN: usize = 1024;

/// The thread, or the place for it.
pub(super) struct Wiring {
    running: Option<(Wire, Findings)>,
    /// One that stands still since that moment. It has been told to end.
    stuck: Option<(Wire, Moment)>,
    /// Since when nothing is watched, in milliseconds since 1970.
    unwatched: Option<u64>,
    wanted: Vec<WireConfig>,
    flows: Vec<FlowConfig>,
    up: Up,
    again: Again,
    heart: Heart,
    /// What was found and is not over.
    faults: BTreeSet<Fault>,
    /// How many findings there were of late.
    found: u32,
    found_since: Instant,
}

/// What it woke up for.
pub enum Word {
    /// Something on a link that nobody asked for.
    Found(Finding),
    /// The thread is no more.
    Died,
    /// It is to be started again.
    Due,
}

impl Wiring {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Wiring {
            running: None,
            stuck: None,
            unwatched: None,
            wanted: Vec::new(),
            flows: Vec::new(),
            up: Up::default(),
            again: Again::new(now),
            heart: Heart::default(),
            faults: BTreeSet::new(),
            found: 0,
            found_since: now,
        }
    }

    /// Watches these from now on.
    pub(super) fn configure(&mut self, wires: &[WireConfig], flows: &[FlowConfig]) {
        (self.wanted, self.flows) = (wires.to_vec(), flows.to_vec());
        self.faults.retain(|fault| {
            wires.iter().any(|config| wire::is_of(config, fault))
                || flows.iter().any(|config| flow::is_of(config, fault))
        });
        match &self.running {
            Some((running, _)) => running.configure(self.wanted.clone(), self.flows.clone()),
            // One at a time, and none for nothing.
            None if self.stuck.is_some() || self.is_idle() => {}
            None => self.begin(),
        }
    }

    /// Whether there is nothing to watch.
    fn is_idle(&self) -> bool {
        self.wanted.is_empty() && self.flows.is_empty()
    }

    fn begin(&mut self) {
        let now = Instant::now();
        match Wire::start(self.wanted.clone(), self.flows.clone()) {
            Ok((wire, findings)) => {
                wire.reachable(self.up.clone());
                self.running = Some((wire, findings));
                self.again.began(now);
                self.unwatched = None;
            }
            Err(error) => {
                self.unwatched.get_or_insert_with(wall);
                let rest = self.again.died(now);
                let text = "the link to the real servers is not watched; tried again in";
                tracing::error!(%error, "{text} {rest:?}");
            }
        }
    }

    /// Waits for what comes next. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Word {
        match &mut self.running {
            Some((_, findings)) => findings.next().await.map_or(Word::Died, Word::Found),
            None => {
                self.again.wait().await;
                Word::Due
            }
        }
    }

    /// Takes in what came.
    pub(super) fn take(&mut self, word: Word) {
        match word {
            Word::Found(finding) => {
                match &finding {
                    Finding::Found(fault) if self.faults.len() < KNOWN => {
                        self.faults.insert(fault.clone());
                    }
                    Finding::Over(fault) => {
                        self.faults.remove(fault);
                    }
                    Finding::Found(_) | Finding::Unknown(_) => {}
                }
                self.tell(&finding);
            }
            Word::Died => {
                self.running = None;
                let rest = self.again.died(Instant::now());
                tracing::error!(
                    "the thread that watches the link to the real servers has died, which is a \
                     defect of converge: it is started again in {rest:?}"
                );
                self.forget(wall());
            }
            Word::Due => self.begin(),
        }
    }

    /// Looks whether the thread turns.
    pub(super) fn look(&mut self, now: Moment) {
        let still = self.heart.look(self.running.as_ref().map(|(wire, _)| wire.turns()), now);
        if still >= STILL
            && let Some((wire, _)) = self.running.take()
        {
            wire.end();
            self.stuck = Some((wire, now - still));
            tracing::error!(
                "the thread `wire`, which watches the link to the real servers, has not turned \
                 for {} s: what is wrong there is not known until it goes on; no server is \
                 touched by that",
                still.as_secs()
            );
            self.forget(wall().saturating_sub(u64::try_from(still.as_millis()).unwrap_or(0)));
        }
        if let Some((_, since)) = self.stuck.take_if(|(wire, _)| wire.has_ended()) {
            let rest = self.again.died(Instant::now());
            tracing::warn!(
                "the thread `wire` goes on, after {} s: the link to the real servers is watched \
                 anew in {rest:?}",
                now.since(since).as_secs()
            );
        }
    }

    /// Nobody looks any more, since that time, whether what was found is still so.
    fn forget(&mut self, since: u64) {
        self.unwatched.get_or_insert(since);
        for fault in std::mem::take(&mut self.faults) {
            self.tell(&Finding::Unknown(fault));
        }
    }

    /// Since when no link is watched that should be, in milliseconds since 1970.
    pub(super) fn unwatched(&self) -> Option<u64> {
        self.unwatched.filter(|_| !self.is_idle())
    }

    /// A thousand servers on the wrong link are one mistake and no thousand lines.
    fn tell(&mut self, finding: &Finding) {
        if self.found_since.elapsed() > WITHIN {
            (self.found_since, self.found) = (Instant::now(), 0);
        }
        self.found += 1;
        match self.found.cmp(&MOST) {
            Ordering::Less => log::finding(finding),
            Ordering::Equal => tracing::warn!(
                "there is more of this kind; CONVERGE_LOG=converge=debug tells all of it"
            ),
            Ordering::Greater => {}
        }
        tracing::debug!("{finding}");
    }

    /// Who answers checks has to be on the link, too, and its replies have to come by.
    pub(super) fn reachable(&mut self, health: &Healths) {
        if self.is_idle() {
            return;
        }
        let flows = flow::answering(&self.flows, health);
        self.up = Up { addresses: segment::answering(health), flows };
        if let Some((wire, _)) = &self.running {
            wire.reachable(self.up.clone());
        }
    }
}

#[cfg(test)]
mod tests;
