//! What is kept beside a run to judge it by: nothing here is asked of the machines.
//!
//! It knows since when nothing has disturbed the hosts, what each has heard, what the one event
//! was that a move follows from, and where the network believes each VIP to be. The rules
//! themselves are in `moves` (whenever something changes) and `rest` (when all has come to rest).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::ear::Ear;
use super::host::{Halt, dead_time};
use super::scenario::{Event, HostId, RouterId, Scenario};
use super::verdict::{Tally, Violation};
use super::world::World;
use crate::clock::Moment;
use crate::vrrp::config::{Preempt, RouterConfig};
use crate::vrrp::packet::Advert;
use crate::vrrp::router::PeerNews;

/// What no interval shortens: the bounds on leaving, and a look at a port that refuses.
const FIXED: Duration = Duration::from_millis(1500);
/// How much longer all takes where only the connection tells who is Active: its silence is noticed,
/// two become Active, and one is told so twice.
const DEAF: Duration = Duration::from_secs(8);

/// What is known of one router on one host.
#[derive(Clone, Debug)]
pub struct Account {
    /// What it has heard.
    pub ear: Ear,
    /// When it sent last, or became able to.
    pub sent: Moment,
    /// Since when it is Active.
    pub active_since: Option<Moment>,
    /// When it last announced its VIPs.
    pub announced: Option<Moment>,
    /// When it last ceased to be Active.
    pub left: Option<Moment>,
    /// When it last took over, and how often in a row without an interval's rest.
    pub flaps: (Moment, u32),
    /// It was Active when its process was stopped, for longer than the others wait, and has not
    /// changed since.
    pub stalled: Option<Moment>,
}

impl Account {
    fn new(ear: Ear, now: Moment) -> Self {
        Account {
            ear,
            sent: now,
            active_since: None,
            announced: None,
            left: None,
            flaps: (Moment::ZERO, 0),
            stalled: None,
        }
    }
}

/// The one event that happened since all was at rest.
#[derive(Clone, Debug)]
pub struct Episode {
    /// What it was.
    pub event: Event,
    /// When.
    pub at: Moment,
    /// Who was Active for each router, where that was one host.
    pub active: Vec<Option<HostId>>,
    /// Who could be Active for each router.
    pub able: Vec<Vec<HostId>>,
    /// Whether every two hosts were connected.
    pub linked: bool,
    /// How often each router has moved since.
    pub moves: Vec<u32>,
}

/// What is kept.
#[derive(Clone, Debug)]
pub struct Judge {
    /// For each host and each of its routers.
    pub accounts: Vec<Vec<Account>>,
    /// What happened since all was at rest, if it was one event and the network is whole.
    pub episode: Option<Episode>,
    /// Whom each host believes to have a VIP, by the last announcement that came, and when it
    /// came. `None`: one was lost.
    pub believed: BTreeMap<(IpAddr, HostId), (Option<HostId>, Moment)>,
    /// Since when two hosts that reach each other both have a VIP.
    pub doubled: BTreeMap<(IpAddr, HostId, HostId), Moment>,
    /// Since when two hosts that are connected and run both have a VIP, while nothing is lost.
    pub connected: BTreeMap<(IpAddr, HostId, HostId), Moment>,
    /// Whether all has come to rest.
    pub settled: bool,
    /// When each host last went on after it had stood still.
    pub woken: Vec<Option<Moment>>,
    /// What happened so far.
    pub tally: Tally,
    quiet_since: Moment,
    pub(super) stormy: bool,
    bound: Duration,
    broken: Option<Violation>,
}

