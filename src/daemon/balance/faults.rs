//! What keeps a router from being Active whose VIPs lead to real servers: that this director does
//! not see them, while another one does, and sees more of them in all.
//!
//! Where no other director sees them either, the VIPs stay: what was known last serves better than
//! nobody.

use std::collections::BTreeSet;

use super::Balance;
use crate::pool::peers::Heard;
use crate::pool::yielding::Weight;
use crate::pool::{Peer, Pool};
use crate::vrrp::driver::now;

impl Balance<'_> {
    /// What keeps a router from being Active whose VIPs lead to these pools.
    pub fn faults(&mut self, router: &str, pools: &[&str], active: bool) -> BTreeSet<String> {
        let mut yielding = self.yielding.remove(router).unwrap_or_default();
        let of_router = |pool: &&Pool| pools.contains(&pool.config().name.as_str());
        let of_router: Vec<&Pool> = self.pools.iter().filter(of_router).collect();
        let able = self.peers.iter().filter(|(_, heard)| heard.is_able(router));
        let weighed = able.map(|peer| (peer, self.weigh(&of_router, peer.1)));
        let whom = yielding.look(weighed);
        let mut faults: BTreeSet<String> =
            of_router.iter().filter_map(|pool| self.is_unjudged(pool, active)).collect();
        if let Some((peer, heard)) = whom {
            let more = of_router.iter().filter(|pool| sees(heard, pool));
            let why = more.filter_map(|pool| self.blind(pool));
            faults.extend(why.map(|why| format!("{why}, but {peer} is answered")));
        }
        self.yielding.insert(router.to_owned(), yielding);
        faults
    }

    /// That nobody gets traffic of a pool before it is known who is well.
    fn is_unjudged(&self, pool: &Pool, active: bool) -> Option<String> {
        let serves = pool.shares().members.values().any(|share| share.weight > Some(0));
        let waits = !(active || serves || pool.is_judged()) && now() < self.judging;
        waits.then(|| format!("the real servers of {} are still to be checked", pool.config().name))
    }

    /// What another director sees of these pools and we do not, and the other way round.
    fn weigh(&self, pools: &[&Pool], heard: &Heard) -> Weight {
        let mut weight = Weight::default();
        for pool in pools {
            // That it tells nothing of a pool, which its files may not have yet, is said now.
            let said = heard.sees(&pool.config().name, now()).map_or_else(now, |peer| peer.at);
            let answers = pool.answers(said) && !self.stands_still(pool);
            weight.add(self.blind(pool).is_some(), answers, sees(heard, pool));
        }
        weight
    }

    /// Why this director does not see a pool as it is.
    fn blind(&self, pool: &Pool) -> Option<String> {
        let name = &pool.config().name;
        if pool.is_blind() {
            return Some(format!("no real server of {name} answers here"));
        }
        self.stands_still(pool).then(|| format!("the checks of {name} stand still here"))
    }

    /// What is known of a pool says nothing of now.
    fn stands_still(&self, pool: &Pool) -> bool {
        let is_checked = || pool.config().members.iter().any(|member| !member.checks.is_empty());
        self.checking.is_blind() && is_checked()
    }
}

/// Whether another director sees servers of a pool.
fn sees(heard: &Heard, pool: &Pool) -> bool {
    let seen = heard.sees(&pool.config().name, now());
    seen.is_some_and(|Peer { sees, .. }| sees.up > 0 && !sees.held)
}
