//! VRRP: which of several directors holds the VIPs.
//!
//! [`config`] is what a virtual router is told, in types that hold nothing that the protocol cannot
//! carry. [`key`] is what only directors have, [`fingerprint`] what they compare.

pub mod config;
pub mod fingerprint;
pub mod key;
