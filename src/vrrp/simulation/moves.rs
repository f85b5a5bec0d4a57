//! The rules that hold at every moment, looked at whenever something changes.
//!
//! Each is a function named for the rule. They are judged by what the hosts were told and have
//! heard; whether a machine was right to change is not asked of the machine.

use std::net::IpAddr;
use std::time::Duration;

use super::host::{dead_time, lease, skew};
use super::scenario::{Event, HostId, RouterId};
use super::wire::Cause;
use super::world::World;
use crate::vrrp::packet::Advert;
use crate::vrrp::router::{RESTART, State};

/// How long a process may take to be woken, beside what the network takes.
const PROMPT: Duration = Duration::from_millis(5);

/// How long two that are connected may both be Active: each says so every second, and is believed
/// the second time.
const TOLD: Duration = Duration::from_secs(3);

/// Takeovers of one router without an interval between any two. Shorter intervals of others, and
/// what comes late after a stall, make a few.
const MOST_FLAPS: u32 = 6;

impl World<'_> {
    /// A router on a host changes its state.
    pub(super) fn changed(
        &mut self,
        host: HostId,
        router: RouterId,
        (from, to): (State, State),
        causes: &[Cause],
    ) {
        if self.judge.settled {
            let what = format!("host {host} r{router} goes from {from} to {to}: {causes:?}");
            self.broken("nothing_changes_while_nothing_happens", what);
        }
        if to == State::Active {
            self.judge.tally.takeovers += 1;
            self.a_takeover_needs_silence(host, router);
            self.a_departure_is_answered_at_once(host, router);
            self.a_move_is_one_step(host, router);
            self.nobody_takes_over_again_and_again(host, router);
            self.a_planned_restart_moves_nothing(host, router);
        }
        if (from, to) == (State::Active, State::Backup) {
            self.only_a_better_one_is_yielded_to(host, router, causes);
        }
        let clock = self.hosts[host].clock(self.now);
        let here = &self.hosts[host];
        let keeps_vips = here.vips(router).all(|vip| here.kernel.contains_key(&vip));
        let account = &mut self.judge.accounts[host][router];
        account.active_since = (to == State::Active).then_some(self.now);
        account.left = (from == State::Active).then_some(self.now);
        account.stalled = None;
        account.sent = self.now;
        if to == State::Backup && from != State::Active {
            account.ear.listens_again(clock, keeps_vips);
        }
    }

    /// A Backup becomes Active when it has heard nobody that it has to heed for as long as the
    /// RFCs say, unless somebody said that it leaves. One router of a sync group is enough.
    fn a_takeover_needs_silence(&mut self, host: HostId, router: RouterId) {
        let here = &self.hosts[host];
        let clock = here.clock(self.now);
        let mut objection = None;
        for member in here.group(router) {
            let account = &self.judge.accounts[host][member];
            let own = here.standing(member).map_or(0, |(_, priority)| priority);
            match account.ear.objects(&here.routers[member], own, clock) {
                Some(reason) => objection = Some(reason),
                None => return,
            }
            if account.active_since.is_some() {
                return;
            }
        }
        if let Some(reason) = objection {
            let what = format!("host {host} r{router} takes over, but {reason}");
            self.broken("a_takeover_needs_silence", what);
        }
    }

    /// When the Active one leaves or its process dies, somebody takes over without any timer.
    fn a_departure_is_answered_at_once(&mut self, host: HostId, router: RouterId) {
        let Some(episode) = &self.judge.episode else { return };
        let (left, by_link) = match episode.event {
            Event::Release(left) => (left, false),
            Event::Kill(left) => (left, true),
            _ => return,
        };
        // Who stood still meanwhile is late, and not to blame.
        let slept = self.judge.woken[host].is_some_and(|woken| woken > episode.at);
        let first = !slept && episode.moves[router] == 0 && episode.active[router] == Some(left);
        let all = 0..self.hosts.len();
        let plain = all.filter(|h| *h != left).all(|h| {
            self.hosts[h].may_be_active(router) && self.hosts[h].conditions[router].adjust == 0
        });
        let known = episode.linked || !by_link;
        let took = self.now.since(episode.at);
        if first && plain && known && took > self.network.slowest() * 8 + PROMPT {
            let what = format!("host {host} r{router} takes over {took:?} after {left} has left");
            self.broken("a_departure_is_answered_at_once", what);
        }
    }

    /// When one host leaves, one other takes over and stays, provided that their priorities are
    /// farther apart than the network is slow.
    fn a_move_is_one_step(&mut self, host: HostId, router: RouterId) {
        let slow = (self.network.slowest() + PROMPT) * 2;
        let hosts = &self.hosts;
        let Some(episode) = &mut self.judge.episode else { return };
        // Who stood still meanwhile may be the better one.
        if self.judge.woken[host].is_some_and(|woken| woken > episode.at) {
            return;
        }
        episode.moves[router] += 1;
        let left = match episode.event {
            Event::Release(left) | Event::Kill(left) | Event::PowerOff(left) => left,
            Event::Fault(left, _, true) => left,
            _ => return,
        };
        let (moves, able) = (episode.moves[router], &episode.able[router]);
        let rest = able.iter().filter(|other| **other != left);
        let of = &hosts[left].routers[router];
        let skews = rest.filter_map(|other| {
            let (_, priority) = hosts[*other].standing(router)?;
            Some(skew(of.version, priority, of.interval.get()))
        });
        let mut skews: Vec<Duration> = skews.collect();
        skews.sort();
        let apart = skews.windows(2).all(|pair| pair[1] - pair[0] > slow);
        if apart && moves > 1 {
            let what = format!("host {host} r{router} is takeover number {moves}");
            self.broken("a_move_is_one_step", what);
        }
    }

    /// Nobody takes over from a process that says that it will be back, and is.
    fn a_planned_restart_moves_nothing(&mut self, host: HostId, router: RouterId) {
        let Some(episode) = &self.judge.episode else { return };
        let Event::Restart(left, away) = episode.event else { return };
        let promised = away + PROMPT < RESTART;
        if promised && host != left && episode.active[router] == Some(left) {
            let what = format!("host {host} r{router} takes over during the restart of {left}");
            self.broken("a_planned_restart_moves_nothing", what);
        }
    }

    /// However bad the network is, a host does not take over many times within few intervals.
    fn nobody_takes_over_again_and_again(&mut self, host: HostId, router: RouterId) {
        let interval = self.hosts[host].routers[router].interval.get();
        let (last, times) = self.judge.accounts[host][router].flaps;
        let times = if self.now.since(last) < interval { times + 1 } else { 1 };
        self.judge.accounts[host][router].flaps = (self.now, times);
        if times > MOST_FLAPS {
            let what = format!("host {host} r{router} has taken over {times} times in a row");
            self.broken("nobody_takes_over_again_and_again", what);
        }
    }

    /// An Active router becomes Backup when it hears a better one, or has slept too long.
    fn only_a_better_one_is_yielded_to(
        &mut self,
        host: HostId,
        router: RouterId,
        causes: &[Cause],
    ) {
        let here = &self.hosts[host];
        let members: Vec<RouterId> = here.group(router).collect();
        let better = |member: RouterId, from: IpAddr, priority: u8| {
            let own = here.standing(member).map_or(0, |(_, own)| own);
            members.contains(&member) && (priority, from) > (own, here.address)
        };
        let woken = self.judge.woken[host] == Some(self.now);
        let called_for = woken
            || causes.iter().any(|cause| match cause {
                Cause::Advert { router, from, priority } => better(*router, *from, *priority),
                Cause::Timeout { late } => *late > here.routers[router].interval.get() * 3,
                Cause::Other(what) => !matches!(*what, "a claim" | "junk"),
            });
        if !called_for {
            let what = format!("host {host} r{router} is Active and yields to {causes:?}");
            self.broken("only_a_better_one_is_yielded_to", what);
        }
    }

    /// A router sends an advertisement.
    pub(super) fn sent(&mut self, host: HostId, router: RouterId, advert: &Advert) {
        self.judge.tally.adverts += 1;
        self.an_active_router_is_never_silent(host, router);
        if advert.priority > 0 {
            self.a_sleeper_listens_before_it_speaks(host, router);
            self.only_an_active_router_speaks(host, router);
        }
        self.judge.accounts[host][router].sent = self.now;
    }

    /// While it is Active it sends in every interval, whatever comes in.
    pub(super) fn an_active_router_is_never_silent(&mut self, host: HostId, router: RouterId) {
        let account = &self.judge.accounts[host][router];
        let silent = self.now.since(account.sent);
        let interval = self.hosts[host].routers[router].interval.get();
        let active = account.active_since.is_some() && self.hosts[host].is_awake();
        if active && silent > interval + interval / 4 + PROMPT {
            let what = format!("host {host} r{router} has sent nothing for {silent:?}");
            self.broken("an_active_router_is_never_silent", what);
        }
    }

    /// A process that was stopped for so long that others have taken over hears them first.
    fn a_sleeper_listens_before_it_speaks(&mut self, host: HostId, router: RouterId) {
        let Some(woken) = self.judge.accounts[host][router].stalled else { return };
        let others = (0..self.hosts.len()).filter(|other| *other != host);
        let taken = |other: &HostId| {
            let since = self.judge.accounts[*other][router].active_since;
            let heard = self.network.passes(*other, host) && self.hosts[*other].is_awake();
            heard && since.is_some_and(|since| woken.since(since) > self.network.slowest())
        };
        if let Some(other) = others.into_iter().find(taken) {
            let what =
                format!("host {host} r{router} sleeps, and sends although {other} is Active");
            self.broken("a_sleeper_listens_before_it_speaks", what);
        }
    }

    /// RFC 9568 6.4.2: a Backup sends none, and one that stalled says nothing of what is past.
    fn only_an_active_router_speaks(&mut self, host: HostId, router: RouterId) {
        let standing = self.hosts[host].standing(router);
        let speaks = standing.is_none_or(|(state, _)| state == State::Active);
        // Who yields says once more that it was Active, so that the winner knows of the conflict.
        let last_word = self.judge.accounts[host][router].left == Some(self.now);
        if !speaks && !last_word {
            let what = format!("host {host} r{router} advertises itself as {standing:?}");
            self.broken("only_an_active_router_speaks", what);
        }
    }

    /// The VIPs of a host may have come or gone.
    pub(super) fn moved(&mut self, host: HostId, held: &[IpAddr]) {
        if self.hosts[host].kernel.keys().eq(held.iter()) {
            return;
        }
        for vip in held {
            if !self.hosts[host].kernel.contains_key(vip) {
                self.note(|| format!("host {host} no longer has {vip}"));
                self.a_clean_move_leaves_no_hole(*vip);
            }
        }
        let here = &self.hosts[host];
        let new = here.kernel.keys().filter(|vip| !held.contains(vip));
        let new: Vec<IpAddr> = new.copied().collect();
        for vip in new {
            self.note(|| format!("host {host} has {vip}"));
        }
        self.no_vip_is_on_two_hosts_longer_than_its_lease();
        self.no_vip_is_on_two_connected_hosts();
    }

    /// A VIP is always somewhere when it goes from one host to another for a reason that is not
    /// the failure of a host or of the network.
    fn a_clean_move_leaves_no_hole(&mut self, vip: IpAddr) {
        let Some(episode) = &self.judge.episode else { return };
        let Some(router) = self.hosts[0].router_of(vip) else { return };
        let (clean, left) = match &episode.event {
            Event::Restart(left, away) => (*away <= RESTART, Some(*left)),
            Event::Release(left) | Event::Kill(left) | Event::Stall(left, _) => (true, Some(*left)),
            Event::Fault(left, _, _) => (true, Some(*left)),
            Event::Weigh(..) | Event::Reload(..) | Event::Start(_) => (true, None),
            _ => (false, None),
        };
        let had = episode.active[router].is_some();
        let others = episode.able[router].iter().any(|able| Some(*able) != left);
        let held = |host: &super::host::Host| host.answers() && host.kernel.contains_key(&vip);
        if clean && had && others && !self.hosts.iter().any(held) {
            let what = format!(
                "{vip} is nowhere, {:?} after {:?}",
                self.now.since(episode.at),
                episode.event
            );
            self.broken("a_clean_move_leaves_no_hole", what);
        }
    }

    /// Two hosts that know of each other do not both have a VIP for longer than the lease.
    pub(super) fn no_vip_is_on_two_hosts_longer_than_its_lease(&mut self) {
        let count = self.hosts.len();
        let pairs = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b)));
        let vips: Vec<IpAddr> = self.hosts.iter().flat_map(|h| h.kernel.keys().copied()).collect();
        let mut doubled = std::collections::BTreeMap::new();
        let heard = |a, b| self.network.speaks(a, b) && self.network.speaks(b, a);
        let told = |a, b| self.network.joins(a, b) && self.links.joined(a, b);
        for (a, b) in pairs.filter(|(a, b)| heard(*a, *b) || told(*a, *b)) {
            for vip in &vips {
                let (left, right) = (&self.hosts[a], &self.hosts[b]);
                let both = left.kernel.contains_key(vip) && right.kernel.contains_key(vip);
                if both && left.answers() && right.answers() {
                    let since = self.judge.doubled.get(&(*vip, a, b)).copied();
                    doubled.insert((*vip, a, b), since.unwrap_or(self.now));
                }
            }
        }
        let before = std::mem::replace(&mut self.judge.doubled, doubled);
        for ((vip, a, b), since) in before {
            let Some(router) = self.hosts[a].router_of(vip) else { continue };
            let of = |host: HostId| lease(&self.hosts[host].routers[router], None);
            let (span, least) = (self.now.since(since), of(a).max(of(b)));
            if span > least + dead_time(&self.hosts[a].routers[router]) / 4 {
                let what = format!("{vip} is on hosts {a} and {b} for {span:?}");
                self.broken("no_vip_is_on_two_hosts_longer_than_its_lease", what);
            }
        }
    }

    /// Two hosts that are connected do not both have a VIP, whatever is filtered between them.
    pub(super) fn no_vip_is_on_two_connected_hosts(&mut self) {
        let count = self.hosts.len();
        let pairs = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b)));
        let awake = |host: HostId| self.hosts[host].is_awake();
        let connected = |a, b| self.links.joined(a, b) && self.network.joins(a, b);
        let calm = !self.judge.stormy;
        let pairs = pairs.filter(|(a, b)| calm && awake(*a) && awake(*b) && connected(*a, *b));
        let mut both = std::collections::BTreeMap::new();
        for (a, b) in pairs {
            let here = &self.hosts[a].kernel;
            for vip in here.keys().filter(|vip| self.hosts[b].kernel.contains_key(vip)) {
                let since = self.judge.connected.get(&(*vip, a, b)).copied();
                both.insert((*vip, a, b), since.unwrap_or(self.now));
            }
        }
        let before = std::mem::replace(&mut self.judge.connected, both);
        for ((vip, a, b), since) in before {
            let interval = |host: HostId| {
                let router = self.hosts[host].router_of(vip)?;
                Some(self.hosts[host].routers[router].interval.get())
            };
            // Announcements, which show that the segment is one, are an interval apart.
            let apart = interval(a).max(interval(b)).unwrap_or_default();
            let span = self.now.since(since);
            if span > TOLD + apart + self.network.slowest() * 8 + PROMPT {
                let what = format!("{vip} is on connected hosts {a} and {b} for {span:?}");
                self.broken("no_vip_is_on_two_connected_hosts", what);
            }
        }
    }
}
