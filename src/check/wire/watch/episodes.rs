//! Faults as episodes: told once when they have begun and once when they are over.
//!
//! What rounds see has to be seen by several of them, and so what they miss, for a frame may be
//! lost; a fault that was told is over when three rounds did not see it. A packet that came by
//! could be one on its old way just after something moved; a second one, after this host has looked
//! at its own addresses again, is proof, and is believed for ten minutes, since clients may be few.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::check::wire::finding::{Fault, Finding};
use crate::clock::Moment;

/// Rounds that have to see a real server answer for a VIP.
const SEEN: u8 = 2;
/// The same of a stranger: who is who is learnt from answers that may be lost.
const SEEN_STRANGER: u8 = 3;
/// Rounds, of two seconds, that have to see two directors. After the death of a converge its host's
/// kernel goes on answering until the VIP's lease ends, which is no split: 8 s by default.
const SEEN_TWICE: u8 = 5;
/// Rounds that have to miss an answer, or a fault that was told.
const MISSED: u8 = 3;
/// From one reply that came by to the next that proves it: there was a look in between.
const AGAIN: Duration = Duration::from_secs(1);
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
    /// When a packet showed it first, and last.
    shown: Option<(Moment, Moment)>,
}

impl Episodes {
    /// A packet showed a fault.
    pub(super) fn saw(&mut self, fault: Fault, now: Moment) -> Option<Finding> {
        let episode = self.0.entry(fault.clone()).or_default();
        let (first, _) = episode.shown.unwrap_or((now, now));
        episode.shown = Some((first, now));
        let is_new = !episode.told && now.since(first) >= AGAIN;
        episode.told |= is_new;
        is_new.then_some(Finding::Found(fault))
    }

    /// Whether a packet has just shown something for the first time.
    pub(super) fn await_proof(&self, now: Moment) -> bool {
        self.0.values().any(|episode| episode.shown == Some((now, now)))
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
            if let Some((_, last)) = episode.shown {
                let over = now.since(last) >= QUIET;
                told.extend((over && episode.told).then(|| Finding::Over(fault.clone())));
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
        Fault::Leak { host: Some(_), .. } if is_seen => SEEN,
        Fault::Leak { host: None, .. } if is_seen => SEEN_STRANGER,
        Fault::Duplicate { .. } if is_seen => SEEN_TWICE,
        Fault::Leak { .. }
        | Fault::Duplicate { .. }
        | Fault::Returns { .. }
        | Fault::OneWay { .. }
        | Fault::Elsewhere { .. } => MISSED,
    }
}
