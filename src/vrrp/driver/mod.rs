//! The thread that speaks VRRP, and what it needs of the machine.
//!
//! WIP
mod addresses;
mod claim_filter;
mod clock;
mod interfaces;
mod post;
mod realtime;
mod requests;
mod route_socket;
mod packet_socket;
mod socket;
mod vips;
pub use interfaces::VIP_MARK;
