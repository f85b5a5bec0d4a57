//! Faults as episodes: told once when they have begun and once when they are over.
//!
//! What rounds see has to be seen by two of them, what they miss by three, for a frame may be lost;
//! a fault that was told is over when three rounds did not see it. A packet that came by is proof
//! enough at once, and is believed for ten minutes, since clients may be few.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::check::wire::finding::{Fault, Finding};
use crate::clock::Moment;

/// Rounds that have to see what answers.
const SEEN: u8 = 2;
/// Rounds that have to miss an answer, or a fault that was told.
const MISSED: u8 = 3;
/// How long a reply that came by is believed.
const QUIET: Duration = Duration::from_secs(600);

/// All faults that are told or suspected.
#[derive(Debug, Default)]
pub(super) struct Episodes(BTreeMap<Fault, Episode>);

#[derive(Clone, Copy, Debug, Default)]
struct Episode {
    told: bool,
    /// Rounds in a row that say otherwise than what was told.
    against: u8,
    /// When a packet showed it.
    last: Option<Moment>,
}

impl Episodes {
    /// A packet showed a fault.
    pub(super) fn saw(&mut self, fault: Fault, now: Moment) -> Option<Finding> {
        let episode = self.0.entry(fault.clone()).or_default();
        episode.last = Some(now);
        let is_new = !std::mem::replace(&mut episode.told, true);
        is_new.then_some(Finding::Found(fault))
    }

    /// A round saw these. `absent` says whether one that was not seen can be over.
    pub(super) fn judge(
        &mut self,
        seen: &BTreeSet<Fault>,
        absent: impl Fn(&Fault) -> bool,
        now: Moment,
    ) -> Vec<Finding> {
        for fault in seen {
            self.0.entry(fault.clone()).or_default();
        }
        let mut told = Vec::new();
        self.0.retain(|fault, episode| {
            if let Some(last) = episode.last {
                let over = now.since(last) >= QUIET;
                told.extend(over.then(|| Finding::Over(fault.clone())));
                return !over;
            }
            let is_seen = seen.contains(fault);
            if is_seen == episode.told || (episode.told && !absent(fault)) {
                episode.against = 0;
                return episode.told;
            }
            episode.against += 1;
            match (is_seen, episode.against >= needed(fault, is_seen)) {
                (_, false) => true,
                (true, true) => {
                    *episode = Episode { told: true, ..Episode::default() };
                    told.push(Finding::Found(fault.clone()));
                    true
                }
                (false, true) => {
                    told.push(Finding::Over(fault.clone()));
                    false
                }
            }
        });
        told
    }

    /// Whether nothing is suspected.
    pub(super) fn are_settled(&self) -> bool {
        self.0.values().all(|episode| episode.against == 0)
    }

    /// Forgets those that are no longer watched.
    pub(super) fn retain(&mut self, keep: impl Fn(&Fault) -> bool) {
        self.0.retain(|fault, _| keep(fault));
    }
}

fn needed(fault: &Fault, is_seen: bool) -> u8 {
    match fault {
        Fault::Elsewhere { .. } if !is_seen => 1,
        Fault::Leak { .. } | Fault::Duplicate { .. } if is_seen => SEEN,
        Fault::Leak { .. }
        | Fault::Duplicate { .. }
        | Fault::Returns { .. }
        | Fault::OneWay { .. }
        | Fault::Elsewhere { .. } => MISSED,
    }
}
