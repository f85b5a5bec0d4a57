//! Frames and packets that are made and read by hand, where the kernel's own hand would hide what
//! has to be seen.
//!
//! [`arp`] and [`ndisc`] tell a link where an address is, ask it, and hear who [claims](claim) one.
//! [`checksum`] is the sum of both and of much else. All of them are pure: bytes in, bytes out.
//! [`filter`] writes what the kernel runs before it wakes us, and [`socket`] has the packet
//! sockets. VRRP announces VIPs with them, and the checks ask who has one, or knock at a server,
//! also through a [`tunnel`].

pub mod arp;
pub(crate) mod checksum;
pub mod claim;
pub(crate) mod filter;
pub(crate) mod icmp;
pub mod ndisc;
pub(crate) mod socket;
pub(crate) mod tcp;
pub mod tunnel;
