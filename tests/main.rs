//! The integration tests, one binary.

mod crash;
mod ipvs;
mod kinds;
mod lab;
mod probe;
mod tidy;
mod topologies;
