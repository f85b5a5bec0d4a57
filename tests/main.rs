//! The integration tests, one binary.

mod checks;
mod cli;
mod crash;
mod failover;
mod health;
mod interop;
mod ipvs;
mod kinds;
mod lab;
mod probe;
mod tidy;
mod topologies;
mod track;
mod vrrp;
mod wire;
