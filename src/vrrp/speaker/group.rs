//! Sync groups: the routers that become and cease to be Active together.
//!
//! A group has one condition, put together anew from those of its members each time. What one
//! member does the others follow in the same call, so that two VIPs of a group are on two hosts
//! for no longer than it takes to say so. A member that listens whether it is still the first has
//! not yielded: it has the VIPs.

use std::collections::BTreeSet;

use super::{Member, RouterKey, Speaker};
use crate::clock::Moment;
use crate::vrrp::router::{Condition, Router, State};

/// What one input did to a router, as far as its group goes by it.
#[derive(Clone, Copy)]
pub(super) struct Step {
    was_active: bool,
    is_active: bool,
    held: bool,
    holds: bool,
    state: State,
}

impl Step {
    fn becomes_active(self) -> bool {
        self.is_active && !self.was_active
    }

    /// Not by a fault, which the group has as a whole, and not by a release.
    fn yields(self) -> bool {
        self.held && !self.holds && self.state == State::Backup
    }
}

impl Speaker {
    /// One input to one router.
    pub(super) fn step<T>(
        &mut self,
        key: &str,
        input: impl FnOnce(&mut Router) -> T,
    ) -> Option<(T, Step)> {
        let router = &mut self.members.get_mut(key)?.router;
        let (was_active, held) = (router.state() == State::Active, router.holds());
        let result = input(router);
        let (state, holds) = (router.state(), router.holds());
        let step = Step { was_active, is_active: state == State::Active, held, holds, state };
        if step.was_active && !step.is_active {
            self.outputs.retain(|(other, output)| other != key || output.outlives_active());
        }
        self.drain(key);
        Some((result, step))
    }

    /// The others of a router's group do as it did.
    pub(super) fn follow(&mut self, key: &str, step: Step, now: Moment) {
        if !step.becomes_active() && !step.yields() {
            return;
        }
        for other in self.with_its_group(key).into_iter().filter(|other| other != key) {
            // Not asked what follows from it: that is what it follows.
            self.step(&other, |router| match step.becomes_active() {
                true => router.handle_group_active(key, now),
                false => router.handle_group_yield(key, now),
            });
        }
    }

    /// A member does not become Active while another would have to yield at once: it would take the
    /// group there and back with every advertisement. It waits for as long as the other one does.
    pub(super) fn hold_back(&mut self, key: &str, now: Moment) {
        let others = self.with_its_group(key).into_iter().filter(|other| other != key);
        let watching =
            others.filter_map(|other| self.members.get(&other)?.router.watches_until(now));
        let until = watching.max();
        if let (Some(until), Some(member)) = (until, self.members.get_mut(key)) {
            member.router.put_off(until, now);
        }
    }

    /// Tells each of these routers its condition, and then what followed from it in each group.
    pub(super) fn apply_conditions(&mut self, keys: &[RouterKey], now: Moment) {
        let mut steps = Vec::new();
        for key in keys {
            let Some(condition) = self.condition_of(key) else { continue };
            let step = self.step(key, |router| router.handle_condition(condition, now));
            steps.extend(step.map(|((), step)| (key, step)));
        }
        for (key, step) in steps {
            self.follow(key, step, now);
        }
    }

    /// A router and the others of its group. One that leaves is in none.
    pub(super) fn with_its_group(&self, key: &str) -> Vec<RouterKey> {
        let group = self.members.get(key).and_then(Member::group);
        let is_in = |other: &Member| group.is_some() && other.group() == group;
        let members = self.members.iter().filter(|(k, other)| *k == key || is_in(other));
        members.map(|(k, _)| k.clone()).collect()
    }

    /// The faults of all members, each with its name, and the lowest of the weights: with one
    /// weight for each, the members would be Active on different hosts.
    fn condition_of(&self, key: &str) -> Option<Condition> {
        let member = self.members.get(key)?;
        let mut condition = member.own.clone();
        let group: BTreeSet<RouterKey> = self.with_its_group(key).into_iter().collect();
        for (name, other) in self.members.iter().filter(|(k, _)| *k != key && group.contains(*k)) {
            let faults = other.own.faults.iter().map(|fault| format!("{name}: {fault}"));
            condition.faults.extend(faults);
            condition.adjust = condition.adjust.min(other.own.adjust);
        }
        Some(condition)
    }
}

impl Member {
    fn group(&self) -> Option<&str> {
        match self.leaves {
            true => None,
            false => self.router.config().sync_group.as_deref(),
        }
    }
}
