//! VRRP: which of several directors holds the VIPs.
//!
//! [`config`] is what a virtual router is told, in types that hold nothing that the protocol cannot
//! carry. [`packet`] is what routers say to each other, as bytes. [`arp`] and [`ndisc`] tell the
//! link where a VIP is, and hear who else [claims](claim) it. [`router`] is the machine of one
//! virtual router, [`speaker`] all of them on a host.

pub mod arp;
mod checksum;
pub mod claim;
pub mod config;
pub mod ndisc;
pub mod packet;
pub mod router;
pub mod simulation;
pub mod speaker;
