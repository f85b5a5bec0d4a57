//! Health checks of real servers: what is asked of them, how often, and what is held to be true.
//!
//! [`config`] says what a check is, [`outcome`] how one can end and what many of them add up to.
//! [`machine`] is the checker: pure, told the time, with a steady beat for each check. [`probe`]
//! has one file for each protocol, pure as well: bytes in, bytes out. [`driver`] owns the sockets
//! and one thread for all of them, and [`made`] is the time in which it made them. What health
//! means for the traffic is not decided here but in [`crate::pool`].

pub mod config;
pub mod driver;
pub mod machine;
pub mod made;
pub mod outcome;
pub mod probe;
pub mod wire;