impl Judge {
    /// One that has seen nothing.
    pub fn new(scenario: &Scenario) -> Self {
        let listening = |config: &RouterConfig| Ear::new(config, Moment::ZERO, false);
        let account = |config: &RouterConfig| Account::new(listening(config), Moment::ZERO);
        let of_host = |routers: &[RouterConfig]| routers.iter().map(account).collect();
        Judge {
            accounts: scenario.hosts.iter().map(|host| of_host(&host.routers)).collect(),
            episode: None,
            believed: BTreeMap::new(),
            doubled: BTreeMap::new(),
            connected: BTreeMap::new(),
            settled: false,
            woken: vec![None; scenario.hosts.len()],
            tally: Tally::default(),
            quiet_since: Moment::ZERO,
            stormy: false,
            bound: settling_time(scenario),
            broken: None,
        }
    }

    /// When all must have come to rest, if nothing else happens.
    pub fn settles(&self) -> Option<Moment> {
        (!self.settled && !self.stormy).then(|| self.quiet_since + self.bound)
    }

    /// What was broken.
    pub fn take(&mut self) -> Option<Violation> {
        self.broken.take()
    }

    /// A host's link says something of a peer's router.
    pub fn learns(
        &mut self,
        (host, router): (HostId, RouterId),
        peer: IpAddr,
        news: &PeerNews,
        clock: Moment,
    ) {
        self.accounts[host][router].ear.learns(peer, news, clock);
    }

    /// A router's priority or configuration changes.
    pub fn is_reweighed(&mut self, host: HostId, router: RouterId) {
        self.accounts[host][router].ear.is_reweighed();
    }

    /// A host announces a VIP, and the announcement comes to another then, or never.
    pub fn announced(&mut self, vip: IpAddr, host: HostId, to: HostId, at: Option<Moment>) {
        let entry = self.believed.entry((vip, to)).or_insert((None, Moment::ZERO));
        match at {
            Some(at) if at >= entry.1 => *entry = (Some(host), at),
            Some(_) => {}
            None => entry.0 = None,
        }
    }
}

/// After this long without an event everything has come to rest: a start and a delayed preemption
/// after it, and a few takeovers in a row.
pub fn settling_time(scenario: &Scenario) -> Duration {
    let routers = || scenario.hosts.iter().flat_map(|host| &host.routers);
    let dead = routers().map(dead_time).max().unwrap_or_default();
    let start = routers().map(|router| router.start_delay).max().unwrap_or_default();
    let delay = |router: &RouterConfig| match router.preempt {
        Preempt::After(delay) => delay,
        Preempt::Now | Preempt::Never => Duration::ZERO,
    };
    let restarts = scenario.events.iter().any(|(_, event)| matches!(event, Event::Restart(..)));
    let restart = if restarts { super::RESTART * 2 } else { Duration::ZERO };
    let filters = scenario.events.iter().any(|(_, event)| matches!(event, Event::Filter(..)));
    // The connection is slower than the shortest interval, and its silence is longer.
    let filter = if filters { DEAF } else { Duration::ZERO };
    filter + dead * 3 + start + routers().map(delay).max().unwrap_or_default() + FIXED + restart
}

