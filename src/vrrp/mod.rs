//! VRRP: which of several directors holds the VIPs.
//!
//! [`config`] is what a virtual router is told, in types that hold nothing that the protocol cannot
//! carry. [`link`] is the connection that two directors keep beside the protocol, proven by the
//! cluster's [`key`]; over it they compare a [`fingerprint`] of their files.

pub mod config;
pub mod fingerprint;
pub mod key;
pub mod link;
