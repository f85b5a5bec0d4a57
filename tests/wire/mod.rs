//! The link between a director and its real servers: knocks in the name of the VIP, pings, and
//! what is found wrong.
//!
//! Hosts are network namespaces on a bridge, as in `tests/vrrp`.

mod findings;
mod host;
mod knocks;
mod layers;
mod peace;
mod pings;
mod watch;
