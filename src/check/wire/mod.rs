//! What nobody else checks: whether a real server takes packets for the VIP, and what is wrong on
//! the link between it and the director.
//!
//! [`knock`] proves that a server has the VIP: a SYN for VIP and port, made by hand, goes to the
//! server's own Ethernet address or through its tunnel, and the answer has to come from the VIP.
//! seesaw marks a socket instead, has an IPVS service for each server catch the mark, and sets
//! `accept_local` so that the Active director takes its own address as a source: a whole HTTP check
//! goes that way. Ours needs no sysctl, mark or service, for it hears the answer before the kernel
//! does. It proves address, port and the way back, not the page: the page is proven by the other
//! check, to the server's own address, since it is the same program that answers both. Of UDP
//! nothing is proven so: a program may well be silent, and then so is a host without the VIP.
//!
//! [`watch`] looks at the link itself: who answers for a VIP, whose replies come through this
//! director. [`flow`] counts what comes back from masqueraded servers. [`segment`] says beforehand,
//! from the files alone, who cannot be on it.

pub mod config;
pub mod finding;
pub mod flow;
pub(in crate::check) mod host;
pub(in crate::check) mod knock;
pub(in crate::check) mod ports;
pub mod segment;
mod thread;
mod watch;

pub use thread::{Findings, Up, Wire};
pub use watch::is_of;
