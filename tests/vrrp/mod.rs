//! VRRP on real kernels: directors in network namespaces on one bridge.

mod crash;
pub(crate) mod lan;
mod packets;
mod takeover;
mod vips;
mod words;
