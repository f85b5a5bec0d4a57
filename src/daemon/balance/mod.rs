//! Which real servers get traffic: joins the checks, the operator's word, what the other directors
//! see, and the pools that make shares of it.
//!
//! The loop waits on [`Balance::next`] and hands what comes back to [`Balance::take`]; the shares
//! go into the situation, and the one reconcile does the rest. Everything here is the whole truth
//! each time, so nothing that is missed does lasting harm.

mod kept;
mod said;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::sorry::Sorry;
use super::{WatchError, log};
use crate::check::config::{CheckConfig, Timing};
use crate::check::driver::{Checks, Event, Events, Settings};
use crate::check::machine::Limits;
use crate::check::outcome::{Health, State};
use crate::check::wire::finding::Finding;
use crate::check::wire::{Findings, Wire};
use crate::clock::Moment;
use crate::control::report::{self, PoolReport, Reporter};
use crate::control::wall;
use crate::host::{Host, chain};
use crate::pool::peers::{Heard, Told};
use crate::pool::standing::{Shares, Standing};
use crate::pool::{Peer, Pool, View};
use crate::role::Role;
use crate::vrrp::driver::{MOST_SAID, Topic, now};

use kept::Before;
use said::Sayings;

/// After the time in which every server should have been judged, for a busy host.
const SPARE: Duration = Duration::from_secs(1);

/// As many findings of the link are told within this time.
const FOUND_MOST: u32 = 20;
const FOUND_WITHIN: Duration = Duration::from_secs(60);
/// From one report to the next, and how much of the time writing them may take: one part in so
/// many.
const REPORT_REST: Duration = Duration::from_millis(100);
const SHARE: u32 = 20;
/// A disk that stood still once must not keep the report from being written for long.
const REPORT_REST_MOST: Duration = Duration::from_secs(2);

type Healths = BTreeMap<Arc<CheckConfig>, Health>;

/// What is known of the real servers, and what follows from it.
pub struct Balance<'h> {
    host: &'h Host,
    name: String,
    pools: Vec<Pool>,
    /// Which pools a check matters to.
    concerns: BTreeMap<Arc<CheckConfig>, Vec<usize>>,
    witnesses: Vec<Arc<CheckConfig>>,
    health: Healths,
    checks: Option<(Checks, Events)>,
    wire: Option<(Wire, Findings)>,
    sorry: Sorry,
    said: Sayings,
    reporter: Reporter,
    is_reported: bool,
    /// What other directors told, and when.
    peers: BTreeMap<String, Heard>,
    /// Until when a director waits for the first verdicts.
    judging: Moment,
    due: Option<Instant>,
    /// When how things are is to be written down, if it is; and when it may be at the earliest.
    report_due: Option<Instant>,
    report_rest: Instant,
    /// Counts on, so that the other directors hear that this one lives; and what the wall clock
    /// said then.
    beats: u64,
    wall: u64,
    /// How many findings there were of late.
    found: u32,
    found_since: Instant,
}

/// What it woke up for.
pub enum News {
    /// Checks say something.
    Checks(Vec<Event>),
    /// The thread of the checks is no more.
    Died,
    /// The operator may have said something.
    Words,
    /// Something on the wire that nobody asked for.
    Wire(Finding),
    /// A step of a slow start, or the end of a grace.
    Due,
    /// How things are is to be written down.
    Report,
}

impl<'h> Balance<'h> {
    /// Begins to check what the role says. Servers that have traffic now keep it until they are
    /// judged.
    pub async fn start(host: &'h Host, role: &Role) -> Result<Self, WatchError> {
        let files = host.files();
        // Before the next one takes its place.
        let before = match report::read(files) {
            Ok(None) => Before::Nothing,
            Ok(Some(seen)) => Before::Known(seen.report),
            Err(error) => {
                tracing::warn!(error = chain(&error), "how real servers stood before is not known");
                Before::Unreadable
            }
        };
        let mut balance = Balance {
            host,
            name: role.host.to_string(),
            pools: Vec::new(),
            concerns: BTreeMap::new(),
            witnesses: Vec::new(),
            health: BTreeMap::new(),
            checks: None,
            wire: None,
            sorry: Sorry::default(),
            said: Sayings::open(role.host.as_str(), files),
            reporter: Reporter::start(files).await?,
            is_reported: true,
            peers: BTreeMap::new(),
            judging: now(),
            due: None,
            report_due: None,
            report_rest: Instant::now(),
            beats: 0,
            wall: wall(),
            found: 0,
            found_since: Instant::now(),
        };
        let kept = kept::look(role.pools(), &before);
        let pool = |config: &crate::pool::config::PoolConfig| {
            let kept = kept.get(&config.name).cloned().unwrap_or_default();
            Pool::new(config.clone(), kept.serving, now()).with_quiet(&kept.quiet)
        };
        balance.pools = role.pools().iter().map(pool).collect();
        balance.adopt(role)?;
        Ok(balance)
    }

