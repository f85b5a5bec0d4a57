//! What a virtual router's right to be Active depends on beside the wire: a process that runs, a
//! unit, a carrier, a file, a script, a service that answers.
//!
//! [`config`] is what is watched and what follows from it, as the role file says.

pub mod config;
