//! The resident converge and its real servers, as processes in network namespaces: what keepalived
//! and its users get wrong.
//!
//! Each test is a promise of ours. What the kernel's table then looks like is in tests/lab, on
//! machines that have one. Nothing is timed but by what the checks' own words promise, with room
//! for a busy computer.

mod blindness;
mod chaos;
mod restart;
mod site;
mod stalls;
mod steady;
mod verdicts;
mod web;
mod words;