    /// Takes over what the files say now. What is known of a check that stays is kept.
    pub fn configure(&mut self, role: &Role) -> Result<(), WatchError> {
        let mut before: BTreeMap<String, Pool> =
            self.pools.drain(..).map(|pool| (pool.config().name.clone(), pool)).collect();
        for config in role.pools() {
            self.pools.push(match before.remove(&config.name) {
                Some(mut pool) => {
                    pool.configure(config.clone(), now());
                    pool
                }
                None => Pool::new(config.clone(), BTreeSet::new(), now()),
            });
        }
        self.adopt(role)
    }

    fn adopt(&mut self, role: &Role) -> Result<(), WatchError> {
        let checks = role.checks();
        self.health = carried_over(std::mem::take(&mut self.health), &checks);
        self.concerns = concerns(role);
        self.witnesses = role.witnesses().to_vec();
        let longest = checks.iter().map(|check| until_judged(&check.timing)).max();
        self.judging = now() + longest.unwrap_or_default() + SPARE;
        match &self.checks {
            Some((running, _)) => running.configure(checks),
            None if checks.is_empty() => {}
            None => {
                let tasks = Handle::current();
                self.checks = Some(Checks::start(settings(tasks), checks)?);
            }
        }
        match &self.wire {
            Some((running, _)) => running.configure(role.wires().to_vec()),
            None if role.wires().is_empty() => {}
            None => match Wire::start(role.wires().to_vec()) {
                Ok(wire) => self.wire = Some(wire),
                // Nothing hangs on it but alarms.
                Err(error) => tracing::error!(%error, "the link to the servers is not watched"),
            },
        }
        self.sorry.configure(&role.sorry(), role.sorry_page());
        self.reckon_all();
        Ok(())
    }

    /// Waits for what comes next. May be dropped and called again.
    pub async fn next(&mut self) -> News {
        let Balance { checks, wire, said, due, report_due, .. } = self;
        tokio::select! {
            events = checked(checks) => events.map_or(News::Died, News::Checks),
            finding = found(wire) => News::Wire(finding),
            () = said.changed() => News::Words,
            () = at(*due) => News::Due,
            () = at(*report_due) => News::Report,
        }
    }

    /// Takes in what came.
    pub fn take(&mut self, news: News) -> Result<(), WatchError> {
        match news {
            News::Died => return Err(WatchError::Died),
            News::Checks(events) => {
                let mut touched = BTreeSet::new();
                for event in events {
                    match event {
                        Event::Changed(check, health) => {
                            touched.extend(self.concerns.get(&check).into_iter().flatten());
                            self.health.insert(check, health);
                        }
                        Event::Noticed(text) => tracing::warn!("{text}"),
                    }
                }
                self.reckon(&touched, false);
            }
            News::Wire(finding) => self.found(&finding),
            News::Words => {
                self.said.read();
                self.reckon_all();
            }
            News::Due => self.reckon_all(),
            News::Report => self.report(),
        }
        Ok(())
    }

    /// Another director says how it sees its pools, or what its operator said.
    pub fn heard(&mut self, peer: String, topic: Topic, bytes: &[u8]) {
        match topic {
            Topic::Pools => match Told::from_bytes(bytes) {
                Ok(told) => {
                    let clock = self.peers.entry(peer.clone()).or_default().take(told, now());
                    if let Some(clock) = clock {
                        self.said.clock(&peer, clock);
                    }
                    self.reckon_all();
                }
                Err(error) => tracing::warn!(%error, "{peer} tells of its pools in other words"),
            },
            Topic::Words => {
                if self.said.heard(&peer, bytes) {
                    self.reckon_all();
                }
            }
        }
    }

    /// A thousand servers on the wrong link are one mistake and no thousand lines.
    fn found(&mut self, finding: &Finding) {
        if self.found_since.elapsed() > FOUND_WITHIN {
            (self.found_since, self.found) = (Instant::now(), 0);
        }
        self.found += 1;
        match self.found.cmp(&FOUND_MOST) {
            Ordering::Less => log::finding(finding),
            Ordering::Equal => tracing::warn!(
                "there is more of this kind; CONVERGE_LOG=converge=debug tells all of it"
            ),
            Ordering::Greater => {}
        }
        tracing::debug!("{finding}");
    }