impl World<'_> {
    /// A rule is broken; the first one counts.
    pub(super) fn broken(&mut self, rule: &'static str, what: String) {
        if self.judge.broken.is_none() {
            self.judge.broken = Some(self.violation(rule, what));
        }
    }

    pub(super) fn violation(&self, rule: &'static str, what: String) -> Violation {
        Violation { rule, at: self.now, what, standing: self.standing() }
    }

    fn standing(&self) -> String {
        let mut text = String::new();
        for (id, host) in self.hosts.iter().enumerate() {
            let (on, halt) = (host.powered, host.halt);
            text += &format!("host {id}: on {on}, halted {halt:?}, released {}", host.released);
            text += &format!(", process {}\n", host.process.is_some());
            for router in 0..host.routers.len() {
                let held = host.vips(router).all(|vip| host.kernel.contains_key(&vip));
                let condition = &host.conditions[router];
                text += &format!("  r{router} {:?} has its VIPs: {held}", host.standing(router));
                text += &format!(", {condition:?}\n");
            }
            let to = (0..self.hosts.len()).filter(|to| *to != id && self.network.passes(id, *to));
            text += &format!("  reaches {:?}\n", to.collect::<Vec<_>>());
        }
        text
    }

    /// Called before an event does what it does.
    pub(super) fn disturbed(&mut self, event: &Event) {
        let disturbs = match event {
            Event::Junk(..) | Event::LoseVips(..) => false,
            Event::Reload(host, router, priority) => {
                self.hosts[*host].routers[*router].priority != *priority
            }
            Event::Weather(weather) => {
                self.judge.stormy = *weather != self.scenario.weather;
                true
            }
            _ => true,
        };
        if disturbs {
            let calm = self.judge.settled && self.network.is_whole();
            self.judge.episode = calm.then(|| self.episode(event));
            self.unsettle();
        }
    }

    fn episode(&self, event: &Event) -> Episode {
        let routers = 0..self.scenario.hosts[0].routers.len();
        let hosts = || 0..self.hosts.len();
        let one_active = |router| {
            let mut active = hosts().filter(|host| self.hosts[*host].is_active(router));
            active.next().filter(|_| active.next().is_none())
        };
        let able = |router| hosts().filter(|h| self.hosts[*h].may_be_active(router)).collect();
        Episode {
            event: event.clone(),
            at: self.now,
            active: routers.clone().map(one_active).collect(),
            able: routers.clone().map(able).collect(),
            linked: hosts().all(|a| hosts().all(|b| a == b || self.links.joined(a, b))),
            moves: routers.map(|_| 0).collect(),
        }
    }

    /// All is not at rest from now on.
    pub(super) fn unsettle(&mut self) {
        self.judge.settled = false;
        self.judge.quiet_since = self.now;
    }

    /// A process has begun.
    pub(super) fn began(&mut self, host: HostId, resumed: &[bool]) {
        self.unsettle();
        let clock = self.hosts[host].clock(self.now);
        for (router, resumed) in resumed.iter().enumerate() {
            let ear = Ear::new(&self.hosts[host].routers[router], clock, *resumed);
            self.judge.accounts[host][router] = Account::new(ear, self.now);
        }
    }

    /// A process has ended.
    pub(super) fn ended(&mut self, host: HostId) {
        for account in &mut self.judge.accounts[host] {
            (account.active_since, account.stalled) = (None, None);
        }
        self.leaves_unnoticed(host);
    }

    /// Behind a cut and without a link nobody can know that a host has gone before the others
    /// there miss it: who believes in it learns better when the VIPs are announced anew as such.
    pub(super) fn leaves_unnoticed(&mut self, host: HostId) {
        if self.scenario.linked || self.network.is_whole() {
            return;
        }
        for (believed, _) in self.judge.believed.values_mut() {
            *believed = believed.filter(|believed| *believed != host);
        }
    }

    /// A host that stood still goes on.
    pub(super) fn resumed(&mut self, host: HostId, halt: Halt, span: Duration) {
        self.unsettle();
        self.judge.woken[host] = Some(self.now);
        for (router, config) in self.hosts[host].routers.iter().enumerate() {
            let account = &mut self.judge.accounts[host][router];
            account.sent = self.now;
            // A machine that stood still cannot know it: its clock did, too.
            let known = halt == Halt::Process && span > dead_time(config) * 2;
            let missed = account.active_since.is_some() && known;
            account.stalled = missed.then_some(self.now);
        }
    }

    /// A host's router took an advertisement for one that concerns it.
    pub(super) fn heard(
        &mut self,
        host: HostId,
        router: RouterId,
        from: IpAddr,
        advert: &Advert,
        own: u8,
    ) {
        if self.host_at(from).is_none() {
            // A stranger is a disturbance for as long as it speaks.
            self.unsettle();
            self.judge.episode = None;
        }
        let here = &self.hosts[host];
        let clock = here.clock(self.now);
        let ear = &mut self.judge.accounts[host][router].ear;
        ear.hears(from, advert, &here.routers[router], own, clock);
    }
}
