//! The thread that speaks VRRP, and what it needs of the machine.
//!
//! WIP
mod addresses;
mod clock;
mod interfaces;
mod post;
mod realtime;
mod requests;
mod route_socket;
mod vips;
pub use interfaces::VIP_MARK;
