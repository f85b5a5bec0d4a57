//! The integration tests, one binary.

mod lab;
