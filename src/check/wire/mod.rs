//! What can be seen on the wire beside the checks: who answers for a VIP that should be silent, and
//! whose packets take the wrong way.
//!
//! [`config`] says what is watched.

pub mod config;
