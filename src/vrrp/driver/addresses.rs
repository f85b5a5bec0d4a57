//! The thread that has the VIPs follow what the routers want, and hears of interfaces.
//!
//! It is apart from the thread that advertises because every change of an address waits for a lock
//! that the whole kernel shares: while somebody deletes a hundred interfaces, advertisements go
//! out all the same. It does nothing of its own accord for longer than it was told to: when the
//! advertising thread hangs, leases end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsFd;
use std::time::Duration;

use ipnet::IpNet;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::clock::now;
use super::interfaces::Interfaces;
use super::realtime;
use super::requests::request;
use super::route_socket::{Heard, RouteSocket};
use super::vips::{Change, Leased, Plan, Wanted, plan};
use crate::clock::Moment;
use crate::host::post::{Mail, Reader, Writer};
use crate::vrrp::config::Vip;

/// How often everything is read anew, whatever was heard.
const FLOOR: Duration = Duration::from_secs(30);

/// How soon something that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Changes between two letters, so that the first of many VIPs is announced before the last one
/// is there.
const BATCH: usize = 16;

/// How often plans are made in a row. One is enough, unless somebody else changes the same.
const ROUNDS: usize = 4;

/// VIPs put back in a second. Who deletes more often than that would otherwise keep us busy.
const PUT_BACKS: u32 = 100;

/// An interface that a router or a VIP is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    /// The kernel's number for it.
    pub(super) index: u32,
    /// Its MAC address.
    pub(super) mac: Option<[u8; 6]>,
    /// Whether packets can leave by it: up, with carrier.
    pub(super) running: bool,
    /// Whether neighbours there ask for addresses.
    pub(super) arp: bool,
    /// Whether this host is a router to its neighbours there.
    pub(super) router: bool,
    /// The host's own addresses there that can be used.
    pub(super) own: BTreeSet<IpAddr>,
    /// The host's own link-local address.
    pub(super) link_local: Option<Ipv6Addr>,
}

/// What is wanted, and where to look.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    pub(super) wanted: Wanted,
    /// The interfaces that are told of.
    pub(super) interfaces: BTreeSet<String>,
}

/// What is so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// The newest order that this takes into account.
    pub(super) generation: u64,
    /// The interfaces that were asked for and are there.
    pub(super) ports: BTreeMap<String, Port>,
    /// The wanted VIPs that are there.
    pub(super) standing: BTreeSet<Vip>,
    /// Those of them that somebody else put there.
    pub(super) foreign: BTreeSet<Vip>,
    /// The wanted VIPs that the kernel does not take.
    pub(super) refused: BTreeMap<Vip, Errno>,
    /// The VIPs that were put back since the last letter.
    pub(super) put_back: BTreeSet<Vip>,
    /// Addresses with our mark that nobody wanted, and that this process had not put there; they
    /// were removed since the last letter.
    pub(super) orphaned: BTreeSet<IpNet>,
}

/// The thread's own.
pub(super) struct Addresses {
    asking: RouteSocket,
    hearing: RouteSocket,
    interfaces: Interfaces,
    order: Option<Order>,
    leased: BTreeMap<Vip, Leased>,
    /// VIPs that stood when we last looked, and were not given up since.
    stood: BTreeSet<Vip>,
    put_backs: (Moment, u32),
    refused: BTreeMap<Vip, Errno>,
    /// Refused since the last wake-up.
    tried: BTreeSet<Vip>,
    put_back: BTreeSet<Vip>,
    orphaned: BTreeSet<IpNet>,
    /// What this process put there.
    ours: BTreeSet<(u32, IpNet)>,
    standing: BTreeSet<Vip>,
    foreign: BTreeSet<Vip>,
    /// Something is to be tried again.
    unfinished: bool,
    /// The last letter that was sent.
    told: News,
}

impl Addresses {
    /// Reads what there is.
    pub(super) fn open() -> Result<Self, Errno> {
        // Heard before read: what changes in between is heard.
        let hearing = RouteSocket::hearing()?;
        let mut asking = RouteSocket::asking()?;
        let interfaces = asking.dump()?;
        Ok(Addresses {
            asking,
            hearing,
            interfaces,
            order: None,
            leased: BTreeMap::new(),
            stood: BTreeSet::new(),
            put_backs: (Moment::ZERO, 0),
            refused: BTreeMap::new(),
            tried: BTreeSet::new(),
            put_back: BTreeSet::new(),
            orphaned: BTreeSet::new(),
            ours: BTreeSet::new(),
            standing: BTreeSet::new(),
            foreign: BTreeSet::new(),
            unfinished: false,
            told: News::default(),
        })
    }

    /// Those of these interfaces that there are.
    pub(super) fn ports(&self, names: &BTreeSet<String>) -> BTreeMap<String, Port> {
        let port = |name: &String| {
            let link = self.interfaces.named(name)?;
            let own = || {
                let usable = self.interfaces.on(link.index).filter(|(_, found)| found.usable);
                usable.filter(|(_, found)| !found.marked).map(|(net, _)| net.addr())
            };
            // Kernels before 5.18 drop the mark, but a link-local VIP has a lease all the same.
            // Taken for the host's own, it would make both directors speak from one address.
            let lasting = self.interfaces.on(link.index).filter(|(_, found)| !found.finite);
            let lasting = lasting.filter(|(_, found)| found.usable && !found.marked);
            let link_local = lasting.map(|(net, _)| net.addr()).find_map(|address| match address {
                IpAddr::V6(a) if a.is_unicast_link_local() => Some(a),
                IpAddr::V4(_) | IpAddr::V6(_) => None,
            });
            let port = Port {
                index: link.index,
                mac: link.mac,
                running: link.running,
                arp: link.arp,
                router: link.router,
                own: own().collect(),
                link_local,
            };
            Some((name.clone(), port))
        };
        names.iter().filter_map(port).collect()
    }

