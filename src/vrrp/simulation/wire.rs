//! A host's turn: its driver reads all that waits, tells the time, and does what is asked.
//!
//! Packets travel as bytes, so that codec and machine are used as the real driver uses them. What
//! the account of each host and the judge have to know is told them here.

use std::net::IpAddr;
use std::time::Duration;

use super::bug::{Bug, mirrored};
use super::host::{Input, skew};
use super::junk;
use super::scenario::{HostId, Junk, RouterId};
use super::world::{Happening, World};
use crate::clock::Moment;
use crate::vrrp::config::{Family, Transport};
use crate::vrrp::packet::{self, Advert, Envelope, Expect, GROUP_IPV4, GROUP_IPV6};
use crate::vrrp::router::{Output, PeerNews, State};
use crate::vrrp::speaker::Speaker;

/// What a driver does in one turn at most; a machine that asks for more asks for ever.
const MOST_OUTPUTS: u32 = 2000;

/// What a machine was told when it did something.
#[derive(Clone, Debug)]
pub enum Cause {
    /// A packet of that router, from there, with that priority, once it was not discarded.
    Advert { router: RouterId, from: IpAddr, priority: u8 },
    /// Its time was up; it was told so this much too late.
    Timeout { late: Duration },
    /// Anything else.
    Other(&'static str),
}

impl World<'_> {
    /// The process of that host, if it is awake, looks at everything.
    pub(super) fn turn(&mut self, host: HostId) {
        self.expire(host);
        if !self.hosts[host].is_awake() {
            return;
        }
        let before = self.standings(host);
        let mut causes = Vec::new();
        while let Some(input) = self.hosts[host].inbox.pop_front() {
            causes.push(self.tell(host, input));
        }
        let now = self.hosts[host].process_clock(self.now);
        let Some(process) = &mut self.hosts[host].process else { return };
        if let Some(deadline) = process.poll_timeout().filter(|deadline| *deadline <= now) {
            process.handle_timeout(now);
            causes.push(Cause::Timeout { late: now.since(deadline) });
            self.hosts[host].late = self.random.between(Duration::ZERO, super::world::LATEST);
        }
        self.drain(host, &before, &causes);
    }

    /// The process is told something that nobody sent.
    pub(super) fn verb(&mut self, host: HostId, verb: impl FnOnce(&mut Speaker)) {
        let before = self.standings(host);
        let Some(process) = &mut self.hosts[host].process else { return };
        verb(process);
        self.drain(host, &before, &[Cause::Other("told to")]);
    }

    fn expire(&mut self, host: HostId) {
        if self.hosts[host].answers() {
            let held: Vec<IpAddr> = self.hosts[host].kernel.keys().copied().collect();
            self.hosts[host].expire(self.now);
            self.moved(host, &held);
        }
    }

    /// Hands one input to the machine.
    fn tell(&mut self, host: HostId, input: Input) -> Cause {
        let bug = self.bug;
        let now = self.hosts[host].process_clock(self.now);
        match input {
            Input::Packet { bytes, envelope, junk } => {
                self.tell_packet(host, &bytes, envelope, junk)
            }
            Input::Claim { address } => {
                if let Some(process) = &mut self.hosts[host].process {
                    process.handle_claim(address, now);
                }
                Cause::Other("a claim")
            }
            Input::News { peer, router, news } => {
                let name = self.hosts[peer].name.clone();
                self.note(|| format!("host {host} hears of {name} r{router}: {news:?}"));
                let (address, clock) = (self.hosts[peer].address, self.hosts[host].clock(self.now));
                self.judge.learns((host, router), address, &news, clock);
                let here = &mut self.hosts[host];
                let told = bug.map_or(Some(news), |bug| bug.news(news));
                if let (Some(process), Some(news)) = (&mut here.process, told) {
                    process.handle_peer(&name, &here.routers[router].name, news, now);
                }
                Cause::Other("news of a peer")
            }
            Input::Condition { router } => {
                let here = &mut self.hosts[host];
                let found = here.conditions[router].clone();
                let found = bug.map_or(found.clone(), |bug| bug.condition(found));
                if let Some(process) = &mut here.process {
                    process.handle_condition(&here.routers[router].name, found, now);
                }
                self.judge.is_reweighed(host, router);
                Cause::Other("a condition")
            }
            Input::Config => {
                let told = self.hosts[host].told(bug);
                for router in 0..told.len() {
                    self.judge.is_reweighed(host, router);
                }
                if let Some(process) = &mut self.hosts[host].process {
                    process.handle_config(told, now);
                }
                Cause::Other("a reload")
            }
            Input::LostVip { router } => {
                let vips: Vec<IpAddr> = self.hosts[host].vips(router).collect();
                if let Some(process) = &mut self.hosts[host].process {
                    vips.into_iter().for_each(|vip| process.handle_lost_vip(vip, now));
                }
                Cause::Other("a lost VIP")
            }
        }
    }

