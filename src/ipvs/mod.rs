//! The kernel's load balancer, as types and as bytes.
//!
//! [`model`] says what a virtual server is: types that cannot hold what the kernel would refuse.
//! [`wire`] turns them into the generic-netlink messages of the `IPVS` family and back.
//! [`mod@diff`] finds the fewest commands that turn one table into another,
//! and [`refusal`] says what it means when the kernel refuses one. Nothing here does I/O: the
//! socket is in [`crate::host::ipvs`].
//!
//! The names are those of `include/uapi/linux/ip_vs.h`, except that what it calls a service is a
//! virtual server here, and only that.

pub mod diff;
pub mod model;
pub mod refusal;
pub mod wire;

pub use diff::{diff, diff_into};
pub use model::{
    Connections, Destination, DestinationId, Family, Forward, Info, KernelName, Persistence,
    Protocol, Scheduler, SchedulerFlags, SchedulerName, Seconds, ServerSettings, SyncDaemon,
    SyncState, Thresholds, Timeouts, Tunnel, TunnelFlags, VirtualServer, VirtualServerId, Weight,
};
pub use refusal::Refusal;
pub use wire::{Command, Query, Reply};
