//! What commands and the resident converge tell each other, by files.
//!
//! [`words`] is `/var/lib/converge/words.json`: what operators said of servers. A command writes it
//! whether or not converge runs, the resident one hears of it at once, and it survives a reboot.
//! [`report`] is `/run/converge/pools.json`: what the resident converge makes of its pools, for
//! whoever wants to see it. [`checks`] is `/run/converge/checks.json`: how the checks are made. All
//! are whole at every moment, and none needs a server to ask.

pub mod checks;
pub mod report;
pub mod words;

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock, in milliseconds since 1970.
pub fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
