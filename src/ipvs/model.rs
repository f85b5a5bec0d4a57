//! What IPVS can be told, as types that cannot hold a wrong value.
//!
//! One file per noun: names, schedulers, virtual servers, destinations, and the settings of the
//! whole table. Everything but [`VirtualServer`] is small and `Copy`, so that a table of thousands
//! of entries is read and compared without an allocation per entry.

mod destination;
mod name;
mod persistence;
mod scheduler;
mod server;
mod settings;

pub use destination::{
    Connections, Destination, DestinationId, Forward, ThresholdError, Thresholds, Tunnel,
    TunnelFlags, Weight, WeightError,
};
pub use name::{KernelName, NameError};
pub use persistence::{
    ClientMask, ClientMaskError, Persistence, PrefixLength6, Seconds, SecondsError,
};
pub use scheduler::{Scheduler, SchedulerError, SchedulerFlags, SchedulerName};
pub use server::{
    Family, FamilyError, IdError, Protocol, ServerSettings, VirtualServer, VirtualServerId,
};
pub use settings::{Info, SyncDaemon, SyncState, Timeouts};
