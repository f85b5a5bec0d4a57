//! VRRP: which of several directors holds the VIPs.
//!
//! [`config`] is what a virtual router is told, in types that hold nothing that the protocol cannot
//! carry. [`packet`] is what routers say to each other, as bytes.

mod checksum;
pub mod config;
pub mod packet;
