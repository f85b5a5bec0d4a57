//! Two directors, their servers and all that befalls them on one virtual clock, and the rules.
//!
//! The same machines as in the daemon: the checker, pools, words and what directors tell each
//! other, put together as the daemon does it. A [`Scenario`] of a seed says what happens: servers
//! fail and return, ways and the link between the directors are cut, processes are killed and
//! stopped, the threads of their checks hang and die, files are read again, clocks are wrong,
//! operators say words. `rules` is what has to
//! hold at every moment, and at the end, when all is well again. A [`Bug`] can be planted to see
//! that the rules find it.

mod bug;
mod director;
mod rules;
mod scenario;
mod tests;
mod world;

use bug::Bug;
use scenario::Scenario;
use world::World;

/// Lets it happen. `Err` is the rule that was broken, and how.
fn run(seed: u64, bug: Option<Bug>, is_told: bool) -> Result<(), String> {
    let scenario = Scenario::random(seed);
    World::new(&scenario, bug, is_told).run()
}
