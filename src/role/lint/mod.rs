//! What is wrong with an election as a whole: no host's role is wrong by itself, but together they
//! would not do what their author waits for.
//!
//! Every check shows its arithmetic and what would be right. All look at the whole cluster, so that
//! each director says the same; where a host stands alone there is no election to go wrong.

mod agreement;
mod priorities;
mod routers;
pub mod servers;
pub mod vips;
mod weights;

use super::election::{Election, Member};
use crate::diagnostic::Collector;

/// Checks every router that more than one host stands for.
pub fn check(election: &Election, found: &Collector) {
    // Of a section with a mistake there is nothing here, and it would be missed.
    if found.has_errors() {
        return;
    }
    vips::check(election, found);
    routers::vrids(election, found);
    routers::sync_groups(election, found);
    for (_, members) in election.routers().filter(|(_, members)| members.len() > 1) {
        let members: Vec<&Member> = members.values().collect();
        agreement::check(&members, found);
        priorities::check(&members, found);
        weights::check(&members, found);
        members.iter().for_each(|member| routers::check(member, found));
    }
}

#[cfg(test)]
mod tests;
