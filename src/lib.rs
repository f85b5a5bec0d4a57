//! converge makes a Linux host be what its role says, and keeps it so.
//!
//! desire (pure) → observe (reads) → plan (pure) → apply (writes) → observe again.
//!
//! Read on in [`cluster`], [`role`], [`situation`] (files become types, types a desired state),
//! [`resource`] (one file per kind), [`plan`], [`reconcile`], [`host`] (the doors to kernel, disk
//! and units), [`ipvs`], [`frame`] (codecs), [`vrrp`] (who holds the VIPs; time is [`clock`])
//! with [`track`], [`hook`]; [`check`], [`pool`], [`control`] (which real servers get traffic),
//! [`document`], [`diagnostic`], [`secret`] (how files are read), and at last [`cli`], [`probe`],
//! [`lab`].
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
pub mod secret;
pub mod situation;
pub mod track;
pub mod vrrp;
