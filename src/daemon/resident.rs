//! The resident converge: what it has, and one step for everything that can happen to it.
//!
//! No step waits for anything but a stop: a look at the host goes on beside the loop, VRRP, tracks
//! and hooks have threads and tasks of their own. So a slow change to the host delays neither the
//! word that a service died nor the watchdog.

mod parting;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::balance::{self, Balance, at};
use super::holders::Holders;
use super::lane::{Lane, Step};
use super::needs::Needs;
use super::pulse::Pulse;
use super::signals::{Asked, Signals};
use super::upkeep::Pace;
use super::{Configuration, WatchError, log, planned};
use crate::hook::Notifier;
use crate::hook::queue::Happening;
use crate::host::Host;
use crate::host::drift::Drift;
use crate::host::memory::Spare;
use crate::host::service::Service;
use crate::resource::{Id, Kind, Kinds};
use crate::role::Role;
use crate::situation::{Situation, Standing};
use crate::track::Tracker;
use crate::track::condition::Verdicts;
use crate::vrrp::config::RouterConfig;
use crate::vrrp::driver::{self, Event, Events, Settings, Vrrp};
use crate::vrrp::router::{Condition, Start, State};
use crate::vrrp::speaker::REPLACED;

pub(super) use parting::{finish, release_limit};

/// How long the first look at what is tracked may take before routers are taken up again.
const LOOK_LIMIT: Duration = Duration::from_secs(1);
/// The kind whose changes nobody tells, and which has to follow at once; and all others.
const TABLE: Kinds = Kinds::Only(Kind::VirtualServer);
const REST: Kinds = Kinds::But(Kind::VirtualServer);
/// While servers come and go, working out what is wanted may take one part of the time in so many.
/// It takes tens of milliseconds only where there are thousands of them.
const DESIRE_SHARE: u32 = 5;
/// A host that stood still once must not keep a dead server in the table for longer.
const DESIRE_REST_MOST: Duration = Duration::from_millis(500);
/// How often the loop, and the VRRP thread unless systemd asks more often, show that they turn.
const BEAT: Duration = Duration::from_secs(2);

/// What the loop woke up for.
pub enum Turn {
    /// A look at the IPVS table ended, or is due.
    Table(Step),
    /// A look at all else ended, or is due.
    Rest(Step),
    /// VRRP says something.
    Vrrp(Event),
    /// VRRP is no more, and nobody told it to end.
    Died,
    /// Something tracked became good or bad.
    Tracked,
    /// Something is known of the real servers.
    Balance(balance::News),
    /// What is wanted is to be worked out anew.
    Desire,
    /// Something on the host may have changed.
    Drifted,
    /// It is time to show that the loop turns.
    Beat,
    /// The files are to be read again.
    Reload,
    /// To end.
    Stop,
    /// To end and come back.
    Restart,
}

/// The resident converge.
pub struct Resident<'h> {
    host: &'h Host,
    heading: String,
    role: Role,
    settings: Settings,
    situation: Situation,
    table: Lane<'h>,
    rest: Lane<'h>,
    balance: Balance<'h>,
    /// When what is wanted is to be worked out anew, if it is; and when it may be at the earliest.
    desire_due: Option<Instant>,
    desire_rest: Instant,
    service: Service,
    vrrp: Option<(Vrrp, Events)>,
    /// Routers that a converge before this one left Active on purpose.
    resumed: BTreeSet<String>,
    told: BTreeMap<String, Condition>,
    /// What has to stand before a router may be Active.
    needs: BTreeMap<String, BTreeSet<Id>>,
    tracker: Tracker,
    verdicts: watch::Receiver<Verdicts>,
    notifier: Notifier,
    drift: Drift,
    signals: Signals,
    pulse: Pulse,
    holders: Holders,
    needed: Needs,
    turns: Interval,
    memory: Spare,
    ready: bool,
}