    fn tell_packet(
        &mut self,
        host: HostId,
        bytes: &[u8],
        envelope: Envelope,
        junk: Option<Junk>,
    ) -> Cause {
        let expect = Expect { multicast: envelope.destination.is_multicast() };
        let received = packet::parse(bytes, &envelope, &expect);
        let router = received.as_ref().ok().and_then(|received| {
            let vrid = |r: &RouterId| self.hosts[host].routers[*r].vrid.get();
            (0..self.hosts[host].routers.len()).find(|r| vrid(r) == received.advert.vrid)
        });
        let (Ok(mut received), Some(router)) = (received, router) else {
            self.rearm(host, 0);
            return Cause::Other("junk");
        };
        let said = received.advert.clone();
        let standing = self.hosts[host].standing(router);
        let (state, own) = standing.unwrap_or((State::Initialize, 0));
        let mut seen = envelope;
        if let Some(bug) = self.bug {
            let active = (state == State::Active).then_some(own);
            let interval = self.hosts[host].routers[router].interval;
            match bug.hear(received.advert, envelope, (interval, active)) {
                Some((advert, envelope)) => (received.advert, seen) = (advert, envelope),
                None => return Cause::Other("a deaf ear"),
            }
        }
        let now = self.hosts[host].process_clock(self.now);
        let here = &mut self.hosts[host];
        let Some(process) = &mut here.process else { return Cause::Other("nobody") };
        let interface = &here.routers[router].interface;
        let judged = process.handle_packet(interface, &received, &seen, now);
        if let Err(discard) = judged {
            if junk != Some(Junk::Own) {
                self.note(|| format!("host {host} discards from {}: {discard}", envelope.source));
            }
            self.rearm(host, router);
            return Cause::Other("junk");
        }
        if let Some(junk) = junk {
            let what = format!("host {host} r{router} heeds {junk:?}: {said:?}");
            self.broken("junk_is_discarded", what);
        }
        if !self.judge.settled {
            let Advert { priority, .. } = said;
            self.note(|| {
                format!("host {host} r{router} hears {} with {priority}", envelope.source)
            });
        }
        self.heard(host, router, envelope.source, &said, own);
        self.rearm(host, router);
        self.forget_skew(host, router, &said);
        Cause::Advert { router, from: envelope.source, priority: said.priority }
    }

    /// The planted bug by which any packet starts the advertisement timer anew: the process's
    /// clock is put back until that timer has a whole interval before it.
    fn rearm(&mut self, host: HostId, router: RouterId) {
        if self.bug != Some(Bug::JunkRearms) || !self.hosts[host].is_active(router) {
            return;
        }
        let now = self.hosts[host].process_clock(self.now);
        let here = &mut self.hosts[host];
        let interval = here.routers[router].interval.get();
        let deadline = here.process.as_ref().and_then(Speaker::poll_timeout);
        let left = deadline.map_or(Duration::ZERO, |deadline| deadline.since(now));
        let back = interval.saturating_sub(left).as_nanos();
        here.shift -= i64::try_from(back).unwrap_or(i64::MAX);
    }

    /// The planted bug by which no Backup waits for its skew time: with every advertisement that
    /// starts its timer the process's clock jumps ahead by it.
    fn forget_skew(&mut self, host: HostId, router: RouterId, advert: &Advert) {
        let Some((State::Backup, own)) = self.hosts[host].standing(router) else { return };
        if self.bug == Some(Bug::NoSkew) && advert.priority >= own {
            let skew = skew(advert.version, own, advert.interval.get());
            self.hosts[host].shift += i64::try_from(skew.as_nanos()).unwrap_or(i64::MAX);
        }
    }

    /// Does everything that the machine asks for.
    fn drain(&mut self, host: HostId, before: &[(State, u8)], causes: &[Cause]) {
        for count in 0.. {
            let Some(process) = &mut self.hosts[host].process else { return };
            let Some((name, output)) = process.poll_output() else { break };
            if count > MOST_OUTPUTS {
                return self.broken("a_host_rests", format!("host {host} asks without end"));
            }
            let Some(router) = self.hosts[host].router_named(name.as_ref()) else { continue };
            let fresh = before[router].0 != State::Active;
            let active = self.hosts[host].is_active(router);
            if !self.bug.is_some_and(|bug| bug.swallows(&output, fresh, active)) {
                self.obey(host, router, output, causes);
            }
        }
        self.follow(host);
        self.pass_on(host, before);
        if self.hosts[host].process.as_ref().is_some_and(Speaker::is_done) {
            self.note(|| format!("host {host} has left"));
            self.end_process(host);
        }
    }

