//! Which pools a check matters to.
//!
//! One list in order instead of a map of lists: of ten thousand servers nearly every one has a
//! check of its own, and each of those matters to a single pool.

use std::sync::Arc;

use crate::check::config::CheckConfig;
use crate::role::Role;

/// Checks, each with the pools that it matters to, by their order in the role.
#[derive(Debug, Default)]
pub struct Concerns(Vec<(Arc<CheckConfig>, usize)>);

impl Concerns {
    /// Those of a role. What a witness says matters to all pools.
    pub fn of(role: &Role) -> Self {
        let mut all = Vec::new();
        for (at, pool) in role.pools().iter().enumerate() {
            let members = pool.members.iter().flat_map(|member| &member.checks);
            let spares = pool.spares.iter().flat_map(|spare| &spare.checks);
            let own = members.chain(spares).chain(role.witnesses());
            all.extend(own.map(|check| (Arc::clone(check), at)));
        }
        all.sort_unstable();
        all.dedup();
        all.shrink_to_fit();
        Concerns(all)
    }

    /// The pools that a check matters to.
    pub fn pools(&self, check: &CheckConfig) -> impl Iterator<Item = usize> {
        let first = self.0.partition_point(|(known, _)| **known < *check);
        let own = self.0[first..].iter().take_while(move |(known, _)| **known == *check);
        own.map(|(_, pool)| *pool)
    }
}