impl<'h> Resident<'h> {
    /// Begins. Routers that were left to us are taken up at once, the others after a first look.
    pub async fn new(host: &'h Host, first: Configuration) -> Result<Self, WatchError> {
        let wait = |what| move |source| WatchError::Wait { what, source };
        let service = Service::default();
        let every = service.watchdog().map_or(BEAT, |limit| (limit / 3).min(BEAT));
        let mut turns = tokio::time::interval(BEAT);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let situation = first.role.at_start();
        let resumed = planned::read(host.files(), driver::now())?;
        let tracks = first.role.tracks().to_vec();
        let tracker =
            if resumed.is_empty() { Tracker::start(tracks) } else { Tracker::resume(tracks) };
        let balance = Balance::start(host, &first.role).await?;
        let mut resident = Resident {
            host,
            heading: first.heading,
            verdicts: tracker.verdicts(),
            tracker,
            notifier: Notifier::start(first.role.hooks().to_vec()),
            role: first.role,
            settings: first.vrrp,
            situation,
            balance,
            desire_due: None,
            desire_rest: Instant::now(),
            table: Lane::new(host, TABLE, Pace::Quick),
            rest: Lane::new(host, REST, Pace::Slow),
            service,
            vrrp: None,
            resumed,
            told: BTreeMap::new(),
            needs: BTreeMap::new(),
            drift: Drift::open().map_err(wait("changes on the host"))?,
            signals: Signals::new().map_err(wait("signals"))?,
            pulse: Pulse::start(every).map_err(wait("the watchdog"))?,
            holders: Holders::default(),
            needed: Needs::default(),
            turns,
            memory: Spare::give_back(),
            ready: false,
        };
        resident.needed.tell(&first.warnings, first.missing);
        resident.situation.pools = resident.balance.shares();
        resident.desire();
        if !resident.resumed.is_empty() {
            // What is bad is better known before than after.
            resident.tracker.settled(LOOK_LIMIT).await;
            // Too late, and it is no longer resumed.
            resident.resumed = planned::read(host.files(), driver::now())?;
        }
        if !resident.resumed.is_empty() {
            resident.elect()?;
        }
        Ok(resident)
    }

    /// Waits for what comes next.
    pub async fn next(&mut self) -> Turn {
        let Resident { table, rest, balance, vrrp, verdicts, drift, signals, turns, .. } = self;
        let desire_due = self.desire_due;
        tokio::select! {
            biased;
            asked = signals.next() => match asked {
                Asked::Stop => Turn::Stop,
                Asked::Restart => Turn::Restart,
                Asked::Reload => Turn::Reload,
            },
            event = said(vrrp) => event.map_or(Turn::Died, Turn::Vrrp),
            Ok(()) = verdicts.changed() => Turn::Tracked,
            step = table.next() => Turn::Table(step),
            step = rest.next() => Turn::Rest(step),
            _ = turns.tick() => Turn::Beat,
            () = at(desire_due) => Turn::Desire,
            () = drift.changed() => Turn::Drifted,
            // Last, for there may be news of servers without end, and all else keeps its own
            // measure.
            news = balance.next() => Turn::Balance(news),
        }
    }

    /// Something on the host may have changed.
    pub fn drifted(&mut self) {
        self.rest.drifted();
    }

    /// The IPVS table is to be looked at, or was.
    pub fn table(&mut self, step: Step) -> Result<(), WatchError> {
        match step {
            Step::Due => self.table.begin(),
            Step::Worked(result) => {
                self.table.worked(&result);
                self.looked()?;
            }
        }
        Ok(())
    }

    /// All else is to be looked at, or was.
    pub fn rest(&mut self, step: Step) -> Result<(), WatchError> {
        match step {
            Step::Due => {
                self.drift.follow(&self.rest.files());
                self.rest.begin();
            }
            Step::Worked(result) => {
                self.rest.worked(&result);
                self.looked()?;
                self.show();
            }
        }
        Ok(())
    }

    /// Something is known of the real servers.
    pub fn balance(&mut self, news: balance::News) {
        if self.balance.take(news) {
            self.balanced();
        }
    }

    /// The real servers may have other shares than before.
    fn balanced(&mut self) {
        let shares = self.balance.shares();
        if self.situation.pools != shares {
            self.situation.pools = shares;
            self.desire_due.get_or_insert(self.desire_rest);
        }
        self.tell_conditions();
        self.tell_peers();
    }

