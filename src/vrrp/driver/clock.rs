//! The time that the machines are told.
//!
//! CLOCK_BOOTTIME: nobody sets it back, and it goes on while the machine is suspended, so that a
//! router which was asleep sees how long it was.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::clock::Moment;

/// The present moment.
pub fn now() -> Moment {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has this clock since 2.6.39");
    Moment::after_start(Duration::from(time))
}
