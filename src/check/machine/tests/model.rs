//! The same checker in the plainest words: lists that are searched, and health worked out anew from
//! all that ever happened.

use super::*;
use crate::check::machine::judgement::Judgement;
use crate::check::outcome::Failing;

/// A run in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) run: Run,
    pub(super) began: Moment,
    pub(super) ends: Moment,
    pub(super) expired: bool,
    /// It began between beats.
    pub(super) between: bool,
}

/// All that ever happened to a check.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) check: Arc<CheckConfig>,
    born: Moment,
    history: Vec<(Moment, Outcome, Timing)>,
    /// Any of its beats.
    beat: Moment,
    /// When beats began to count: its last start, or its place.
    reckoned: Moment,
    pub(super) due: Moment,
    pub(super) flight: Option<Flight>,
    pub(super) health: Health,
}

impl Known {
    fn next_beat(&self, after: Moment) -> Moment {
        let every = self.check.timing.every.as_nanos();
        let (beat, after) = (self.beat.since_start().as_nanos(), after.since_start().as_nanos());
        let next = (after + every - beat % every) / every * every + beat % every;
        let least = (0..2).map(|k| next.saturating_sub(k * every)).filter(|m| *m > after).min();
        let least = u64::try_from(least.unwrap_or(next)).expect("a moment");
        Moment::after_start(Duration::from_nanos(least))
    }

    /// The beats after the first moment and up to the second.
    fn beats(&self, from: Moment, to: Moment) -> Vec<Moment> {
        let mut beats = Vec::new();
        let mut beat = self.next_beat(from);
        while beat <= to {
            beats.push(beat);
            beat = beat + self.check.timing.every;
        }
        beats
    }

    fn ends(&self, began: Moment, between: bool) -> Moment {
        let timeout = self.check.timing.timeout;
        let next = self.next_beat(self.reckoned);
        let ends = began + timeout;
        if next >= ends {
            return ends;
        }
        if between { next } else { next.max(ends - timeout / 8) }
    }

    fn is_wavering(&self) -> bool {
        let last = self.history.iter().rev().find(|(_, o, _)| !matches!(o, Outcome::Unmade(_)));
        match (self.health.state, last) {
            (State::Up | State::Unknown, Some((_, Outcome::Bad(_), _)))
            | (State::Down, Some((_, Outcome::Good(_), _))) => true,
            (State::Up | State::Unknown | State::Down, _) => false,
        }
    }

    /// What all that happened adds up to.
    fn held(&self) -> Health {
        let advice = Advice::default();
        let mut health = Health { state: State::Unknown, since: self.born, advice, failing: None };
        let (mut goods, mut bads) = (Vec::new(), Vec::new());
        for (when, outcome, timing) in &self.history {
            match outcome {
                Outcome::Unmade(_) => continue,
                Outcome::Good(advice) => (bads.clear(), goods.push(advice)).1,
                Outcome::Bad(failure) => (goods.clear(), bads.push((when, failure))).1,
            }
            let rises = goods.len() >= usize::from(timing.rise.get());
            let falls = bads.len() >= usize::from(timing.fall.get());
            let state = match health.state {
                State::Unknown if !goods.is_empty() => State::Up,
                State::Down if rises => State::Up,
                State::Unknown | State::Up if falls => State::Down,
                same => same,
            };
            if state != health.state {
                (health.state, health.since) = (state, *when);
            }
            health.failing = bads.first().map(|(since, _)| Failing {
                since: **since,
                failure: bads[bads.len() - 1].1.clone(),
            });
            match (state, goods.last()) {
                (State::Up, Some(advice)) => health.advice = (*advice).clone(),
                (State::Up, None) => {}
                (State::Down | State::Unknown, _) => health.advice = Advice::default(),
            }
        }
        health
    }
}

/// All checks.
pub(super) struct Model {
    pub(super) at_once: usize,
    pub(super) known: Vec<Known>,
    pub(super) made: u64,
    pub(super) skipped: u64,
}

/// What has to be said after an input, beside what begins.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) expire: BTreeSet<Run>,
    pub(super) abort: BTreeSet<Run>,
    pub(super) changed: Vec<(Arc<CheckConfig>, Health)>,
}

impl Model {
    pub(super) fn in_flight(&self) -> usize {
        self.known.iter().filter(|known| known.flight.is_some()).count()
    }

    pub(super) fn get(&self, check: &CheckConfig) -> Option<&Known> {
        self.known.iter().find(|known| *known.check == *check)
    }