    /// Tells the other directors how the real servers look from here, and what the operator said.
    fn tell_peers(&mut self) {
        let Some((vrrp, _)) = &self.vrrp else { return };
        let standing = self.situation.standing.iter();
        let able = standing.filter(|(_, standing)| **standing != Standing::Fault);
        for (topic, bytes) in self.balance.to_tell(able.map(|(name, _)| name.clone()).collect()) {
            if let Err(error) = vrrp.tell(topic, bytes) {
                tracing::warn!(%error, "the other directors are not told");
            }
        }
    }

    /// A look at the host ended.
    fn looked(&mut self) -> Result<(), WatchError> {
        if !(self.table.has_tried() && self.rest.has_tried()) {
            return Ok(());
        }
        if self.vrrp.is_none() {
            self.elect()?;
        }
        self.tell_conditions();
        if !self.ready {
            self.ready = true;
            self.service.ready();
        }
        Ok(())
    }

    /// Role or situation are others: works out what is wanted now.
    pub fn desire(&mut self) {
        let began = Instant::now();
        self.desire_due = None;
        match self.role.desired(&self.situation) {
            Ok(desired) => {
                self.balance.report_upstreams();
                let needs = |name: &str| self.role.vip_needs(name, &desired);
                let routers = self.role.routers().iter();
                self.needs = routers.map(|r| (r.name.clone(), needs(&r.name))).collect();
                self.table.want(&desired);
                self.rest.want(&desired);
            }
            // A role that contradicts itself is refused when it is loaded.
            Err(found) => log::contradiction(&found),
        }
        self.desire_rest = began + (began.elapsed() * DESIRE_SHARE).min(DESIRE_REST_MOST);
    }

    /// VRRP says something.
    pub fn heard(&mut self, event: Event) {
        log::event(&event);
        match event {
            Event::Changed { router, from, to, why, priority } => {
                let reason = why.to_string();
                self.moved(Happening { router, from, to, priority, reason });
            }
            Event::Lost(_) => self.catch_up(),
            Event::PeerSaid { peer, topic, bytes } => {
                self.balance.heard(peer, topic, &bytes);
                self.balanced();
            }
            Event::PeerGone { peer } | Event::PeerUnknown { peer } => {
                self.balance.lost(&peer);
                self.balanced();
            }
            _ => {}
        }
    }

    /// A router is in another state.
    fn moved(&mut self, happening: Happening) {
        // One that leaves while another has its name is nobody's any more.
        if happening.router.ends_with(REPLACED) {
            return;
        }
        self.situation.standing.insert(happening.router.clone(), standing(happening.to));
        self.notifier.tell(happening);
        self.desire();
        self.tell_peers();
        self.show();
    }

    /// Events were lost: how things stand now is asked for.
    fn catch_up(&mut self) {
        let Some((vrrp, _)) = &self.vrrp else { return };
        for (router, now) in vrrp.status().routers {
            let before = self.situation.of(&router);
            if before != standing(now.state) {
                let (from, to, priority) = (state(before), now.state, now.priority);
                let reason = "it was not told when".into();
                self.moved(Happening { router, from, to, priority, reason });
            }
        }
    }

    /// Tells VRRP what keeps this host from being Active and what its priority is worth.
    pub fn tell_conditions(&mut self) {
        let conditions = self.conditions();
        let Some((vrrp, _)) = &self.vrrp else { return };
        for (name, condition) in &conditions {
            if self.told.get(name) != Some(condition) {
                vrrp.condition(name, condition.clone());
            }
        }
        self.told = conditions;
    }

    fn conditions(&mut self) -> BTreeMap<String, Condition> {
        let none = BTreeSet::new();
        let mut conditions = BTreeMap::new();
        for router in self.role.routers() {
            let name = router.name.as_str();
            let active = self.situation.of(name) == Standing::Active;
            let mut condition = self.tracker.condition(router);
            if self.ready || !self.resumed.contains(name) {
                let needs = self.needs.get(name).unwrap_or(&none);
                condition.faults.extend(self.table.unmet(needs, active));
                condition.faults.extend(self.rest.unmet(needs, active));
                let pools = self.role.pools_of(name);
                condition.faults.extend(self.balance.faults(name, &pools, active));
            }
            conditions.insert(name.to_owned(), condition);
        }
        conditions
    }

