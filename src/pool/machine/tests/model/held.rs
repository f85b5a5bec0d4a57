//! What the guard holds, by the letter of the rules.
//!
//! Whoever was held in the row before stays so while the evidence is for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::super::bug::Bug;
use super::super::history::WITHIN;
use super::super::look::LATE;
use super::super::row::Row;
use super::super::*;
use super::Model;
use crate::check::outcome::Evidence;

impl Model<'_> {
    fn is_answered(&self, i: usize, first: Moment) -> bool {
        self.evidences(i).iter().any(|(check, health)| {
            let is_good = health.failing.is_none() && health.state == State::Up;
            let is_answer = health
                .failing
                .as_ref()
                .is_some_and(|failing| failing.failure.evidence == Evidence::Answered);
            if is_good && self.has(Bug::GoodCheckIgnored)
                || is_answer && self.has(Bug::AnswerIgnored)
            {
                return false;
            }
            let said = health.failing.as_ref().map_or(health.since, |failing| failing.since);
            let again = check.timing.every + check.timing.timeout + LATE;
            let is_new =
                said >= first || self.lasted(i, first, again) || self.has(Bug::OldAnswerBelieved);
            (is_good || is_answer) && is_new
        })
    }

    /// Whether checks were made for so long since then, without a break.
    fn lasted(&self, i: usize, since: Moment, span: Duration) -> bool {
        let told = self.told(i);
        let until = if self.has(Bug::StillBelieved) { None } else { told.still };
        let begun = if self.has(Bug::BreakForgotten) { 0 } else { told.since };
        until.map_or(self.now(i), at) >= since.max(at(begun)) + span
    }

    /// Whether every other had time to notice what was noticed then.
    fn is_settled(&self, i: usize, noticed: Moment) -> bool {
        let witness = self.told(i).witness.map_or(Duration::ZERO, |_| WITHIN);
        self.lasted(i, noticed, self.window(i).max(witness) + LATE)
    }

    fn sees_some(&self, i: usize) -> bool {
        let believed = |peer: &&Summary| !peer.held || self.has(Bug::HeldPeerBelieved);
        self.told(i).peers.iter().filter(believed).any(|peer| peer.up > 0)
    }

    /// Whether the evidence is for holding.
    fn is_held(&self, i: usize, row: &Row) -> bool {
        let (first, together) = (row.first, row.together);
        let told = self.told(i);
        let believed = |peer: &&Summary| !peer.held || self.has(Bug::HeldPeerBelieved);
        let peers: Vec<&Summary> = told.peers.iter().filter(believed).collect();
        let knows = |p: &&Summary| p.unknown == 0 || self.has(Bug::UnjudgedPeerBelieved);
        if self.sees_some(i) && !self.has(Bug::PeerUpIgnored) {
            return true;
        }
        let sees_none = |p: &&Summary| knows(p) && p.up == 0 && p.down > 0;
        let is_new = at(told.heard) >= first || self.has(Bug::OldPeerBelieved);
        if is_new && peers.iter().any(sees_none) && !self.has(Bug::PeerSeesNoneIgnored) {
            return false;
        }
        // What it said up to then is newer than what was found here.
        let lost = row.lost.filter(|_| !self.has(Bug::SeenForgotten));
        if lost.is_some_and(|lost| !self.lasted(i, lost, Duration::ZERO)) {
            return true;
        }
        let asked = if self.has(Bug::SlowWitnessBelieved) { ms(0) } else { WITHIN + LATE };
        let noticed = self.lasted(i, first, self.window(i).max(asked));
        let noticed = noticed || self.has(Bug::OldWitnessBelieved);
        let witnessed = told.witness == Some(true) && noticed && !self.has(Bug::WitnessIgnored);
        !self.is_answered(i, first) && !witnessed && (together || self.has(Bug::GuardForOne))
    }

    pub(super) fn guard(&self, i: usize, row: &mut Row) {
        let servers = self.servers(i);
        if !self.told(i).config.guard || self.has(Bug::NoGuard) {
            return;
        }
        let is_any_in = servers.iter().any(|s| self.good(i, *s));
        let turned: Vec<Moment> =
            servers.iter().filter(|s| self.turned(i, **s)).map(|s| self.since(i, *s)).collect();
        let mut set = self.of_one_moment(i, &turned);
        let before = i.checked_sub(1).map(|i| &self.rows[i]).filter(|row| !row.held.is_empty());
        let Some(before) = before else {
            let first = set.values().min().copied().unwrap_or_default();
            let last = set.values().max().copied().unwrap_or_default();
            let in_one = last.since(first) <= self.window(i) || self.has(Bug::WindowIgnored);
            let together = set.len() >= 2 && in_one;
            (row.first, row.together, row.noticed) = (first, together, self.now(i));
            row.is_seen = self.sees_some(i);
            if !is_any_in && !turned.is_empty() && !set.is_empty() && self.is_held(i, row) {
                row.held = set.into_keys().collect();
                row.is_told = self.is_settled(i, row.noticed);
            }
            return;
        };
        let stay = before
            .held
            .iter()
            .copied()
            .filter(|s| servers.contains(s) && self.state(i, *s) != State::Up);
        let stay: BTreeSet<SocketAddr> = stay.collect();
        row.together = before.together;
        row.first = before.first;
        (row.noticed, row.is_told) = (before.noticed, before.is_told);
        (row.is_seen, row.lost) = (before.is_seen, before.lost);
        let is_other = self.told(i).config != self.told(i - 1).config;
        if is_other && !self.has(Bug::ReloadIgnored) {
            row.first = row.first.max(self.now(i));
            row.noticed = row.noticed.max(self.now(i));
        }
        let rise = |timing: &Timing| timing.every * u32::from(timing.rise.get());
        let span = self.longest(i, rise) + self.longest(i, |timing| timing.timeout);
        if is_any_in {
            let well = before.well.filter(|_| !is_other).unwrap_or(self.now(i));
            let is_over = before.well.is_some() && self.lasted(i, well, span);
            if (!is_over || self.has(Bug::EndlessGrace)) && !self.has(Bug::NoGrace) {
                (row.held, row.well) = (stay, Some(well));
            }
            return;
        }
        row.is_seen = self.sees_some(i);
        let lost = if before.is_seen { Some(self.now(i)) } else { before.lost };
        row.lost = lost.filter(|_| !row.is_seen);
        if before.well.is_some() {
            row.first = turned.iter().min().copied().unwrap_or(row.first);
            set.retain(|_, _| !turned.is_empty());
            row.held = stay.into_iter().chain(set.into_keys()).collect();
        } else {
            row.held = stay;
            row.doubted = before.doubted;
        }
        if self.is_held(i, row) {
            row.is_told |= self.is_settled(i, row.noticed);
            row.doubted = None;
            return;
        }
        let since = *row.doubted.get_or_insert(self.now(i));
        if !row.is_told || self.lasted(i, since, span) || self.has(Bug::NoDoubt) {
            row.held.clear();
        }
    }

    /// Those that failed in the same moment as these.
    fn of_one_moment(&self, i: usize, turned: &[Moment]) -> BTreeMap<SocketAddr, Moment> {
        let window = self.window(i);
        let (Some(first), Some(last)) = (turned.iter().min(), turned.iter().max()) else {
            return BTreeMap::new();
        };
        let fell = self.servers(i).into_iter().filter_map(|s| Some((s, self.fell(i, s)?)));
        fell.filter(|(s, since)| {
            let near = *since + window >= *last && *since <= *first + window;
            let near = (near && !self.has(Bug::OnlyLastHeld)) || self.has(Bug::WindowIgnored);
            near || self.turned(i, *s) || turned.contains(since)
        })
        .collect()
    }
}
