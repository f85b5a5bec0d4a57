//! The integration tests, one binary.

mod kinds;
mod lab;
mod probe;
