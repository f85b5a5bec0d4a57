//! All virtual routers of a host, and the sync groups that tie some of them together.
//!
//! The same verbs as a router has, with the name where one router is meant. A group has one
//! condition: what is a fault of one member is a fault of all, and the lowest weight counts for
//! all. One member becomes Active, and the others follow at once; one yields, and all yield.
//!
//! A new configuration moves nothing that did not change. A router that is removed, or is another
//! one under the old name, is released; meanwhile it goes on under its name and
//! [`REPLACED`].

mod group;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use super::config::{Family, RouterConfig, Vip};
use super::packet::{Discard, Envelope, Received};
use super::router::{Condition, Output, PeerNews, Router, Start};
use crate::clock::Moment;

/// The name of a router.
pub type RouterKey = String;

/// What is put behind the name of a router that leaves while another has its name. No name in a
/// file has a space.
pub const REPLACED: &str = " (replaced)";

/// All virtual routers of this host.
#[derive(Clone, Debug, Default)]
pub struct Speaker {
    members: BTreeMap<RouterKey, Member>,
    outputs: VecDeque<(RouterKey, Output)>,
    /// The whole host stops.
    released: bool,
}

#[derive(Clone, Debug)]
struct Member {
    router: Router,
    /// What tracking said of this router alone.
    own: Condition,
    /// It was removed, and goes as soon as it is done.
    leaves: bool,
}

impl Speaker {
    /// The routers, each with the way in which it starts; those without one start afresh.
    pub fn new(
        configs: Vec<RouterConfig>,
        starts: &BTreeMap<RouterKey, Start>,
        now: Moment,
    ) -> Self {
        let mut speaker = Speaker::default();
        for config in configs {
            let start = starts.get(&config.name).copied().unwrap_or(Start::Fresh);
            speaker.add(config, start, now);
        }
        speaker
    }

    /// A packet came in whole on an interface.
    pub fn handle_packet(
        &mut self,
        interface: &str,
        received: &Received,
        envelope: &Envelope,
        now: Moment,
    ) -> Result<(), Discard> {
        let (from, vrid) = (envelope.source, received.advert.vrid);
        let family = Family::of(from);
        let is_for = |config: &RouterConfig| {
            (config.vrid.get(), config.family) == (vrid, family) && config.interface == interface
        };
        let mut verdict = Err(Discard::UnknownRouter { vrid, family });
        // While one version replaces another, two routers have the same identifier.
        for key in self.keys_where(|member| is_for(member.router.config())) {
            let one = self.act(&key, now, |router| {
                router.handle_advert(from, &received.advert, now)?;
                router.handle_notes(from, &received.notes, now);
                Ok(())
            });
            verdict = if verdict.is_ok() { verdict } else { one.unwrap_or(verdict) };
        }
        verdict
    }

    /// What tracking knows now about one router.
    pub fn handle_condition(&mut self, name: &str, condition: Condition, now: Moment) {
        let Some(member) = self.members.get_mut(name) else { return };
        member.own = condition;
        let keys = self.with_its_group(name);
        self.apply_conditions(&keys, now);
    }

    /// What is known of one router of another director, by its host's name.
    pub fn handle_peer(&mut self, peer: &str, name: &str, news: PeerNews, now: Moment) {
        let Some(member) = self.members.get(name) else { return };
        let mut peers = member.router.config().peers.iter();
        let Some(address) = peers.find(|known| known.name == peer).map(|known| known.address)
        else {
            return;
        };
        self.act(name, now, |router| router.handle_peer(address, news, now));
    }

    /// Another host announced an address as its own by ARP or NA.
    pub fn handle_claim(&mut self, address: IpAddr, now: Moment) {
        for key in self.keys_with_vip(address) {
            self.act(&key, now, |router| router.handle_claim(now));
        }
    }

    /// Another host uses an address as its own, without announcing it.
    pub fn handle_use(&mut self, address: IpAddr, now: Moment) {
        for key in self.keys_with_vip(address) {
            self.act(&key, now, |router| router.handle_use(now));
        }
    }

    /// Somebody deleted this VIP, and it was put back.
    pub fn handle_lost_vip(&mut self, address: IpAddr, now: Moment) {
        for key in self.keys_with_vip(address) {
            self.act(&key, now, |router| router.handle_lost_vip(now));
        }
    }