    /// `place`: when the machine lets a new check begin first, and one of its beats.
    pub(super) fn configure(
        &mut self,
        checks: &BTreeSet<Arc<CheckConfig>>,
        now: Moment,
        place: impl Fn(&CheckConfig) -> (Moment, Moment),
    ) -> Said {
        let mut said = Said::default();
        let (stay, mut go): (Vec<Known>, Vec<Known>) =
            self.known.drain(..).partition(|known| checks.contains(&known.check));
        let old = [&stay[..], &go].concat();
        self.known = stay;
        for check in checks.iter().filter(|check| !old.iter().any(|k| k.check == **check)) {
            let same = |k: &Known| k.check.target == check.target && k.check.probe == check.probe;
            // The nearest in order of timing, the one before first.
            let like = old.iter().filter(|k| same(k) && k.check < *check).max_by_key(|k| &k.check);
            let above = || old.iter().filter(|k| same(k)).min_by_key(|k| &k.check);
            let like = like.or_else(above).cloned();
            let taken = like.as_ref().and_then(|l| go.iter().position(|k| k.check == l.check));
            let (due, beat) = place(check);
            let new = Known {
                check: Arc::clone(check),
                born: now,
                history: Vec::new(),
                beat,
                reckoned: now,
                due,
                flight: None,
                health: Judgement::new(now).health,
            };
            let every = like.as_ref().map(|like| like.check.timing.every);
            let mut new = match (like, taken.map(|i| go.remove(i))) {
                (Some(like), None) => {
                    Known { history: like.history, born: like.born, health: like.health, ..new }
                }
                (_, Some(old)) if old.check.timing.every == check.timing.every => {
                    Known { check: Arc::clone(check), ..old }
                }
                (_, Some(old)) => Known { beat, reckoned: now, check: new.check, due, ..old },
                (None, None) => new,
            };
            if let Some(flight) = new.flight.filter(|flight| !flight.expired) {
                let between = flight.between || every != Some(check.timing.every);
                let ends = new.ends(flight.began, between);
                new.flight = Some(Flight { ends, between, ..flight });
            }
            if new.health.state != State::Unknown || new.health.failing.is_some() {
                said.changed.push((Arc::clone(check), new.health.clone()));
            }
            self.known.push(new);
        }
        said.abort = go.iter().filter_map(|known| known.flight).map(|f| f.run).collect();
        said
    }

    pub(super) fn take(&mut self, run: Run, outcome: Outcome, now: Moment) -> Said {
        let mut said = Said::default();
        let is_it = |known: &&mut Known| known.flight.is_some_and(|flight| flight.run == run);
        let Some(known) = self.known.iter_mut().find(is_it) else { return said };
        let Some(flight) = known.flight.take() else { return said };
        known.history.push((now, outcome, known.check.timing));
        let held = known.held();
        let before = std::mem::replace(&mut known.health, held);
        let news = |health: &Health| {
            let reason = health.failing.as_ref().map(|failing| failing.failure.clone());
            (health.state, health.advice.clone(), reason)
        };
        if news(&before) != news(&known.health) {
            said.changed.push((Arc::clone(&known.check), known.health.clone()));
        }
        let passed = known.beats(known.reckoned, now);
        known.due = match passed.last() {
            Some(last) => *last,
            None if known.is_wavering() => {
                let fast = flight.began + known.check.timing.fast;
                known.next_beat(known.reckoned).min(fast.max(now))
            }
            None => known.next_beat(known.reckoned),
        };
        said
    }

    pub(super) fn time(&mut self, now: Moment) -> Said {
        let mut said = Said::default();
        for known in &mut self.known {
            let Some(flight) = known.flight.filter(|it| it.ends <= now && !it.expired) else {
                continue;
            };
            if flight.between && flight.ends < flight.began + known.check.timing.timeout {
                known.flight = None;
                let passed = known.beats(known.reckoned, now);
                known.due = *passed.last().expect("it made way for a beat");
                said.abort.insert(flight.run);
            } else {
                known.flight = Some(Flight { expired: true, ..flight });
                said.expire.insert(flight.run);
            }
        }
        said
    }

    /// What waits and is due, and since when.
    pub(super) fn waiting(&self, now: Moment) -> impl Iterator<Item = &Known> {
        self.known.iter().filter(move |known| known.flight.is_none() && known.due <= now)
    }

    pub(super) fn begin(&mut self, run: Run, check: &CheckConfig, now: Moment) {
        let known = self.known.iter_mut().find(|known| *known.check == *check);
        let known = known.expect("it was looked for before");
        let passed = known.beats(known.reckoned, now).len();
        self.skipped += u64::try_from(passed.saturating_sub(1)).expect("few");
        self.made += 1;
        let before = known.due - Duration::from_nanos(1);
        let on_beat = known.next_beat(before) == known.due;
        let between = !on_beat && known.beats(known.due, now).is_empty();
        known.reckoned = now;
        let ends = known.ends(now, between);
        known.flight = Some(Flight { run, began: now, ends, expired: false, between });
    }

    /// When time is wanted to pass.
    pub(super) fn wanted(&self) -> Option<Moment> {
        let flights = self.known.iter().filter_map(|known| known.flight);
        let ends = flights.filter(|flight| !flight.expired).map(|flight| flight.ends);
        let room = self.in_flight() < self.at_once;
        let starts = self.known.iter().filter(|known| room && known.flight.is_none());
        ends.chain(starts.map(|known| known.due)).min()
    }
}
