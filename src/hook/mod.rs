//! Programs that are run when a virtual router changes its state.
//!
//! [`config`] is what is run and when, as the role file says; keepalived's arguments are kept, so
//! that its scripts go on working. [`queue`] is what was not told yet and [`call`] how it is told;
//! both are pure. [`Notifier`] runs the hooks, one at a time.

pub mod call;
pub mod config;
mod notifier;
pub mod queue;

pub use notifier::Notifier;
