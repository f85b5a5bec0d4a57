//! The IPVS codec and client: against recorded bytes, against chance, and against a kernel.

mod everything;
mod golden;
mod live;
mod random;
mod text;
mod uml;
