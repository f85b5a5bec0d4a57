//! converge makes a Linux host be what its role says, and keeps it so.
//!
//! desire (pure) → observe (reads) → plan (pure) → apply (writes) → observe again.
//!
//! Read on in [`cluster`], [`role`] and [`situation`] (files become types, types become a desired
//! state), [`resource`] (one file per kind), [`plan`] and [`reconcile`], [`host`] (the doors to
//! kernel, disk and units), [`ipvs`] (the codec), [`vrrp`] (who holds the VIPs, told the time by
//! [`clock`]) with [`track`] and [`hook`], [`check`], [`pool`] and [`control`] (which real servers
//! get traffic), [`document`] and [`diagnostic`] (how files are read), [`cli`], [`probe`], [`lab`].
//! kernel, disk and units), [`ipvs`] (the codec), [`frame`] (packets by hand), [`vrrp`] (who holds
//! the VIPs, told the time by [`clock`]) with [`track`] and [`hook`], [`check`] and [`pool`] (which
//! real servers get traffic), [`document`] and [`diagnostic`] (how files are read), and at last
//! [`cli`], [`probe`] and [`lab`].
//!
//! What always holds: role, plan, document and codecs do no I/O and read no clock. Only `host`, a
//! resource kind's verbs and the drivers touch the machine. We remove only what we own. A crash
//! between any two system calls is repaired by the next run. ARP sysctls stand before the VIP goes
//! on `lo`; a director's VIP comes last and goes first. A bad file is refused whole.

pub mod check;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod control;
pub mod daemon;
pub mod diagnostic;
pub mod document;
pub mod frame;
pub mod hook;
pub mod host;
pub mod ipvs;
pub mod lab;
pub mod plan;
pub mod pool;
pub mod probe;
pub mod reconcile;
pub mod resource;
pub mod role;
pub mod situation;
pub mod track;
pub mod vrrp;
