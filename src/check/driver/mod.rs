//! What checks need of the machine: one thread, `checks`, that owns all of their sockets.
//!
//! It is scheduled like any other thread and shares no lock with those of VRRP. Everything in it
//! is nonblocking and waits in one epoll set. What carries many runs over one descriptor is a
//! [`station`].

// Its stations are to come.
#[allow(dead_code)]
mod station;

#[allow(unused_imports)]
pub(in crate::check) use station::{Done, Station};
