//! A cluster of real machines on one machine.
//!
//! Every host of a cluster is a user-mode Linux process with its own kernel, booted from one
//! immutable Debian image on a switch of ours; `converge` inside is the binary outside. Killing
//! such a machine is pulling its plug. Nothing here needs root but installing what is missing.
//!
//! Reading order: [`spec`] what a lab is; [`recipe`], [`sources`], [`image`] what its machines
//! boot; [`switch`], [`pcap`], [`wire`] their network; [`frame`], [`agent`], [`line`] how commands
//! reach them; [`keeper`], [`machine`] their life; [`control`], [`daemon`] the process that owns
//! them; [`client`], [`host`], [`error`] the handle for tests; [`verdict`], [`story`], [`drill`],
//! [`shell`] and [`cli`] what a person sees.

pub mod agent;
pub mod cli;
pub mod client;
pub mod control;
pub mod daemon;
pub mod drill;
pub mod error;
pub mod exchange;
pub mod frame;
pub mod from_cluster;
pub mod host;
pub mod image;
pub mod keeper;
pub mod line;
pub mod machine;
pub mod pcap;
pub mod prerequisite;
pub mod progress;
pub mod recipe;
pub mod rundir;
pub mod shell;
pub mod sources;
pub mod spec;
pub mod story;
mod stream;
pub mod switch;
pub mod terminal;
pub mod verdict;
pub mod wire;

pub use client::{Lab, Options};
pub use error::{LabError, Output};
pub use host::{Host, Link};
pub use spec::{Electors, HostSpec, LabSpec};
pub use switch::Direction;