    /// Does one thing.
    fn obey(&mut self, host: HostId, router: RouterId, output: Output, causes: &[Cause]) {
        match output {
            Output::Send(advert) => self.send(host, router, &advert),
            Output::Announce => {
                self.follow(host);
                self.announce(host, router);
            }
            Output::Changed { from, to, why } => {
                self.note(|| format!("host {host} r{router}: {from} -> {to} ({why})"));
                self.changed(host, router, (from, to), causes);
            }
            Output::Noticed(notice) => {
                self.note(|| format!("host {host} r{router} notices: {notice}"));
            }
            Output::Done => self.note(|| format!("host {host} r{router} is done")),
        }
    }

    fn standings(&self, host: HostId) -> Vec<(State, u8)> {
        let all = 0..self.hosts[host].routers.len();
        let standing = |r| self.hosts[host].standing(r).unwrap_or((State::Initialize, 0));
        all.map(standing).collect()
    }

    /// What the peers are told over the link when something is other than before.
    fn pass_on(&mut self, host: HostId, before: &[(State, u8)]) {
        for (router, (state, priority)) in self.standings(host).into_iter().enumerate() {
            // A router that is gone has no priority.
            if before[router] != (state, priority) && priority > 0 {
                self.relay(host, router, &PeerNews::Present { state, priority });
            }
        }
    }

    /// Makes the kernel's VIPs those that the machine wants.
    fn follow(&mut self, host: HostId) {
        let here = &mut self.hosts[host];
        let Some(process) = &here.process else { return };
        let held: Vec<IpAddr> = here.kernel.keys().copied().collect();
        let mut wanted = Vec::new();
        for (name, router) in process.routers().filter(|(_, router)| router.holds()) {
            let dropped = self.bug.is_some_and(|bug| bug.drops_vips(router.state()));
            if let Some(id) = here.router_named(name).filter(|_| !dropped) {
                wanted.extend(here.vips(id));
            }
        }
        here.follow(&wanted, self.bug, self.now);
        self.moved(host, &held);
    }

    fn send(&mut self, host: HostId, router: RouterId, advert: &Advert) {
        if advert.priority == 0 {
            self.relay(host, router, &PeerNews::Resigned);
        }
        self.sent(host, router, advert);
        let config = &self.hosts[host].routers[router];
        let (source, checksum) = (self.hosts[host].address, config.checksum);
        let group: IpAddr = match config.family {
            Family::Ipv4 => GROUP_IPV4.into(),
            Family::Ipv6 => GROUP_IPV6.into(),
        };
        let multicast = config.transport == Transport::Multicast;
        for to in (0..self.hosts.len()).filter(|to| *to != host) {
            let destination = if multicast { group } else { self.hosts[to].address };
            let envelope = Envelope { source, destination, ttl: Some(packet::TTL) };
            let mut bytes = Vec::new();
            packet::emit(advert, source, destination, checksum, &mut bytes);
            if self.network.speaks(host, to) {
                self.carry(host, to, &Input::Packet { bytes, envelope, junk: None });
            }
        }
    }

    fn announce(&mut self, host: HostId, router: RouterId) {
        self.judge.accounts[host][router].announced = Some(self.now);
        let vips: Vec<IpAddr> = self.hosts[host].vips(router).collect();
        for address in vips {
            for to in (0..self.hosts.len()).filter(|to| *to != host) {
                let arrives = self.carry(host, to, &Input::Claim { address });
                self.judge.announced(address, host, to, arrives);
            }
        }
    }

    /// Puts something on the wire. When it arrives, if it does.
    fn carry(&mut self, from: HostId, to: HostId, input: &Input) -> Option<Moment> {
        let arrivals = self.network.carry((from, to), self.now, &mut self.random);
        for at in arrivals.into_iter().flatten() {
            self.later(at, Happening::Arrival(to, input.clone()));
        }
        arrivals[1].max(arrivals[0])
    }

    /// Junk comes to every host at that moment.
    pub(super) fn throw_junk(&mut self, kind: Junk, router: RouterId, at: Moment) {
        for to in 0..self.hosts.len() {
            let config = &self.hosts[to].routers[router];
            if let Some((bytes, envelope)) = junk::make(kind, config, &mut self.random) {
                let input = Input::Packet { bytes, envelope, junk: Some(kind) };
                self.later(at, Happening::Arrival(to, input));
            }
        }
    }

    /// A router of another make, in no file, advertises itself to every host at that moment.
    pub(super) fn pass_by(&mut self, router: RouterId, priority: u8, at: Moment) {
        let source = mirrored(self.hosts[0].address);
        for to in 0..self.hosts.len() {
            let config = &self.hosts[to].routers[router];
            if let Some((bytes, envelope)) = junk::stranger(config, source, priority) {
                let input = Input::Packet { bytes, envelope, junk: None };
                self.later(at, Happening::Arrival(to, input));
            }
        }
    }

    /// As whom a host's process knows an address, given the planted bug.
    pub(super) fn known_as(&self, address: IpAddr) -> IpAddr {
        match self.bug {
            Some(Bug::TieBreakReversed) => mirrored(address),
            Some(_) | None => address,
        }
    }
}
