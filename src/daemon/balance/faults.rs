//! What keeps a router from being Active whose VIPs lead to real servers: that this director does
//! not see them, while another one does.
//!
//! Where no other director sees them either, the VIPs stay: what was known last serves better than
//! nobody.

use std::collections::BTreeSet;

use super::Balance;
use crate::pool::Pool;
use crate::pool::peers::Heard;
use crate::vrrp::driver::now;

impl Balance<'_> {
    /// What keeps a router from being Active whose VIPs lead to these pools.
    pub fn faults(&self, router: &str, pools: &[&str], active: bool) -> BTreeSet<String> {
        let of_router = |pool: &&Pool| pools.contains(&pool.config().name.as_str());
        let mut faults = BTreeSet::new();
        for pool in self.pools.iter().filter(of_router) {
            let name = &pool.config().name;
            let serves = pool.shares().members.values().any(|share| share.weight > Some(0));
            if !(active || serves || pool.is_judged()) && now() < self.judging {
                faults.insert(format!("the real servers of {name} are still to be checked"));
            }
            if let Some(peer) = self.seer(router, name) {
                faults.extend(self.blind(pool).map(|why| format!("{why}, but {peer} is answered")));
            }
        }
        faults
    }

    /// Why this director does not see a pool as it is.
    fn blind(&self, pool: &Pool) -> Option<String> {
        let name = &pool.config().name;
        let is_checked = || pool.config().members.iter().any(|member| !member.checks.is_empty());
        if pool.is_blind() {
            return Some(format!("no real server of {name} answers here"));
        }
        let stands_still = self.checking.is_blind() && is_checked();
        stands_still.then(|| format!("the checks of {name} stand still here"))
    }

    /// Another director that could have the router's VIPs, and sees servers of that pool.
    fn seer(&self, router: &str, pool: &str) -> Option<&str> {
        let sees = |heard: &Heard| {
            let seen = heard.sees(pool, now()).map(|peer| peer.sees);
            seen.is_some_and(|seen| seen.up > 0 && !seen.held) && heard.is_able(router)
        };
        let seer = self.peers.iter().find(|(_, heard)| sees(heard));
        seer.map(|(peer, _)| peer.as_str())
    }
}