    /// Follows orders until nobody gives them any more.
    pub(super) fn run(mut self, orders: &Reader<Order>, news: &Writer<News>) {
        // The advertising thread says for both what is refused.
        realtime::schedule().ok();
        let mut read = now();
        loop {
            self.sleep(orders);
            match orders.drain() {
                Mail::Closed => return,
                Mail::Letters(letters) => self.order = letters.into_iter().last().or(self.order),
            }
            self.hear();
            if now() >= read + FLOOR {
                read = now();
                self.read_anew();
            }
            self.follow(news);
        }
    }

    fn sleep(&self, orders: &Reader<Order>) {
        let again = if self.unfinished { RETRY } else { FLOOR };
        let mut fds = [
            PollFd::new(orders.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.hearing.as_fd(), PollFlags::POLLIN),
        ];
        // A signal is no reason to do anything else than to look.
        poll(&mut fds, PollTimeout::try_from(again).unwrap_or(PollTimeout::MAX)).ok();
    }

    fn hear(&mut self) {
        if let Heard::Lost = self.hearing.hear(&mut self.interfaces) {
            self.read_anew();
        }
    }

    fn read_anew(&mut self) {
        // Until it succeeds, the old table with what was heard is the best there is.
        if let Ok(interfaces) = self.asking.dump() {
            self.interfaces = interfaces;
        }
        // What changed meanwhile; what is lost now is read at the next floor.
        self.hearing.hear(&mut self.interfaces);
    }

    /// Makes the addresses be as wanted, and says how they are.
    fn follow(&mut self, news: &Writer<News>) {
        let Some(order) = self.order.take() else {
            return;
        };
        self.tried.clear();
        self.unfinished = false;
        for _ in 0..ROUNDS {
            let plan = self.look(&order);
            if plan.changes.is_empty() {
                break;
            }
            for changes in plan.changes.chunks(BATCH) {
                changes.iter().for_each(|change| self.carry_out(change));
                self.hear();
                self.look(&order);
                self.tell(&order, news);
            }
        }
        self.tell(&order, news);
        self.order = Some(order);
    }

    /// What is to be done, without what was refused just now.
    fn look(&mut self, order: &Order) -> Plan {
        self.leased.retain(|vip, _| order.wanted.vips.contains_key(vip));
        let mut plan = plan(&order.wanted, &self.interfaces, &self.leased, now());
        plan.changes.retain(|change| !change.vip().is_some_and(|v| self.tried.contains(v)));
        self.refused.retain(|vip, _| order.wanted.vips.contains_key(vip));
        self.stood.retain(|vip| order.wanted.vips.contains_key(vip));
        self.stood.extend(plan.standing.iter().cloned());
        self.standing.clone_from(&plan.standing);
        self.foreign.clone_from(&plan.foreign);
        plan
    }

    fn carry_out(&mut self, change: &Change) {
        let at = now();
        let lost = matches!(change, Change::Add { vip, .. } if self.stood.contains(vip));
        if lost && !self.may_put_back(at) {
            self.unfinished = true;
            return;
        }
        let (message, flags) = request(change);
        let answer = self.asking.request(message, flags);
        match (change, answer) {
            (
                Change::Add { vip, index, lease, .. } | Change::Renew { vip, index, lease, .. },
                Ok(()),
            ) => {
                self.ours.insert((*index, vip.address));
                self.leased.insert(vip.clone(), Leased { at, seconds: *lease });
                self.refused.remove(vip);
                if lost {
                    self.put_back.insert(vip.clone());
                }
            }
            // Somebody was quicker; what was heard says whether theirs will do.
            (Change::Add { .. }, Err(Errno::EEXIST)) => {}
            (Change::Add { vip, .. } | Change::Renew { vip, .. }, Err(errno)) => {
                self.refused.insert(vip.clone(), errno);
                self.tried.insert(vip.clone());
                self.unfinished = true;
            }
            // Gone already, or the interface is; anything else is tried again.
            (Change::Remove { .. }, Err(Errno::EADDRNOTAVAIL | Errno::ENODEV)) => {}
            (Change::Remove { .. }, Err(_)) => self.unfinished = true,
            (Change::Remove { index, address }, Ok(())) => {
                if !self.ours.remove(&(*index, *address)) {
                    self.orphaned.insert(*address);
                }
            }
        }
    }

    /// Counts, so that somebody who deletes as fast as we add does not have us do only this.
    fn may_put_back(&mut self, at: Moment) -> bool {
        let (since, count) = self.put_backs;
        let (since, count) = if at >= since + RETRY { (at, 0) } else { (since, count) };
        self.put_backs = (since, count + 1);
        count < PUT_BACKS
    }

    fn tell(&mut self, order: &Order, news: &Writer<News>) {
        let letter = News {
            generation: order.wanted.generation,
            ports: self.ports(&order.interfaces),
            standing: self.standing.clone(),
            foreign: self.foreign.clone(),
            refused: self.refused.clone(),
            put_back: self.put_back.clone(),
            orphaned: self.orphaned.clone(),
        };
        if letter == self.told {
            return;
        }
        if news.send(letter.clone()) {
            self.put_back.clear();
            self.orphaned.clear();
            self.told = News { put_back: BTreeSet::new(), orphaned: BTreeSet::new(), ..letter };
        } else {
            self.unfinished = true;
        }
    }
}
