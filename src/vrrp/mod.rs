//! VRRP: which of several directors holds the VIPs.
//!
//! [`config`] is what a virtual router is told, in types that hold nothing that the protocol cannot
//! carry.

pub mod config;
pub mod driver;
