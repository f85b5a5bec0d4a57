//! What a virtual router's right to be Active depends on beside the wire: a process that runs, a
//! unit, a carrier, a file, a script, a service that answers.
//!
//! [`config`] is what is watched and what follows from it, as the role file says. [`tally`] makes a
//! verdict of single looks and [`condition`] makes a router's faults and weight of all verdicts;
//! both are pure. [`Tracker`] watches, with one driver for each sort of thing.

pub mod condition;
pub mod config;
pub mod tally;
mod tracker;
mod watch;

pub use tracker::Tracker;