    /// Shows that the loop turns, and looks who is Active.
    pub fn beat(&mut self) {
        self.pulse.turned(self.balance.turns());
        self.balance.age();
        self.balanced();
        self.memory.beat();
        let Some((vrrp, _)) = &self.vrrp else { return };
        let now = vrrp.status().routers;
        for RouterConfig { name, peers, .. } in self.role.routers() {
            let status = now.get(name);
            let news = status.and_then(|status| self.holders.news(name, peers, status));
            if let Some((host, address)) = news {
                log::holder(name, host, address);
            }
        }
    }

    /// The files are being read again.
    pub fn reloading(&self) {
        self.service.reloading();
    }

    /// Takes over what the files say now. If they are wrong, nothing changes.
    pub fn reloaded(&mut self, loaded: Result<Configuration, String>) -> Result<(), WatchError> {
        match loaded {
            Err(text) => log::refused(&text),
            Ok(new) => {
                self.needed.tell(&new.warnings, new.missing);
                self.heading = new.heading;
                self.role = new.role;
                self.settings = new.vrrp;
                self.situation.become_like(self.role.at_start());
                self.tracker.configure(self.role.tracks().to_vec());
                self.notifier.configure(self.role.hooks().to_vec());
                self.balance.configure(&self.role)?;
                self.situation.pools = self.balance.shares();
                match &self.vrrp {
                    Some((vrrp, _)) => {
                        vrrp.configure(self.role.routers().to_vec());
                        // Without a key there is none; the connections from before go on then,
                        // for a port that is closed says that this process has died.
                        if self.settings.link.is_some() {
                            vrrp.link(self.settings.link.clone());
                        }
                    }
                    None => self.elect()?,
                }
                self.memory = Spare::give_back();
                self.desire();
                // What somebody changed beside the files is put right too.
                self.table.hurry();
                self.rest.hurry();
                self.tell_conditions();
                tracing::info!(host = self.heading, "files read again");
            }
        }
        self.service.ready();
        self.show();
        Ok(())
    }

    /// Starts VRRP, if this host has a router to speak for.
    fn elect(&mut self) -> Result<(), WatchError> {
        if self.role.routers().is_empty() {
            return Ok(());
        }
        let start = |name: &str| match self.resumed.contains(name) {
            true => Start::Resume,
            false => Start::Fresh,
        };
        let routers = self.role.routers().iter().cloned().map(|r| (start(&r.name), r));
        let routers = routers.map(|(start, router)| (router, start)).collect();
        self.told = self.conditions();
        let (settings, told) = (self.settings.clone(), self.told.clone());
        let (vrrp, events) = Vrrp::start_under(settings, routers, told)?;
        self.pulse.follow(vrrp.heart());
        self.vrrp = Some((vrrp, events));
        planned::clear(self.host.files())?;
        self.tell_peers();
        Ok(())
    }

    /// A line for `systemctl status`.
    fn show(&mut self) {
        let standings = self.situation.standing.iter();
        let routers: Vec<String> =
            standings.map(|(name, standing)| format!("{name} {standing}")).collect();
        let line = match routers.is_empty() {
            true => self.heading.clone(),
            false => format!("{}: {}", self.heading, routers.join(", ")),
        };
        self.service.status(&line);
    }
}

fn standing(state: State) -> Standing {
    match state {
        State::Active => Standing::Active,
        State::Initialize | State::Backup => Standing::Backup,
        State::Fault => Standing::Fault,
    }
}

fn state(standing: Standing) -> State {
    match standing {
        Standing::Alone | Standing::Active => State::Active,
        Standing::Backup => State::Backup,
        Standing::Fault => State::Fault,
    }
}

/// The next event of VRRP, `None` if it has died; never if there is no VRRP.
async fn said(vrrp: &mut Option<(Vrrp, Events)>) -> Option<Event> {
    match vrrp {
        Some((_, events)) => events.next().await,
        None => std::future::pending().await,
    }
}
