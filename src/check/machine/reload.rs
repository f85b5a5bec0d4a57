//! Another set of checks: what stays, what goes, what is new.
//!
//! A check that differs from an old one in timing alone inherits what is known of the target; if
//! the old one goes, it takes its place, run in flight and all. Where `every` stays the same, so
//! does the beat.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::beat::Beat;
use super::entry::Entry;
use super::judgement::Judgement;
use super::{Checker, Output};
use crate::check::config::CheckConfig;
use crate::check::outcome::State;
use crate::clock::Moment;

/// The first round is spread over this time at most: soon known, and no burst.
const FIRST_ROUND: Duration = Duration::from_secs(1);

/// 2^64 over the golden ratio. Multiples of it, modulo 2^64, lie as evenly as any sequence can
/// whose length is not known (Knuth, TAOCP vol. 3, section 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

pub(super) fn configure(checker: &mut Checker, checks: &BTreeSet<Arc<CheckConfig>>, now: Moment) {
    let new = checks.iter().filter(|check| !checker.by_check.contains_key(*check));
    let new: Vec<_> = new.map(|check| (check, like(checker, check))).collect();
    let gone = checker.by_check.keys().filter(|check| !checks.contains(*check));
    let gone: Vec<_> = gone.cloned().collect();
    // To the last one: of ten thousand, room for twice as many would be megabytes.
    let room = checker.free.len() + gone.len();
    checker.entries.reserve_exact(new.len().saturating_sub(room));
    let mut going: BTreeSet<u32> =
        gone.iter().filter_map(|check| checker.by_check.remove(check)).collect();
    for (check, like) in new {
        match like {
            Some(index) if going.remove(&index) => retime(checker, index, check, now),
            Some(index) => add(checker, check, Some(index), now),
            None => add(checker, check, None, now),
        }
    }
    for index in going {
        remove(checker, index);
    }
}

/// One that differs from this check in timing alone. Timing counts last in the order of checks, so
/// such a one is its neighbour.
fn like(checker: &Checker, check: &CheckConfig) -> Option<u32> {
    let same = |other: &CheckConfig| other.target == check.target && other.probe == check.probe;
    let below = (Bound::Unbounded, Bound::Excluded(check));
    let above = (Bound::Excluded(check), Bound::Unbounded);
    let before = checker.by_check.range::<CheckConfig, _>(below).next_back();
    let after = checker.by_check.range::<CheckConfig, _>(above).next();
    let mut neighbours = before.into_iter().chain(after);
    neighbours.find(|(other, _)| same(other)).map(|(_, index)| *index)
}

fn add(checker: &mut Checker, check: &Arc<CheckConfig>, like: Option<u32>, now: Moment) {
    let like = like.and_then(|index| checker.entries[index as usize].as_ref());
    let judgement = like.map_or_else(|| Judgement::new(now), |entry| entry.judgement.clone());
    let (due, beat) = place(checker, check, now);
    let check = Arc::clone(check);
    let entry = Entry {
        check: Arc::clone(&check),
        beat,
        judgement,
        due,
        reckoned: now,
        flight: None,
        forgave: false,
    };
    tell(checker, &entry);
    let index = checker.free.pop().unwrap_or_else(|| {
        checker.entries.push(None);
        u32::try_from(checker.entries.len() - 1).expect("fewer than 2^32 checks")
    });
    checker.entries[index as usize] = Some(entry);
    checker.starts.insert((due, index));
    checker.by_check.insert(check, index);
}

/// Puts the check in the place of one that differs in timing alone.
fn retime(checker: &mut Checker, index: u32, check: &Arc<CheckConfig>, now: Moment) {
    let Some(mut entry) = checker.entries[index as usize].take() else { return };
    let same_beat = entry.check.timing.every == check.timing.every;
    entry.check = Arc::clone(check);
    if !same_beat {
        let (due, beat) = place(checker, check, now);
        entry.beat = beat;
        entry.reckoned = now;
        if entry.flight.is_none() {
            checker.starts.remove(&(entry.due, index));
            checker.starts.insert((due, index));
            entry.due = due;
        }
    }
    if let Some(mut flight) = entry.flight {
        // What has expired waits for its outcome and is in nobody's list.
        if checker.ends.remove(&(flight.ends, index)) {
            flight.yields |= !same_beat;
            flight.ends = entry.ends(flight.began, flight.yields);
            checker.ends.insert((flight.ends, index));
            entry.flight = Some(flight);
        }
    }
    tell(checker, &entry);
    checker.entries[index as usize] = Some(entry);
    checker.by_check.insert(Arc::clone(check), index);
}

/// Says what is held true of a check under its new name.
fn tell(checker: &mut Checker, entry: &Entry) {
    let health = &entry.judgement.health;
    if health.state != State::Unknown || health.failing.is_some() {
        checker.outputs.push_back(Output::Changed(Arc::clone(&entry.check), health.clone()));
    }
}

fn remove(checker: &mut Checker, index: u32) {
    let Some(entry) = checker.entries[index as usize].take() else { return };
    match entry.flight {
        Some(flight) => {
            checker.ends.remove(&(flight.ends, index));
            checker.tally.end();
            checker.outputs.push_back(Output::Abort(flight.run));
        }
        None => {
            checker.starts.remove(&(entry.due, index));
        }
    }
    checker.free.push(index);
}

/// When a check begins for the first time, and its beat. Both lie at the same part of the first
/// round and of `every`.
fn place(checker: &mut Checker, check: &CheckConfig, now: Moment) -> (Moment, Beat) {
    checker.place = checker.place.wrapping_add(GOLDEN);
    let every = check.timing.every;
    let due = now + part(every.min(FIRST_ROUND), checker.place);
    (due, Beat::with(now + part(every, checker.place), every))
}

/// So many parts of 2^64 of a span.
fn part(span: Duration, place: u64) -> Duration {
    let nanos = span.as_nanos().saturating_mul(u128::from(place)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
