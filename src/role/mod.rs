//! (to be written)

pub mod facts;
