//! converge makes a Linux host be what its role says, and keeps it so.
//!
//! Read the modules in this order:
//!
//! 1. [`cluster`] and [`role`]: TOML files become types that cannot hold a wrong value.
//! 2. [`resource`]: one thing on a host that can be so or not; one file per kind.
//! 3. [`plan`]: the ordered changes between two states; [`reconcile`]: observe, plan, apply, observe.
//! 4. [`host`]: the doors to kernel, disk and units; they decide nothing.
//! 5. [`ipvs`]: the IPVS generic-netlink codec.
//! 6. [`probe`]: measures a VIP as a client sees it.
//! 7. [`lab`]: a cluster of real machines on one machine.
//! 8. [`cli`]: what a person types.

pub mod cli;
pub mod cluster;
pub mod diagnostic;
pub mod document;
pub mod host;
pub mod ipvs;
pub mod lab;
pub mod plan;
pub mod probe;
pub mod reconcile;
pub mod resource;
pub mod role;
pub mod situation;
