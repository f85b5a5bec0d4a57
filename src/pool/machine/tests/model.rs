//! The plain model: for each time, what becomes of a pool by all that it was ever told.
//!
//! It keeps no state but looks back through the history, slowly and by the letter of the rules. A
//! [`Bug`] can be planted in it, to see that the comparison would find it in the machine.

mod held;

use super::bug::Bug;
use super::history::{History, Told};
use super::row::Row;
use super::*;

pub(super) struct Model<'a> {
    history: &'a History,
    bug: Option<Bug>,
    rows: Vec<Row>,
}

/// All rows of a history.
pub(super) fn rows(history: &History, bug: Option<Bug>) -> Vec<Row> {
    let mut model = Model { history, bug, rows: Vec::new() };
    for i in 0..history.told.len() {
        let row = model.row(i);
        model.rows.push(row);
    }
    model.rows
}

type Evidences = Vec<(Arc<CheckConfig>, Health)>;

impl Model<'_> {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn told(&self, i: usize) -> &Told {
        &self.history.told[i]
    }

    fn now(&self, i: usize) -> Moment {
        at(self.told(i).now)
    }

    fn member(&self, i: usize, s: SocketAddr) -> Option<&Member> {
        self.told(i).config.members.iter().find(|member| member.server == s)
    }

    fn scale(&self, i: usize) -> u32 {
        if self.told(i).config.slow_start.is_zero() { 1 } else { 10 }
    }

    fn health(&self, i: usize, s: SocketAddr) -> Vec<Option<&Health>> {
        let member = self.member(i, s).expect("a member");
        member.checks.iter().map(|check| self.told(i).health.get(check)).collect()
    }

    fn state(&self, i: usize, s: SocketAddr) -> State {
        let states: Vec<State> = self
            .health(i, s)
            .into_iter()
            .map(|health| health.map_or(State::Unknown, |health| health.state))
            .collect();
        let all_up = states.iter().all(|state| *state == State::Up);
        let any_up = states.contains(&State::Up);
        if all_up || any_up && self.has(Bug::AnyCheckSuffices) {
            State::Up
        } else if states.contains(&State::Down) {
            State::Down
        } else {
            State::Unknown
        }
    }

    fn since(&self, i: usize, s: SocketAddr) -> Moment {
        let down = self.health(i, s).into_iter().flatten().filter(|h| h.state == State::Down);
        let since = down.map(|h| h.failing.as_ref().map_or(h.since, |f| f.since)).min();
        let begun = if self.has(Bug::BreakIsLong) { 0 } else { self.told(i).since };
        since.unwrap_or_default().max(at(begun))
    }

    fn wish(&self, i: usize, s: SocketAddr) -> Option<Wish> {
        let advices = self.health(i, s).into_iter().flatten().map(|health| &health.advice);
        let wishes: Vec<Wish> = advices.filter_map(|advice| advice.wish).collect();
        let strongest = [Wish::Maintenance, Wish::Drain];
        strongest.into_iter().find(|wish| wishes.contains(wish))
    }

    fn full(&self, i: usize, s: SocketAddr) -> u32 {
        let configured = self.member(i, s).expect("a member").weight;
        let scale = self.scale(i);
        let advices = self.health(i, s).into_iter().flatten();
        let asked = advices.filter_map(|health| health.advice.weight).map(|asked| match asked {
            Asked::Weight(weight) => weight * scale,
            Asked::Percent(0) => 0,
            Asked::Percent(_) if configured == 0 => 0,
            Asked::Percent(p) => {
                let exact = configured * scale * u32::from(p) / 100;
                if self.has(Bug::PercentComesToNothing) { exact } else { exact.max(1) }
            }
        });
        let asked: Vec<u32> = asked.collect();
        let one =
            if self.has(Bug::LargestAdvice) { asked.iter().max() } else { asked.iter().min() };
        one.copied().unwrap_or(configured * scale)
    }

    fn word(&self, i: usize, s: SocketAddr) -> Option<Word> {
        let host = &self.member(i, s).expect("a member").host;
        let all_pools_only = self.has(Bug::WordOfOnePoolIgnored);
        let last = self
            .told(i)
            .said
            .iter()
            .rev()
            .find(|(whom, ..)| &whom.host == host && (whom.pool.is_none() || !all_pools_only));
        let is_over = |until: u64| until <= self.told(i).wall && !self.has(Bug::DeadlineIgnored);
        match last? {
            (_, Word::Ready, _) => None,
            (_, Word::Drain, Some(until)) if is_over(*until) => Some(Word::Maintenance),
            (_, word, _) => Some(*word),
        }
    }

    fn rests(&self, i: usize, s: SocketAddr) -> bool {
        let wishes = self.state(i, s) == State::Up && self.wish(i, s) == Some(Wish::Maintenance);
        match self.word(i, s) {
            _ if wishes && self.has(Bug::WishWins) => true,
            Some(word) => word == Word::Maintenance,
            None => wishes,
        }
    }

    fn was_member(&self, i: usize, s: SocketAddr) -> bool {
        i > 0 && self.member(i - 1, s).is_some()
    }

    /// In by its own right: well, or not judged since it was, or kept since the start.
    fn good(&self, i: usize, s: SocketAddr) -> bool {
        match self.state(i, s) {
            State::Up => true,
            State::Down => false,
            State::Unknown if self.has(Bug::UnknownGetsTraffic) => true,
            State::Unknown => self.was_good(i, s),
        }
    }

    fn was_good(&self, i: usize, s: SocketAddr) -> bool {
        match i {
            0 => self.history.kept.contains(&s) && !self.has(Bug::KeptForgotten),
            _ if self.has(Bug::ReloadForgets) => false,
            _ => self.was_member(i, s) && self.good(i - 1, s),
        }
    }

    fn was_held(&self, i: usize, s: SocketAddr) -> bool {
        i > 0 && self.rows[i - 1].held.contains(&s)
    }

    fn rested(&self, i: usize, s: SocketAddr) -> bool {
        self.was_member(i, s) && self.rests(i - 1, s)
    }

    fn turned(&self, i: usize, s: SocketAddr) -> bool {
        self.state(i, s) == State::Down && self.was_good(i, s)
    }

    /// When it failed, if it did and was not well or held since.
    fn fell(&self, i: usize, s: SocketAddr) -> Option<Moment> {
        for j in (0..=i).rev() {
            if self.state(j, s) == State::Up || (j < i && self.rows[j].held.contains(&s)) {
                return None;
            }
            if self.turned(j, s) {
                let had_traffic = !self.rested(j, s) || self.has(Bug::MaintenanceHeld);
                return had_traffic.then(|| self.bridged(i, j, self.since(j, s)));
            }
            if !self.was_member(j, s) {
                return None;
            }
        }
        None
    }

    /// A moment of row `j` as it counts in row `i`: what was just before a break counts as after.
    fn bridged(&self, i: usize, j: usize, mut since: Moment) -> Moment {
        for k in j + 1..=i {
            let (before, told) = (self.told(k - 1), self.told(k));
            let is_near = since + self.window(k) >= at(told.before);
            let is_near = is_near && !self.has(Bug::BreakIsLong);
            if told.since > before.since && is_near {
                since = since.max(at(told.since));
            }
        }
        since
    }

    fn is_fresh(&self, i: usize, s: SocketAddr) -> bool {
        let unknown = |j| self.member(j, s).is_some() && self.state(j, s) == State::Unknown;
        (0..=i).all(unknown) && !self.history.kept.contains(&s)
    }

    /// Since when it climbs.
    fn climbing(&self, i: usize, s: SocketAddr) -> Option<Moment> {
        for j in (0..=i).rev() {
            if self.state(j, s) == State::Down || self.rests(j, s) {
                return None;
            }
            let is_cold = match self.was_member(j, s) {
                true => {
                    let held = self.was_held(j, s) && !self.has(Bug::SlowAfterHold);
                    let fresh = self.is_fresh(j - 1, s) && !self.has(Bug::SlowAtStart);
                    !self.was_good(j, s) && !held && !fresh
                }
                false => j > 0 || self.has(Bug::SlowAtStart),
            };
            let rested = self.rested(j, s) && !self.has(Bug::FastAfterMaintenance);
            let slow = |k: usize| self.told(k).config.slow_start;
            if self.state(j, s) == State::Up && !slow(j).is_zero() && (is_cold || rested) {
                let since = self.now(j);
                let is_over = |k: usize| self.now(k).since(since) >= slow(k);
                return (!(j..=i).any(is_over)).then_some(since);
            }
            if !self.was_member(j, s) {
                return None;
            }
        }
        None
    }

    fn climbed(&self, i: usize, s: SocketAddr) -> (u32, bool) {
        let full = self.full(i, s);
        let Some(since) = self.climbing(i, s) else { return (full, false) };
        let gone = self.now(i).since(since).as_millis();
        let whole = self.told(i).config.slow_start.as_millis();
        let tenths = (1..10).rev().find(|n| gone * 10 >= whole * n).unwrap_or(1);
        let tenths = if self.has(Bug::StepsForgotten) { 1 } else { tenths };
        ((full * tenths as u32 / 10).max(1).min(full), true)
    }

    /// The weight that it last had by its own right.
    fn last_weight(&self, i: usize, s: SocketAddr) -> u32 {
        let shape = |j: usize| (self.member(j, s).map(|member| member.weight), self.scale(j));
        let full = self.member(i, s).expect("a member").weight * self.scale(i);
        if self.has(Bug::HeldAtFullWeight) {
            return full;
        }
        for j in (0..i).rev() {
            if shape(j) != shape(i) {
                break;
            }
            if let Some(weight) = self.rows[j].earned.get(&s) {
                return *weight;
            }
        }
        full
    }

    fn servers(&self, i: usize) -> Vec<SocketAddr> {
        self.told(i).config.members.iter().map(|member| member.server).collect()
    }

    fn checks(&self, i: usize) -> Vec<Arc<CheckConfig>> {
        self.told(i).config.members.iter().flat_map(|member| member.checks.clone()).collect()
    }

    fn longest(&self, i: usize, span: impl Fn(&Timing) -> Duration) -> Duration {
        self.checks(i).iter().map(|check| span(&check.timing)).max().unwrap_or_default()
    }

    fn window(&self, i: usize) -> Duration {
        self.longest(i, |timing| timing.every) + self.longest(i, |timing| timing.timeout)
    }

    fn evidences(&self, i: usize) -> Evidences {
        let health = |check: Arc<CheckConfig>| {
            let health = self.told(i).health.get(&check).cloned();
            health.map(|health| (check, health))
        };
        self.checks(i).into_iter().filter_map(health).collect()
    }

    fn claim(&self, i: usize, s: SocketAddr, row: &mut Row) -> (Option<u32>, Standing) {
        let member = self.member(i, s).expect("a member");
        let quiesces = self.told(i).config.on_failure == OnFailure::Quiesce;
        let quiet = (quiesces && !self.has(Bug::QuiescedLeaves)).then_some(0);
        let is_up = self.state(i, s) == State::Up;
        if self.rests(i, s) {
            return (None, Standing::Maintenance);
        }
        let claim = if self.good(i, s) && is_up {
            let (weight, climbs) = self.climbed(i, s);
            let wants_none = self.wish(i, s) == Some(Wish::Drain);
            row.earned.insert(s, if wants_none { 0 } else { weight });
            match (self.full(i, s), climbs) {
                (0, _) => (Some(0), Standing::Draining),
                _ if wants_none => (Some(0), Standing::Draining),
                (_, true) => (Some(weight), Standing::Starting),
                (_, false) => (Some(weight), Standing::Up),
            }
        } else if self.good(i, s) {
            (Some(self.last_weight(i, s)), Standing::Kept)
        } else if row.held.contains(&s) {
            (Some(self.last_weight(i, s)), Standing::Held)
        } else {
            let failed_before = (0..=i).rev().take_while(|j| self.member(*j, s).is_some());
            let failed_before = failed_before.into_iter().any(|j| self.state(j, s) == State::Down);
            let standing = match self.state(i, s) {
                State::Down => Standing::Down,
                State::Up | State::Unknown => Standing::Unknown,
            };
            return (quiet.filter(|_| failed_before), standing);
        };
        let _ = member;
        match self.word(i, s) {
            Some(_) => (Some(0), Standing::Draining),
            None => claim,
        }
    }

    fn next_quorum(&self, i: usize, sum: u32, is_judged: bool) -> Option<bool> {
        let config = &self.told(i).config;
        let (need, by) = (config.quorum, config.hysteresis);
        let by = if self.has(Bug::HysteresisIgnored) { 0 } else { by };
        let is_enough = |bound: u32| (sum > 0 || self.has(Bug::NobodyIsEnough)) && sum >= bound;
        let first = |timing: &Timing| timing.every * u32::from(timing.fall.get());
        let start = ms(1000) + self.longest(0, first) + self.longest(0, |timing| timing.timeout);
        let is_late = self.now(i) >= self.now(0) + start.min(ms(10_000));
        let is_late = is_late && !self.has(Bug::NoSpareForUnjudged);
        let others_in_kernel = !self.history.kept.is_empty()
            && !self.servers(0).iter().any(|s| self.history.kept.contains(s));
        let before = match i {
            0 if others_in_kernel || self.has(Bug::SpareAtStart) => Some(false),
            0 => None,
            _ => self.rows[i - 1].quorum,
        };
        match before {
            None if is_enough(need) => Some(true),
            None if is_judged || is_late => Some(false),
            None => None,
            Some(false) => Some(is_enough(need + by)),
            Some(true) => Some(is_enough(need.saturating_sub(by))),
        }
    }

    fn is_blind(&self, i: usize) -> bool {
        let is_any = |j: usize, state| self.servers(j).iter().any(|s| self.state(j, *s) == state);
        let lasts = |j: &usize| {
            let others = self.told(*j).peers.iter().any(|peer| peer.up > 0 && !peer.held);
            others && !self.servers(*j).is_empty() && !is_any(*j, State::Up)
        };
        // Nothing is new while it is not known how all of them are.
        let sees = (0..=i).rev().take_while(lasts).filter(|j| !is_any(*j, State::Unknown));
        let sees: Vec<usize> = sees.collect();
        let Some(&first) = sees.last() else { return false };
        // Believed once the other has said so after the window, by that of any time since.
        let noticed = |j: usize| at(self.told(j).heard) >= self.now(first) + self.window(j);
        let lasted = |j: usize| self.now(j) >= self.now(first) + self.window(j);
        match self.bug {
            Some(Bug::BlindAtOnce) => true,
            Some(Bug::BlindByOldWord) => sees.into_iter().any(lasted),
            _ => sees.into_iter().any(noticed),
        }
    }

    fn row(&self, i: usize) -> Row {
        let mut row = Row {
            shares: BTreeMap::new(),
            spare: None,
            summary: Summary::default(),
            is_blind: self.is_blind(i),
            quorum: None,
            held: BTreeSet::new(),
            first: Moment::ZERO,
            together: false,
            well: None,
            noticed: Moment::ZERO,
            is_told: false,
            doubted: None,
            is_seen: false,
            lost: None,
            earned: BTreeMap::new(),
        };
        self.guard(i, &mut row);
        let mut sum = 0;
        for s in self.servers(i) {
            let claim = self.claim(i, s, &mut row);
            let counts = claim.0.is_some_and(|w| w > 0 || self.has(Bug::QuorumOfDrained));
            sum += if counts { self.member(i, s).expect("a member").weight } else { 0 };
            row.shares.insert(s, claim);
            match self.state(i, s) {
                State::Up => row.summary.up += 1,
                State::Down => row.summary.down += 1,
                State::Unknown => row.summary.unknown += 1,
            }
        }
        row.summary.held = !row.held.is_empty() && row.well.is_none();
        row.quorum = self.next_quorum(i, sum, row.summary.unknown == 0);
        if row.quorum == Some(false) {
            let health = &self.told(i).health;
            let is_up = |check| health.get(check).is_some_and(|h: &Health| h.state == State::Up);
            row.spare =
                self.told(i).config.spares.iter().position(|spare| {
                    self.has(Bug::SpareUnchecked) || spare.checks.iter().all(is_up)
                });
        }
        if row.spare.is_some() && !self.has(Bug::SpareKeepsServers) {
            for share in row.shares.values_mut() {
                let leaves = share.0.is_some_and(|w| w > 0 || self.has(Bug::SpareEndsDrains));
                if leaves {
                    *share = (None, Standing::Spared);
                }
            }
        }
        row
    }
}
