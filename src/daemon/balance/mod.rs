//! Which real servers get traffic: joins the checks, the operator's word, what the other directors
//! see, and the pools that make shares of it.
//!
//! The loop waits on [`Balance::next`] and hands what comes back to [`Balance::take`]; the shares
//! go into the situation, and the one reconcile does the rest. Everything here is the whole truth
//! each time, so nothing that is missed does lasting harm.

mod kept;
mod peers;

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
use crate::check::wire::{Findings, Wire, segment};
use crate::clock::Moment;
use crate::control::report::{self, PoolReport, Reporter};
use crate::control::wall;
use crate::control::words::{self, WordsWatch};
use crate::host::{Host, chain};
use crate::pool::standing::Shares;
use crate::pool::words::Words;
use crate::pool::{Pool, Summary, View};
use crate::role::Role;
use crate::vrrp::driver::{MOST_SAID, Topic, now};

use peers::Told;

/// After the time in which every server should have been judged, for a busy host.
const SPARE: Duration = Duration::from_secs(1);

/// What a director told counts for so long: it tells every two seconds.
const FRESH: Duration = Duration::from_secs(10);
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
    words: Words,
    watch: WordsWatch,
    reporter: Reporter,
    /// What other directors told, and when.
    peers: BTreeMap<String, (Told, Instant)>,
    /// Until when a director waits for the first verdicts.
    judging: Moment,
    due: Option<Instant>,
    /// When how things are is to be written down, if it is; and when it may be at the earliest.
    report_due: Option<Instant>,
    report_rest: Instant,
    /// Counts on, so that the other directors hear that this one lives.
    beats: u64,
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
        let before = report::read(files).unwrap_or_else(|error| {
            tracing::warn!(error = chain(&error), "how real servers stood before is not known");
            None
        });
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
            watch: WordsWatch::open(files)?,
            reporter: Reporter::start(files).await?,
            words: Words::default(),
            peers: BTreeMap::new(),
            judging: now(),
            due: None,
            report_due: None,
            report_rest: Instant::now(),
            beats: 0,
            found: 0,
            found_since: Instant::now(),
        };
        balance.read_words();
        let kept = kept::look(role.pools(), before.as_ref().map(|seen| &seen.report));
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
        let (wires, flows) = (role.wires().to_vec(), role.flows().to_vec());
        match &self.wire {
            Some((running, _)) => running.configure(wires, flows),
            None if wires.is_empty() && flows.is_empty() => {}
            None => match Wire::start(wires, flows) {
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
        let Balance { checks, wire, watch, due, report_due, .. } = self;
        tokio::select! {
            events = checked(checks) => events.map_or(News::Died, News::Checks),
            finding = found(wire) => News::Wire(finding),
            () = watch.changed() => News::Words,
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
                self.reckon(&touched);
            }
            News::Wire(finding) => self.found(&finding),
            News::Words => {
                self.read_words();
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
                    self.peers.insert(peer, (told, Instant::now()));
                    self.reckon_all();
                }
                Err(error) => tracing::warn!(%error, "{peer} tells of its pools in other words"),
            },
            Topic::Words => self.heard_words(&peer, bytes),
        }
    }

    fn heard_words(&mut self, peer: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let words = match Words::from_json(&text) {
            Ok(words) => words,
            Err(error) => {
                tracing::warn!(%error, "{peer} tells of its operator's word in other words");
                return;
            }
        };
        if !self.words.clone().merge(&words) {
            return;
        }
        // Somebody may hold the file for a while; that it has changed is heard like any change.
        let (files, peer) = (self.host.files().clone(), peer.to_owned());
        tokio::spawn(async move {
            if let Err(error) = words::change(&files, |own| {
                own.merge(&words);
            })
            .await
            {
                let error = chain(&error);
                tracing::error!(error, "what was said on {peer} cannot be kept here");
            }
        });
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

    /// What was said before goes on to hold if the file cannot be read.
    fn read_words(&mut self) {
        match words::read(self.host.files()) {
            Ok(words) => self.words = words,
            Err(error) => tracing::error!(error = chain(&error), "what was said is not known"),
        }
    }

    /// A director that has told nothing for long is stuck, and what it told says nothing of now.
    pub fn age(&mut self) {
        self.beats += 1;
        let before = self.peers.len();
        self.peers.retain(|_, (_, heard)| heard.elapsed() < FRESH);
        if self.peers.len() < before {
            self.reckon_all();
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
        let told = Told { pools: pools.collect(), able, beats: self.beats };
        let mut words = self.words.clone();
        words.prune(wall());
        let words = words.to_json_within(MOST_SAID).into_bytes();
        [(Topic::Pools, told.to_bytes(MOST_SAID)), (Topic::Words, words)]
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
            let better = |told: &Told| {
                let sees = told.pools.get(name).is_some_and(|pool| pool.up > 0 && !pool.held);
                sees && told.able.contains(router)
            };
            let seer = self.peers.iter().find(|(_, (told, _))| better(told));
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
        self.reckon(&(0..self.pools.len()).collect());
    }

    fn reckon(&mut self, pools: &BTreeSet<usize>) {
        let (now, wall, witness) = (now(), wall(), self.witness());
        let Balance { health, words, peers, pools: all, .. } = self;
        for at in pools {
            let Some(pool) = all.get_mut(*at) else { continue };
            let name = pool.config().name.as_str();
            let peers = peers.values().filter_map(|(told, _)| told.pools.get(name).copied());
            let peers: Vec<Summary> = peers.collect();
            pool.handle(&View { health, words, wall, peers: &peers, witness }, now);
            while let Some(notice) = pool.poll_notice() {
                log::pool(&notice);
            }
        }
        self.due = self.next_due(now, wall);
        self.report_due.get_or_insert(self.report_rest);
    }

    /// Writes down how things are, for `converge servers` and `converge plan`.
    fn report(&mut self) {
        let began = Instant::now();
        self.report_due = None;
        let Balance { pools, peers, health, reporter, host, name, .. } = self;
        let one = |pool: &Pool| {
            let name = &pool.config().name;
            let seen = |(peer, (told, _)): (&String, &(Told, Instant))| {
                Some((peer.clone(), *told.pools.get(name)?))
            };
            (name.clone(), PoolReport::new(pool, health, peers.iter().filter_map(seen).collect()))
        };
        let pools = pools.iter().map(one).collect();
        if let Err(error) = reporter.write(host.files(), name, pools) {
            tracing::warn!(error = chain(&error), "how real servers stand cannot be written down");
        }
        self.tell_wire();
        let rest = (began.elapsed() * SHARE).clamp(REPORT_REST, REPORT_REST_MOST);
        self.report_rest = began + rest;
    }

    /// Who answers by IP has to be on the link, too.
    fn tell_wire(&self) {
        let Some((wire, _)) = &self.wire else { return };
        wire.reachable(segment::answering(&self.health));
    }

    fn next_due(&self, now: Moment, wall: u64) -> Option<Instant> {
        let start = Instant::now();
        let pools = self.pools.iter().filter_map(Pool::poll_timeout);
        let pools = pools.min().map(|due| start + due.since(now));
        let until = |due: u64| start + Duration::from_millis(due.saturating_sub(wall));
        let words = self.words.next_deadline(wall).map(until);
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
