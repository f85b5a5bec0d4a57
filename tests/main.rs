//! The integration tests, one binary.
mod probe;
