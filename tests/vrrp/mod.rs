//! VRRP on real kernels: directors in network namespaces on one bridge.

mod crash;
mod lan;
mod takeover;
mod vips;
