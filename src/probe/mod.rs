//! Measures a VIP as a client sees it: who answers, how fast, and for how long nobody does.
//!
//! [`target`] and [`answer`] say what is asked and who answered, [`tally`] adds the samples up,
//! [`report`] is the result as data and [`show`] the result for a person; all of that is pure.
//! [`client`] asks once, [`beat`] asks again and again, and [`cli`] is what a person types.
//!
//! The beat is kept whatever the answers do: with an interval, a request that hangs delays no
//! other one. So the time between two good answers is a measure of the VIP and not of the probe,
//! and where the probe itself was late, the report says so.

pub mod answer;
pub mod beat;
pub mod cli;
pub mod client;
pub(crate) mod histogram;
pub mod report;
pub mod show;
pub mod tally;
pub mod target;

pub use report::Report;
