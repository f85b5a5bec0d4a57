//! What the guard has to keep: whoever is cut off from servers that go on as they were keeps them,
//! whatever becomes of its process and of its checks meanwhile.
//!
//! As long as the other director is answered and says so, or while it is cut off from everybody.

use std::collections::BTreeSet;

use super::*;

/// One director and one pool.
#[derive(Clone, Debug, Default)]
pub(super) struct Cut {
    /// It is cut off from all of its servers.
    is_off: bool,
    /// Since when, if it was in one moment in which nothing else was amiss.
    since: Option<Moment>,
    /// Those that took traffic and are to go on with it.
    kept: BTreeSet<usize>,
    /// Up to now the other director was answered and said so.
    is_seen: bool,
    /// Up to now it was cut off from everybody.
    is_alone: bool,
}

impl Rules {
    /// The network is another than `before`.
    pub(super) fn cut_off(&mut self, world: &World<'_>, before: &[[(bool, Moment); SERVERS]; 2]) {
        let pools = world.shape.pools();
        for (d, before) in before.iter().enumerate() {
            for (at, config) in pools.iter().enumerate() {
                let members = || (0..SERVERS).filter(|n| has(config, *n));
                let is_off = members().all(|n| !world.has_way(d, n));
                let changed = members().any(|n| self.servers[n].1 == world.now);
                let was_off = std::mem::replace(&mut self.cuts[d][at].is_off, is_off);
                if !is_off || changed {
                    self.cuts[d][at] = Cut { is_off, ..Cut::default() };
                } else if !was_off {
                    self.cuts[d][at] = self.cut(world, d, (config, at), before);
                }
                self.cuts[d][at].is_alone &= is_alone(world, d);
            }
        }
    }

    /// It was just cut off from a pool.
    fn cut(
        &self,
        world: &World<'_>,
        d: usize,
        (config, at): (&PoolConfig, usize),
        before: &[(bool, Moment); SERVERS],
    ) -> Cut {
        let off = Cut { is_off: true, ..Cut::default() };
        let Some(process) = &world.directors[d].process else { return off };
        let members = || (0..SERVERS).filter(|n| has(config, *n));
        let long = rise(world) + fall(world);
        let shares = process.pools[at].shares();
        let is_still = members().all(|n| self.servers[n].1 + long <= world.now);
        let kept: BTreeSet<usize> = members()
            .filter(|n| world.servers[*n] == Server::Well && word(process, config, *n).is_none())
            .collect();
        let in_one_moment = kept.iter().all(|n| {
            let (was_good, since) = before[*n];
            let share = &shares.members[&address(*n)];
            let is_up = matches!(share.standing, Standing::Up | Standing::Starting);
            is_up && was_good && since + long <= world.now
        });
        let is_calm = self.begun[d] + long <= world.now && shares.spare.is_none();
        if !(is_still && in_one_moment && is_calm) || world.shape.wavers() {
            return off;
        }
        let is_seen = self.is_seen(world, d, config, world.now);
        let is_alone = is_alone(world, d) && kept.len() >= 2;
        Cut { since: Some(world.now), kept, is_seen, is_alone, ..off }
    }

    /// Whether the other director has said since before that moment that it sees some of a pool.
    fn is_seen(&self, world: &World<'_>, d: usize, config: &PoolConfig, since: Moment) -> bool {
        let o = 1 - d;
        let goes = world.connection.is_some() && world.link && is_awake(world, o);
        let long = rise(world) + TELLING;
        let sees = |n: usize| {
            let (good, of) = self.truth[o][n];
            has(config, n) && good && of + long <= since
        };
        let is_calm = self.connected.max(self.disturbed[o]) + long <= since;
        goes && is_calm && (0..SERVERS).any(sees)
    }

    /// A director has done what was to be done.
    pub(super) fn is_kept(
        &mut self,
        world: &World<'_>,
        d: usize,
        process: &Process,
    ) -> Result<(), String> {
        for (at, pool) in process.pools.iter().enumerate() {
            let Some(since) = self.cuts[d][at].since else { continue };
            let is_seen = self.is_seen(world, d, pool.config(), since);
            let cut = &mut self.cuts[d][at];
            cut.is_seen &= is_seen;
            let due = since.max(self.resumed[d]) + fall(world) + window(world) * 2;
            if !(cut.is_seen || cut.is_alone) || world.now < due || process.hangs.is_some() {
                continue;
            }
            let serves = |n: &usize| pool.shares().members[&address(*n)].weight > Some(0);
            if !cut.kept.iter().all(serves) {
                let name = &pool.config().name;
                return Err(format!("{}: does not keep {name}: {:?}", NAMES[d], pool.shares()));
            }
        }
        Ok(())
    }

    /// Whether servers may leave although their checks stand still: an operator or another director
    /// said something, or the files did.
    pub(super) fn may_leave_unchecked(
        &self,
        world: &World<'_>,
        d: usize,
        config: &PoolConfig,
    ) -> bool {
        let process = world.directors[d].process.as_ref().expect("it moves");
        let said = (0..SERVERS).any(|n| has(config, n) && word(process, config, n).is_some());
        let told = process.heard.sees(&config.name, world.now).map(|peer| peer.sees);
        let none = told.is_some_and(|sees| sees.up == 0 && sees.unknown == 0 && !sees.held);
        // Files that were read while it was stopped matter when it goes on.
        let is_new = world.now.min(process.made.until) <= self.begun[d] + Duration::from_secs(10);
        said || none || is_new
    }
}

/// Whether a director reaches nobody.
fn is_alone(world: &World<'_>, d: usize) -> bool {
    !world.link && !world.ways[d].contains(&true)
}
