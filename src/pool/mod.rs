//! From health to traffic: which of a pool's servers get how much.
//!
//! [`config`] says what a pool is, [`standing`] what becomes of its servers, [`words`] what the
//! operator said of them. A pool's shares are a pure function of the checks' states, of the
//! operator's word and of the configuration, with the memory that hysteresis, slow start and the
//! guard against our own blindness need: that is [`machine`]. What the directors tell each other is
//! in [`peers`] and [`clocks`], and which of them has the VIPs for it in [`yielding`].

pub mod clocks;
pub mod config;
pub mod machine;
pub mod peers;
pub mod standing;
pub mod words;
pub mod yielding;

#[cfg(test)]
mod simulation;

pub use machine::{Notice, Peer, Pool, Severity, Summary, View, Witness};
