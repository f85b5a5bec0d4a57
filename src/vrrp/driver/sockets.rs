//! The sockets of all routers: one for each interface and family that one of them is on.
//!
//! They follow the interfaces. One that vanishes takes its socket along, one that comes back under
//! another number gets a new one, and one that cannot be opened is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;

use super::addresses::Port;
use super::socket::{Packet, VrrpSocket};
use crate::clock::Moment;
use crate::vrrp::config::{Family, RouterConfig, Transport};

/// How soon an interface that cannot be spoken on is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Where routers are: interface and family.
pub(super) type Place = (String, Family);

/// All sockets.
#[derive(Default)]
pub(super) struct Sockets {
    open: Vec<(Place, VrrpSocket)>,
    /// What could not be opened, why, and when it is tried again.
    closed: BTreeMap<Place, (String, Moment)>,
}

impl Sockets {
    /// Opens and closes what has to be. Returns the places that failed just now.
    pub(super) fn follow<'a>(
        &mut self,
        configs: impl Iterator<Item = &'a RouterConfig>,
        ports: &BTreeMap<String, Port>,
        now: Moment,
    ) -> Vec<(Place, String)> {
        let mut wanted = BTreeMap::<Place, bool>::new();
        for config in configs {
            let multicast = config.transport == Transport::Multicast;
            *wanted.entry((config.interface.clone(), config.family)).or_default() |= multicast;
        }
        let index = |place: &Place| ports.get(&place.0).map(|port| port.index);
        self.open.retain(|(place, socket)| {
            let multicast = wanted.get(place);
            multicast.zip(index(place)).is_some_and(|(m, index)| socket.is(index, *m))
        });
        self.closed.retain(|place, _| wanted.contains_key(place) && index(place).is_some());
        let there: BTreeSet<&Place> = self.open.iter().map(|(place, _)| place).collect();
        let missing: Vec<(Place, bool, u32)> = wanted
            .into_iter()
            .filter(|(place, _)| !there.contains(place))
            .filter(|(place, _)| self.closed.get(place).is_none_or(|(_, again)| *again <= now))
            .filter_map(|(place, multicast)| index(&place).map(|i| (place, multicast, i)))
            .collect();
        let opened = missing.into_iter().filter_map(|(place, multicast, index)| {
            match VrrpSocket::open(&place.0, index, place.1, multicast) {
                Ok(socket) => {
                    self.closed.remove(&place);
                    self.open.push((place, socket));
                    None
                }
                Err(e) => {
                    let why = e.to_string();
                    let before = self.closed.insert(place.clone(), (why.clone(), now + RETRY));
                    before.is_none_or(|(before, _)| before != why).then_some((place, why))
                }
            }
        });
        opened.collect()
    }

    /// Why nothing can be said or heard at a place.
    pub(super) fn failure(&self, place: &Place) -> Option<&str> {
        self.closed.get(place).map(|(why, _)| why.as_str())
    }

    /// When something is to be tried again.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.closed.values().map(|(_, again)| *again).min()
    }

    /// The socket of a place.
    pub(super) fn at(&self, interface: &str, family: Family) -> Option<&VrrpSocket> {
        let found = self.open.iter().find(|((i, f), _)| i == interface && *f == family);
        found.map(|(_, socket)| socket)
    }

    /// What to wait for, in the order of the numbers that [`receive`](Self::receive) takes.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.open.iter().map(|(_, socket)| socket.as_fd())
    }

    /// The next packet of a socket, and where it came in.
    pub(super) fn receive<'a>(
        &self,
        number: usize,
        buffer: &'a mut [u8],
    ) -> Result<Option<(&str, Packet<'a>)>, Errno> {
        let ((interface, _), socket) = self.open.get(number).ok_or(Errno::EAGAIN)?;
        Ok(socket.receive(buffer)?.map(|packet| (interface.as_str(), packet)))
    }
}
