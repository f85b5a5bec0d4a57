//! Hosts, a network and what befalls them, on one virtual clock, and the rules that must hold.
//!
//! [`run`] lets a [`Scenario`] happen to two to five hosts with the machines that the daemon runs,
//! and gives a [`Verdict`]. It reads no clock and does no I/O: the same scenario always goes the
//! same way. [`Scenario::random`] makes one of a seed. A [`Bug`] can be planted to see that the
//! rules find it.
//!
//! Read on in `scenario` and `generate`, `network`, `links` and `host`, then `world` and `wire`,
//! which let things happen, and `moves` and `rest`, which are the rules.

mod bug;
mod ear;
mod generate;
mod host;
mod judge;
mod junk;
mod links;
mod moves;
mod network;
pub(crate) mod random;
mod rest;
mod scenario;
mod verdict;
mod wire;
mod world;

#[cfg(test)]
mod tests;

pub use bug::Bug;
pub use scenario::{Event, HostId, HostPlan, Junk, RouterId, Scenario, Weather};
pub use verdict::{Tally, Verdict, Violation};

use super::router::RESTART;
use verdict::Timeline;
use world::World;

/// Lets it happen. A run that breaks a rule is repeated to write down what happened.
pub fn run(scenario: &Scenario, bug: Option<Bug>) -> Verdict {
    let verdict = once(scenario, bug, false);
    if verdict.is_good() { verdict } else { once(scenario, bug, true) }
}

/// Lets it happen and writes down what did.
pub fn replay(scenario: &Scenario, bug: Option<Bug>) -> Verdict {
    once(scenario, bug, true)
}

fn once(scenario: &Scenario, bug: Option<Bug>, recorded: bool) -> Verdict {
    let mut world = World::new(scenario, bug, Timeline::new(recorded));
    let violation = world.run().err();
    Verdict {
        seed: scenario.seed,
        scenario: if recorded { scenario.to_string() } else { String::new() },
        violation,
        tally: world.judge.tally,
        timeline: world.timeline.into_lines(),
    }
}
