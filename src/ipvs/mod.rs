//! The kernel's load balancer, as types and as bytes.
//!
//! [`model`] says what a virtual server is: types that cannot hold what the kernel would refuse.
//! [`diff`] finds the fewest commands that turn one table into another. Nothing here does I/O:
//! the socket is in [`crate::host::ipvs`].
//!
//! The names are those of `include/uapi/linux/ip_vs.h`, except that what it calls a service is a
//! virtual server here, and only that.

pub mod model;

pub use model::{
    Destination, DestinationId, Family, Forward, Info, KernelName, Persistence, Protocol,
    Scheduler, SchedulerFlags, SchedulerName, Seconds, ServerSettings, SyncDaemon, SyncState,
    Thresholds, Timeouts, Tunnel, TunnelFlags, VirtualServer, VirtualServerId, Weight,
};