    /// A director that has told nothing for long is stuck, and what it told says nothing of now. A
    /// clock that was set has drains end sooner or later than was thought.
    pub fn age(&mut self) {
        self.beats += 1;
        self.wall = wall();
        self.said.beat(self.beats);
        let before = self.peers.len();
        let now = now();
        self.peers.retain(|_, heard| heard.is_fresh(now));
        if self.peers.len() < before || self.said.next_end() == Some(Duration::ZERO) {
            self.reckon_all();
        } else {
            self.due = self.next_due(now);
        }
    }

    /// Nothing is known of that director any more.
    pub fn lost(&mut self, peer: &str) {
        if self.peers.remove(peer).is_some() {
            self.reckon_all();
        }
    }

    /// What the other directors are to know.
    pub fn to_tell(&self, able: BTreeSet<String>) -> [(Topic, Vec<u8>); 2] {
        let pools = self.pools.iter().map(|pool| (pool.config().name.clone(), pool.summary()));
        let (pools, wall) = (pools.collect(), Some(self.wall));
        let told = Told { pools, able, beats: self.beats, wall, more: false };
        let pools = told.to_bytes(MOST_SAID, self.beats);
        [(Topic::Pools, pools), (Topic::Words, self.said.to_tell(self.beats))]
    }

    /// The shares of all pools.
    pub fn shares(&self) -> BTreeMap<String, Shares> {
        let shares = |pool: &Pool| (pool.config().name.clone(), pool.shares().clone());
        self.pools.iter().map(shares).collect()
    }

    /// What keeps a router from being Active whose VIPs lead to these pools.
    pub fn faults(&self, router: &str, pools: &[&str], active: bool) -> BTreeSet<String> {
        let of_router = |pool: &&Pool| pools.contains(&pool.config().name.as_str());
        let mut faults = BTreeSet::new();
        for pool in self.pools.iter().filter(of_router) {
            let name = &pool.config().name;
            let serves = pool.shares().members.values().any(|share| share.weight > Some(0));
            if !(active || serves || pool.is_judged()) && now() < self.judging {
                faults.insert(format!("the real servers of {name} are still to be checked"));
            }
            let better = |heard: &Heard| {
                let sees = heard.sees(name, now()).map(|peer| peer.sees);
                sees.is_some_and(|sees| sees.up > 0 && !sees.held) && heard.is_able(router)
            };
            let seer = self.peers.iter().find(|(_, heard)| better(heard));
            if let (true, Some((peer, _))) = (pool.is_blind(), seer) {
                faults.insert(format!(
                    "no real server of {name} answers here, but {peer} is answered"
                ));
            }
        }
        faults
    }

    /// Works out the shares of all pools.
    fn reckon_all(&mut self) {
        self.reckon(&BTreeSet::new(), true);
    }

    fn reckon(&mut self, pools: &BTreeSet<usize>, all: bool) {
        // The end of a drain may matter to any of them.
        let all = self.said.expire() || all;
        let (now, witness) = (now(), self.witness());
        let Balance { health, said, peers, pools: every, .. } = self;
        for (at, pool) in every.iter_mut().enumerate() {
            if !(all || pools.contains(&at)) {
                continue;
            }
            let name = pool.config().name.as_str();
            let peers: Vec<Peer> =
                peers.values().filter_map(|heard| heard.sees(name, now)).collect();
            pool.handle(&View { health, words: said.words(), peers: &peers, witness }, now);
            while let Some(notice) = pool.poll_notice() {
                log::pool(&notice);
            }
        }
        self.due = self.next_due(now);
        self.report_due.get_or_insert(self.report_rest);
    }

    /// Writes down what is to be made of upstreams before it is made: whoever comes after a crash
    /// has no kernel's table to see who had traffic.
    pub fn report_upstreams(&mut self) {
        if self.report_due.is_some() && self.pools.iter().any(|pool| !kept::is_table(pool.config()))
        {
            self.report();
        }
    }

    /// Writes down how things are, for `converge servers` and `converge plan`.
    fn report(&mut self) {
        let began = Instant::now();
        self.report_due = None;
        let Balance { pools, peers, health, reporter, host, name, .. } = self;
        let now = now();
        let one = |pool: &Pool| {
            let name = &pool.config().name;
            let seen = |(peer, heard): (&String, &Heard)| {
                Some((peer.clone(), heard.sees(name, now)?.sees))
            };
            (name.clone(), PoolReport::new(pool, health, peers.iter().filter_map(seen).collect()))
        };
        let pools = pools.iter().map(one).collect();
        let written = reporter.write(host.files(), name, pools);
        match &written {
            Err(error) if self.is_reported => tracing::warn!(
                error = chain(error),
                "how real servers stand cannot be written down"
            ),
            Err(_) | Ok(()) => {}
        }
        self.is_reported = written.is_ok();
        self.tell_wire();
        let rest = (began.elapsed() * SHARE).clamp(REPORT_REST, REPORT_REST_MOST);
        self.report_rest = began + rest;
    }

