//! The integration tests, one binary.

mod ipvs;
