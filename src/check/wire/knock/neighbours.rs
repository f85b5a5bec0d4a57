//! The Ethernet addresses of servers, asked for on the link and remembered.
//!
//! The kernel's own table is not used: it is full of what its own traffic needed, and it answers
//! for a server with a route when there is one. An entry that answers confirm is never asked for
//! again; one that nothing was heard of for a while is asked for while it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::Origin;
use crate::clock::Moment;
use crate::frame::claim::Claim;
use crate::frame::{arp, ndisc};

/// As Linux has it by itself, more or less (`base_reachable_time_ms`).
const FRESH: Duration = Duration::from_secs(30);

/// A reload may leave entries behind that nobody asks for any more.
const MOST: usize = 32 * 1024;

/// What is known of the addresses on links.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    entries: BTreeMap<(u32, IpAddr), Entry>,
    /// Our own Ethernet address there.
    askers: BTreeMap<u32, [u8; 6]>,
}

#[derive(Debug, Default)]
struct Entry {
    mac: Option<[u8; 6]>,
    heard: Option<Moment>,
    /// Who waits for it.
    waiting: BTreeSet<u32>,
}

impl Neighbours {
    /// Somebody wants to send to an address: what to ask, if something has to be asked. Until it is
    /// known, the number waits.
    pub(super) fn seek(
        &mut self,
        origin: &Origin,
        address: IpAddr,
        number: u32,
        now: Moment,
    ) -> Option<Vec<u8>> {
        if self.entries.len() >= MOST {
            self.entries.retain(|_, entry| !entry.waiting.is_empty());
        }
        self.askers.insert(origin.index, origin.mac);
        let entry = self.entries.entry((origin.index, address)).or_default();
        if entry.mac.is_none() {
            let first = entry.waiting.is_empty();
            entry.waiting.insert(number);
            return first.then(|| question(origin, address, None)).flatten();
        }
        let stale = entry.heard.is_none_or(|heard| now.since(heard) >= FRESH);
        stale.then(|| question(origin, address, entry.mac)).flatten()
    }

    /// What to ask about an address, of the one who had it so far, if anybody. Until it is known,
    /// the number waits.
    pub(super) fn ask(&mut self, origin: &Origin, address: IpAddr, number: u32) -> Option<Vec<u8>> {
        let entry = self.entries.entry((origin.index, address)).or_default();
        if entry.mac.is_none() {
            entry.waiting.insert(number);
        }
        question(origin, address, entry.mac)
    }

    /// One no longer waits.
    pub(super) fn leave(&mut self, index: u32, address: IpAddr, number: u32) {
        if let Some(entry) = self.entries.get_mut(&(index, address)) {
            entry.waiting.remove(&number);
        }
    }

    /// Somebody says that an address is theirs; who waited for it.
    pub(super) fn claimed(&mut self, index: u32, claim: &Claim, now: Moment) -> BTreeSet<u32> {
        let Some(entry) = self.entries.get_mut(&(index, claim.address)) else {
            return BTreeSet::new();
        };
        entry.mac = Some(claim.mac);
        entry.heard = Some(now);
        std::mem::take(&mut entry.waiting)
    }

    /// It is where it was.
    pub(super) fn confirm(&mut self, index: u32, address: IpAddr, now: Moment) {
        if let Some(entry) = self.entries.get_mut(&(index, address)) {
            entry.heard = Some(now);
        }
    }

    /// Asks anew the next time.
    pub(super) fn forget(&mut self, index: u32, address: IpAddr) {
        if let Some(entry) = self.entries.get_mut(&(index, address)) {
            (entry.mac, entry.heard) = (None, None);
        }
    }

    /// Where it is.
    pub(super) fn mac(&self, index: u32, address: IpAddr) -> Option<[u8; 6]> {
        self.entries.get(&(index, address))?.mac
    }

    /// When something was heard of it.
    pub(super) fn heard(&self, index: u32, address: IpAddr) -> Option<Moment> {
        self.entries.get(&(index, address))?.heard
    }

    /// Our own Ethernet address on an interface that something was asked on.
    pub(super) fn asker(&self, index: u32) -> Option<[u8; 6]> {
        self.askers.get(&index).copied()
    }
}

/// The frame that asks who has an address. Two families make none.
pub(super) fn question(origin: &Origin, wanted: IpAddr, last: Option<[u8; 6]>) -> Option<Vec<u8>> {
    match (origin.own.ip(), wanted) {
        (IpAddr::V4(own), IpAddr::V4(wanted)) => {
            Some(arp::request(origin.mac, own, wanted, last).to_vec())
        }
        (IpAddr::V6(own), IpAddr::V6(wanted)) => {
            Some(ndisc::solicitation(origin.mac, own, wanted, last))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}