    /// Who answers by IP has to be on the link, too.
    fn tell_wire(&self) {
        let Some((wire, _)) = &self.wire else { return };
        let well = self.pools.iter().flat_map(|pool| &pool.shares().members);
        let well = well.filter(|(_, share)| share.standing == Standing::Up);
        wire.reachable(well.map(|(server, _)| server.ip()).collect());
    }

    fn next_due(&self, now: Moment) -> Option<Instant> {
        let start = Instant::now();
        let pools = self.pools.iter().filter_map(Pool::poll_timeout);
        let pools = pools.min().map(|due| start + due.since(now));
        let words = self.said.next_end().map(|left| start + left);
        pools.into_iter().chain(words).min()
    }

    /// Whether anything on the network that is no server of a pool answers us just now. One that is
    /// about to be missed does not count: it dies in the same moment as the servers.
    fn witness(&self) -> Option<bool> {
        let well = |health: &Health| health.state == State::Up && health.failing.is_none();
        let health = |check: &Arc<CheckConfig>| self.health.get(check);
        let known: Option<Vec<bool>> =
            self.witnesses.iter().map(|check| health(check).map(well)).collect();
        let known = known.filter(|known| !known.is_empty())?;
        Some(known.contains(&true))
    }
}

/// No more at once than a host may have connections; there may be fewer descriptors than that.
const AT_ONCE: usize = 16_384;

fn settings(tasks: Handle) -> Settings {
    // Beats of one start lie otherwise than those of the next, and of the other director.
    let seed = now().since_start().as_nanos() as u64 ^ u64::from(std::process::id());
    Settings { tasks, seed, limits: Limits { at_once: AT_ONCE } }
}

/// What is known of checks that stay, also of those that differ in their timing alone: the checker
/// itself keeps that too.
fn carried_over(known: Healths, checks: &BTreeSet<Arc<CheckConfig>>) -> Healths {
    let asks_the_same = |one: &CheckConfig, other: &CheckConfig| {
        (&one.target, &one.probe) == (&other.target, &other.probe)
    };
    let health = |check: &Arc<CheckConfig>| {
        // The timing comes last in the order, so that these lie beside it.
        let from = known.range::<Arc<CheckConfig>, _>(check..).next();
        let before = known.range::<Arc<CheckConfig>, _>(..check).next_back();
        let near = from.into_iter().chain(before);
        let mut akin = near.filter(|(other, _)| asks_the_same(other, check));
        akin.next().map(|(_, health)| (Arc::clone(check), health.clone()))
    };
    checks.iter().filter_map(health).collect()
}

/// Which pools each check matters to, by their order in the role.
fn concerns(role: &Role) -> BTreeMap<Arc<CheckConfig>, Vec<usize>> {
    let mut concerns: BTreeMap<Arc<CheckConfig>, Vec<usize>> = BTreeMap::new();
    for (at, pool) in role.pools().iter().enumerate() {
        let members = pool.members.iter().flat_map(|member| &member.checks);
        for check in members.chain(pool.spares.iter().flat_map(|spare| &spare.checks)) {
            let pools = concerns.entry(Arc::clone(check)).or_default();
            if pools.last() != Some(&at) {
                pools.push(at);
            }
        }
    }
    let all: Vec<usize> = (0..role.pools().len()).collect();
    concerns.extend(role.witnesses().iter().map(|witness| (Arc::clone(witness), all.clone())));
    concerns
}

/// How long it takes at most until a target that does not answer is judged.
fn until_judged(timing: &Timing) -> Duration {
    timing.every * u32::from(timing.fall.get()) + timing.timeout
}

async fn checked(checks: &mut Option<(Checks, Events)>) -> Option<Vec<Event>> {
    match checks {
        Some((_, events)) => events.next().await,
        None => std::future::pending().await,
    }
}

async fn found(wire: &mut Option<(Wire, Findings)>) -> Finding {
    if let Some((_, findings)) = wire
        && let Some(finding) = findings.next().await
    {
        return finding;
    }
    // Its thread has died. What it says is no reason to end for.
    *wire = None;
    std::future::pending().await
}

/// Waits until then; for ever if it is never.
pub(super) async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
