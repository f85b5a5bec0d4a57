//! The rules that hold when nothing has happened for a while, and the bound of that while is
//! [`settling_time`](super::judge::settling_time).
//!
//! Cuts of one direction make "connected" a word with many meanings; each rule here is said of
//! what one host hears of another, and so holds in any network.

use super::scenario::{HostId, RouterId};
use super::world::World;
use crate::vrrp::config::{OWNER, Preempt};
use crate::vrrp::router::State;

impl World<'_> {
    /// Everything has come to rest, or should have.
    pub(super) fn settle(&mut self) {
        self.judge.settled = true;
        self.judge.tally.settled += 1;
        self.judge.tally.moves += u64::from(self.judge.episode.take().is_some());
        self.note(|| "all should be at rest".to_owned());
        self.no_vip_is_on_two_hosts_longer_than_its_lease();
        self.no_vip_is_on_two_connected_hosts();
        for router in 0..self.scenario.hosts[0].routers.len() {
            for host in 0..self.hosts.len() {
                self.an_active_router_is_never_silent(host, router);
                self.whoever_hears_a_better_one_has_yielded(host, router);
                self.somebody_is_active_if_somebody_can_be(host, router);
                self.a_better_one_has_preempted(host, router);
                self.a_group_is_together(host, router);
                self.what_has_failed_is_not_active(host, router);
                self.the_active_one_has_the_vips(host, router);
                self.the_active_one_has_announced_itself(host, router);
                self.a_weight_counts(host, router);
                self.a_backup_knows_who_is_active(host, router);
                self.the_network_knows_where_a_vip_is(host, router);
            }
        }
    }

    /// The Active routers whose advertisements come to a host, or the word of whose host does.
    fn heard_by(&self, host: HostId, router: RouterId) -> Vec<HostId> {
        let others = (0..self.hosts.len()).filter(|other| *other != host);
        let comes =
            |other: HostId| self.network.speaks(other, host) || self.links.joined(other, host);
        let heard = others.filter(|other| comes(*other));
        heard.filter(|other| self.hosts[*other].is_active(router)).collect()
    }

    fn rank(&self, host: HostId, router: RouterId) -> (u8, std::net::IpAddr) {
        let here = &self.hosts[host];
        (here.standing(router).map_or(0, |(_, priority)| priority), here.address)
    }

    /// Of two Active routers of which one hears the other, the one that hears is the better one:
    /// so where both hear each other there is only one.
    fn whoever_hears_a_better_one_has_yielded(&mut self, host: HostId, router: RouterId) {
        if !self.hosts[host].is_active(router) {
            return;
        }
        for other in self.heard_by(host, router) {
            let (own, theirs) = (self.rank(host, router), self.rank(other, router));
            if theirs > own {
                let what = format!("hosts {host} {own:?} and {other} {theirs:?} r{router}");
                self.broken("whoever_hears_a_better_one_has_yielded", what);
            }
        }
    }

    /// A host that may be Active is, or hears one that is.
    fn somebody_is_active_if_somebody_can_be(&mut self, host: HostId, router: RouterId) {
        let here = &self.hosts[host];
        let idle = here.may_be_active(router) && !here.is_active(router);
        if idle && self.heard_by(host, router).is_empty() {
            let what = format!("host {host} r{router} waits for nobody");
            self.broken("somebody_is_active_if_somebody_can_be", what);
        }
    }

    /// Whoever may preempt is not kept waiting by lower ones. So a start without a fault elects
    /// the highest.
    fn a_better_one_has_preempted(&mut self, host: HostId, router: RouterId) {
        let here = &self.hosts[host];
        let config = &here.routers[router];
        let preempts = config.preempt != Preempt::Never || config.priority == OWNER;
        if !preempts || !here.may_be_active(router) || here.is_active(router) {
            return;
        }
        let (own, _) = self.rank(host, router);
        let heard = self.heard_by(host, router);
        if !heard.is_empty() && heard.iter().all(|other| self.rank(*other, router).0 < own) {
            let what = format!("host {host} r{router} {own} has not preempted {heard:?}");
            self.broken("a_better_one_has_preempted", what);
        }
    }

    /// The routers of a sync group are all Active or none of them is.
    fn a_group_is_together(&mut self, host: HostId, router: RouterId) {
        let here = &self.hosts[host];
        let active = here.is_active(router);
        let left = here.group(router).find(|member| here.is_active(*member) != active);
        if let Some(member) = left.filter(|_| here.is_awake()) {
            let what = format!("host {host} r{router} Active {active}, and r{member} not so");
            self.broken("a_group_is_together", what);
        }
    }

    /// A router with a fault, or beside one in its sync group, is not Active.
    fn what_has_failed_is_not_active(&mut self, host: HostId, router: RouterId) {
        let here = &self.hosts[host];
        if here.is_active(router) && !here.may_be_active(router) {
            let what = format!("host {host} r{router} is Active and must not be");
            self.broken("what_has_failed_is_not_active", what);
        }
    }

    /// On a host whose process runs the VIPs are there if and only if the router is Active.
    fn the_active_one_has_the_vips(&mut self, host: HostId, router: RouterId) {
        let here = &self.hosts[host];
        let active = here.is_active(router);
        let differs = here.vips(router).find(|vip| here.kernel.contains_key(vip) != active);
        if let Some(vip) = differs.filter(|_| here.is_awake()) {
            let what = format!("host {host} r{router} Active {active}, and {vip} not so");
            self.broken("the_active_one_has_the_vips", what);
        }
    }

    /// RFC 9568 6.4.2 (360): whoever becomes Active announces its VIPs.
    fn the_active_one_has_announced_itself(&mut self, host: HostId, router: RouterId) {
        let account = &self.judge.accounts[host][router];
        if self.hosts[host].is_active(router) && account.announced < account.active_since {
            let what = format!("host {host} r{router} is Active and has not said so by ARP or NA");
            self.broken("the_active_one_has_announced_itself", what);
        }
    }

    /// The priority is that of the files and what tracking adds; an owner's stays.
    fn a_weight_counts(&mut self, host: HostId, router: RouterId) {
        let here = &self.hosts[host];
        let config = i32::from(here.routers[router].priority.get());
        let moved = (config + i32::from(here.conditions[router].adjust)).clamp(1, 254);
        let right = if config == i32::from(OWNER.get()) { config } else { moved };
        let (own, _) = self.rank(host, router);
        if here.is_awake() && !here.released && i32::from(own) != right {
            let what = format!("host {host} r{router} has priority {own}, not {right}");
            self.broken("a_weight_counts", what);
        }
    }

    /// What is shown to people and hooks as the Active one is the Active one.
    fn a_backup_knows_who_is_active(&mut self, host: HostId, router: RouterId) {
        let here = &self.hosts[host];
        let [active] = self.heard_by(host, router)[..] else { return };
        let name = &here.routers[router].name;
        let Some(machine) = here.process.as_ref().and_then(|process| process.router(name)) else {
            return;
        };
        let known = machine.active().and_then(|address| self.host_at(self.known_as(address)));
        let backup = here.is_awake() && machine.state() == State::Backup;
        if backup && known != Some(active) {
            let what = format!("host {host} r{router} takes {known:?} for Active, not {active}");
            self.broken("a_backup_knows_who_is_active", what);
        }
    }

    /// Whoever hears the Active one's announcements sends to it, and not to a host that was Active
    /// before or beside it.
    fn the_network_knows_where_a_vip_is(&mut self, host: HostId, router: RouterId) {
        let here = &self.hosts[host];
        let [active] = self.heard_by(host, router)[..] else { return };
        if !here.answers() || here.is_active(router) {
            return;
        }
        let believed = |vip| self.judge.believed.get(&(vip, host)).and_then(|last| last.0);
        let all = here.vips(router).filter_map(|vip| Some((vip, believed(vip)?)));
        let elsewhere: Vec<_> = all.filter(|(_, other)| *other != active).collect();
        if let Some((vip, other)) = elsewhere.first() {
            let what = format!("host {host} sends to {other} for {vip}, which is on {active}");
            self.broken("the_network_knows_where_a_vip_is", what);
        }
    }
}