    /// The routers that there are to be. Added ones start afresh, removed ones are released.
    pub fn handle_config(&mut self, configs: Vec<RouterConfig>, now: Moment) {
        if self.released {
            return;
        }
        let names: BTreeSet<&str> = configs.iter().map(|config| config.name.as_str()).collect();
        let stays = |member: &Member| names.contains(member.router.config().name.as_str());
        for key in self.keys_where(|member| !member.leaves && !stays(member)) {
            self.remove(&key, now);
        }
        for config in configs {
            self.add_or_change(config, now);
        }
        let keys = self.keys_where(|_| true);
        self.apply_conditions(&keys, now);
    }

    /// The service stops.
    pub fn handle_release(&mut self, now: Moment) {
        self.released = true;
        for key in self.keys_where(|_| true) {
            self.act(&key, now, |router| router.handle_release(now));
        }
    }

    /// This process is about to be replaced by one that resumes.
    pub fn handle_restart(&mut self, now: Moment) {
        for key in self.keys_where(|_| true) {
            self.act(&key, now, |router| router.handle_restart(now));
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Moment) {
        let is_due = |member: &Member| member.router.poll_timeout().is_some_and(|at| at <= now);
        for key in self.keys_where(is_due) {
            self.hold_back(&key, now);
            self.act(&key, now, |router| router.handle_timeout(now));
        }
    }

    /// What is to be done next, and for which router.
    pub fn poll_output(&mut self) -> Option<(RouterKey, Output)> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Speaker::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.members.values().filter_map(|member| member.router.poll_timeout()).min()
    }

    /// The VIPs that belong on this host now.
    pub fn vips(&self) -> BTreeSet<Vip> {
        let holding = self.routers().filter(|(_, router)| router.holds());
        holding.flat_map(|(_, router)| router.config().vips.iter().cloned()).collect()
    }

    /// The routers by name, those that leave included.
    pub fn routers(&self) -> impl Iterator<Item = (&str, &Router)> {
        self.members.iter().map(|(key, member)| (key.as_str(), &member.router))
    }

    /// One router.
    pub fn router(&self, name: &str) -> Option<&Router> {
        self.members.get(name).map(|member| &member.router)
    }

    /// Every router was released and is done.
    pub fn is_done(&self) -> bool {
        self.members.is_empty()
    }
}

impl Speaker {
    fn add(&mut self, config: RouterConfig, start: Start, now: Moment) {
        let name = config.name.clone();
        let router = Router::new(config, start, now);
        let member = Member { router, own: Condition::default(), leaves: false };
        self.members.insert(name, member);
    }

    fn add_or_change(&mut self, config: RouterConfig, now: Moment) {
        let name = config.name.clone();
        let Some(member) = self.members.get(&name) else {
            return self.add(config, Start::Fresh, now);
        };
        if member.router.is_same_router(&config) && !member.leaves {
            self.act(&name, now, |router| router.handle_config(config, now));
            return;
        }
        let own = member.own.clone();
        self.replace(&name, now);
        self.add(config, Start::Fresh, now);
        if let Some(member) = self.members.get_mut(&name) {
            member.own = own;
        }
    }

    fn remove(&mut self, key: &str, now: Moment) {
        if let Some(member) = self.members.get_mut(key) {
            member.leaves = true;
        }
        self.act(key, now, |router| router.handle_release(now));
    }

    /// The old router goes on under another name until it is done. One that was still going since
    /// the replacement before that is dropped, and its VIPs with it.
    fn replace(&mut self, name: &str, now: Moment) {
        if let Some(member) = self.members.remove(name) {
            let key = format!("{name}{REPLACED}");
            self.members.insert(key.clone(), member);
            self.remove(&key, now);
        }
    }

    fn keys_where(&self, which: impl Fn(&Member) -> bool) -> Vec<RouterKey> {
        let found = self.members.iter().filter(|(_, member)| which(member));
        found.map(|(key, _)| key.clone()).collect()
    }

    fn keys_with_vip(&self, address: IpAddr) -> Vec<RouterKey> {
        self.keys_where(|member| {
            member.router.config().vips.iter().any(|vip| vip.address.addr() == address)
        })
    }

    /// One input to one router, and what follows from it for its group.
    fn act<T>(
        &mut self,
        key: &str,
        now: Moment,
        input: impl FnOnce(&mut Router) -> T,
    ) -> Option<T> {
        let (result, step) = self.step(key, input)?;
        self.follow(key, step, now);
        Some(result)
    }

    /// Takes over the outputs of a router, and lets it go when it is done.
    fn drain(&mut self, key: &str) {
        let Some(member) = self.members.get_mut(key) else { return };
        let mut is_done = false;
        while let Some(output) = member.router.poll_output() {
            is_done |= output == Output::Done;
            self.outputs.push_back((key.to_owned(), output));
        }
        if is_done {
            self.members.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
