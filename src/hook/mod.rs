//! Programs that are run when a virtual router changes its state.
//!
//! [`config`] is what is run and when, as the role file says; keepalived's arguments are kept, so
//! that its scripts go on working.

pub mod config;
