//! The IPVS codec and client: against recorded bytes, against chance, and against a kernel.

mod golden;
mod live;
mod random;
mod text;
mod uml;
