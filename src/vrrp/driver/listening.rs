//! Who hears claims of our VIPs: one listener for each family that has a VIP.
//!
//! Hearing them is a help and no need, so what cannot be opened is said and done without.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;

use crate::frame::claim::Claim;
use crate::frame::socket::Listener;
use crate::vrrp::config::Family;

/// The listeners.
#[derive(Default)]
pub(super) struct Listening {
    addresses: BTreeSet<IpAddr>,
    listeners: Vec<Listener>,
}

impl Listening {
    /// Hears claims of these addresses from now on.
    pub(super) fn follow(&mut self, addresses: BTreeSet<IpAddr>) -> io::Result<()> {
        if addresses == self.addresses {
            return Ok(());
        }
        self.addresses = addresses;
        for family in [Family::Ipv4, Family::Ipv6] {
            let own = self.addresses.iter().copied().filter(|a| Family::of(*a) == family);
            let own: Vec<IpAddr> = own.collect();
            // One that has nothing left to hear stays, and hears nothing.
            match self.listeners.iter().find(|listener| listener.family() == family) {
                Some(listener) => listener.follow(&own)?,
                None if own.is_empty() => {}
                None => self.listeners.push(Listener::open(family, &own)?),
            }
        }
        Ok(())
    }

    /// What to wait for, in the order of the numbers that [`receive`](Self::receive) takes.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.listeners.iter().map(AsFd::as_fd)
    }

    /// The next claim of a listener, and the number of the interface that heard it.
    pub(super) fn receive(&self, number: usize) -> Result<Option<(u32, Claim)>, Errno> {
        self.listeners.get(number).ok_or(Errno::EAGAIN)?.receive()
    }
}
