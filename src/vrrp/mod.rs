//! VRRP: which of several directors holds the VIPs.
//!
//! [`config`] is what a virtual router is told, in types that hold nothing that the protocol cannot
//! carry. [`packet`] is what routers say to each other, as bytes; [`crate::frame`] tells the link
//! where a VIP is, and hears who else claims it. [`router`] is the machine of one virtual router,
//! [`speaker`] all of them on a host. [`link`] is the connection that two directors keep beside
//! the protocol, proven by the cluster's [`key`]; over it they compare a
//! [`fingerprint`] of their files. [`driver`] is the thread that owns the sockets and the VIPs; all
//! the others are pure. [`simulation`] lets hosts of these machines live through what happens to
//! hosts and networks, and says which rule did not hold.

pub mod config;
pub mod driver;
pub mod fingerprint;
pub mod key;
pub mod link;
pub mod packet;
pub mod router;
pub mod simulation;
pub mod speaker;
