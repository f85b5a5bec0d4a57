//! Which real servers get traffic: joins the checks, the operator's word, what the other directors
//! see, and the pools that make shares of it.
//!
//! The loop waits on [`Balance::next`] and hands what comes back to [`Balance::take`]; the shares
//! go into the situation, and the one reconcile does the rest. Everything here is the whole truth
//! each time, so nothing that is missed does lasting harm.

mod again;
mod checking;
mod concerns;
mod faults;
mod kept;
mod said;
mod steps;
mod wiring;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::sorry::Sorry;
use super::{WatchError, log};
use crate::check::config::{CheckConfig, Timing};
use crate::check::driver::Event;
use crate::check::outcome::{Health, State};
use crate::clock::Moment;
use crate::control::checks::{Figures, Recorder};
use crate::control::report::{self, PoolReport, Reporter};
use crate::control::wall;
use crate::host::{Host, chain};
use crate::pool::config::PoolConfig;
use crate::pool::peers::{Heard, Told};
use crate::pool::standing::Shares;
use crate::pool::yielding::Yielding;
use crate::pool::{Peer, Pool, Summary, View, Witness};
use crate::role::Role;
use crate::vrrp::driver::{MOST_SAID, Topic, now};

use checking::Checking;
use concerns::Concerns;
use kept::Before;
use said::Sayings;
use steps::Steps;
use wiring::Wiring;

/// After the time in which every server should have been judged, for a busy host.
const SPARE: Duration = Duration::from_secs(1);

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
    concerns: Concerns,
    witnesses: Vec<Arc<CheckConfig>>,
    health: Healths,
    checking: Checking,
    wiring: Wiring,
    /// Pools whose weights are taken at a price, and what they have by now.
    priced: BTreeSet<String>,
    steps: Steps,
    sorry: Sorry,
    said: Sayings,
    reporter: Reporter,
    recorder: Recorder,
    is_reported: bool,
    /// What other directors told, and when.
    peers: BTreeMap<String, Heard>,
    /// Which routers are left to another director.
    yielding: BTreeMap<String, Yielding>,
    /// Until when a director waits for the first verdicts.
    judging: Moment,
    /// How long that takes.
    judged: Duration,
    due: Option<Instant>,
    /// When how things are is to be written down, if it is; and when it may be at the earliest.
    report_due: Option<Instant>,
    report_rest: Instant,
    /// Counts on, so that the other directors hear that this one lives; and what the wall clock
    /// said then.
    beats: u64,
    wall: u64,
}

/// What it woke up for.
pub enum News {
    /// The checks, or their thread.
    Checks(checking::Word),
    /// The operator may have said something.
    Words,
    /// The watch over the links, or its thread.
    Wire(wiring::Word),
    /// A step of a slow start, or the end of a grace.
    Due,
    /// Weights that waited may be handed on.
    Step,
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
            concerns: Concerns::default(),
            witnesses: Vec::new(),
            health: BTreeMap::new(),
            checking: Checking::new(),
            wiring: Wiring::new(),
            priced: BTreeSet::new(),
            steps: Steps::default(),
            sorry: Sorry::default(),
            said: Sayings::open(role.host.as_str(), files),
            reporter: Reporter::start(files).await?,
            recorder: Recorder::start(files)?,
            is_reported: true,
            peers: BTreeMap::new(),
            yielding: BTreeMap::new(),
            judging: now(),
            judged: Duration::ZERO,
            due: None,
            report_due: None,
            report_rest: Instant::now(),
            beats: 0,
            wall: wall(),
        };
        let kept = kept::look(role.pools(), &before);
        let pool = |config: &Arc<PoolConfig>| {
            let kept = kept.get(&config.name).cloned().unwrap_or_default();
            Pool::new(Arc::clone(config), kept.serving, now()).with_quiet(&kept.quiet)
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
                    pool.configure(Arc::clone(config), now());
                    pool
                }
                None => Pool::new(Arc::clone(config), BTreeSet::new(), now()),
            });
        }
        self.adopt(role)
    }

    fn adopt(&mut self, role: &Role) -> Result<(), WatchError> {
        let checks = role.checks();
        self.health = carried_over(std::mem::take(&mut self.health), &checks);
        self.concerns = Concerns::of(role);
        self.witnesses = role.witnesses().to_vec();
        let longest = checks.iter().map(|check| until_judged(&check.timing)).max();
        self.judged = longest.unwrap_or_default() + SPARE;
        self.judging = now() + self.judged;
        self.checking.configure(checks)?;
        self.wiring.configure(role.wires(), role.flows());
        self.priced = role.reloading_pools();
        self.sorry.configure(&role.sorry(), role.sorry_page());
        self.reckon_all();
        Ok(())
    }

    /// Waits for what comes next. May be dropped and called again.
    pub async fn next(&mut self) -> News {
        let step = self.steps.due();
        let Balance { checking, wiring, said, due, report_due, .. } = self;
        tokio::select! {
            word = checking.next() => News::Checks(word),
            word = wiring.next() => News::Wire(word),
            () = said.changed() => News::Words,
            () = at(*due) => News::Due,
            () = at(step) => News::Step,
            () = at(*report_due) => News::Report,
        }
    }

    /// Takes in what came. Whether the servers may have other shares now is answered.
    pub fn take(&mut self, news: News) -> bool {
        let moves = !matches!(news, News::Wire(_) | News::Report);
        match news {
            News::Checks(checking::Word::Said(events)) => self.heed(events),
            News::Checks(checking::Word::Died) => self.checking.died(),
            News::Checks(checking::Word::Due) => self.checking.start_again(),
            News::Wire(word) => self.wiring.take(word),
            News::Words => {
                self.said.read();
                self.reckon_all();
            }
            News::Due => self.reckon_all(),
            // Whoever asks for the shares next gets them.
            News::Step => {}
            News::Report => self.report(),
        }
        moves
    }

    /// Checks say something.
    fn heed(&mut self, events: Vec<Event>) {
        let touched = self.note(events);
        self.reckon(touched, false);
    }

    /// Takes down what checks say. Returns the pools that it matters to.
    fn note(&mut self, events: Vec<Event>) -> BTreeSet<usize> {
        let mut touched = BTreeSet::new();
        for event in events {
            match event {
                // One that is no longer made has no say, also if it comes back later.
                Event::Changed(check, _) if !self.checking.wants(&check) => {}
                Event::Changed(check, health) => {
                    touched.extend(self.concerns.pools(&check));
                    self.health.insert(check, health);
                }
                Event::Noticed(text) => tracing::warn!("{text}"),
            }
        }
        touched
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

    /// A director that has told nothing for long is stuck, and what it told says nothing of now;
    /// so is this one, if its checks are. A clock that was set has drains end sooner or later than
    /// was thought.
    pub fn age(&mut self) {
        self.beats += 1;
        self.wall = wall();
        self.said.beat(self.beats);
        self.checking.look(self.judged, now());
        self.wiring.look(now());
        let (stalled, unwatched) = (self.checking.stalled(), self.wiring.unwatched());
        let figures = Figures::new(self.checking.status(), stalled, unwatched);
        if let Err(error) = self.recorder.write(self.host.files(), figures, Instant::now()) {
            tracing::warn!(error = chain(&error), "the figures of the checks cannot be written");
        }
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

    /// What has to count up while real servers are checked; nothing, if they never were.
    pub fn turns(&self) -> Option<Arc<AtomicU64>> {
        self.checking.turns()
    }

    /// What the other directors are to know.
    pub fn to_tell(&self, able: BTreeSet<String>) -> [(Topic, Vec<u8>); 2] {
        let blind = self.checking.is_blind();
        let seen = |pool: &Pool| {
            let summary = pool.summary();
            // What was seen before says nothing of now.
            let held = summary.held || blind;
            (pool.config().name.clone(), Summary { held, ..summary })
        };
        let (pools, wall) = (self.pools.iter().map(seen).collect(), Some(self.wall));
        let told = Told { pools, able, beats: self.beats, wall, ..Told::default() };
        let pools = told.to_bytes(MOST_SAID, self.beats);
        [(Topic::Pools, pools), (Topic::Words, self.said.to_tell(self.beats))]
    }

    /// The shares of all pools, as they are to be made so.
    pub fn shares(&mut self) -> BTreeMap<String, Arc<Shares>> {
        let shares = |pool: &Pool| (pool.config().name.clone(), Arc::clone(pool.shares()));
        let all = self.pools.iter().map(shares);
        let (priced, mut free): (BTreeMap<_, _>, BTreeMap<_, _>) =
            all.partition(|(name, _)| self.priced.contains(name));
        let given = priced.keys().cloned().collect::<Vec<_>>();
        self.steps.take(priced, Instant::now());
        let given = given.into_iter().map(|name| (self.steps.given(&name).cloned(), name));
        free.extend(given.filter_map(|(shares, name)| Some((name, shares?))));
        free
    }

    /// Works out the shares of all pools.
    fn reckon_all(&mut self) {
        self.reckon(BTreeSet::new(), true);
    }

    fn reckon(&mut self, mut pools: BTreeSet<usize>, all: bool) {
        // The end of a drain may matter to any of them.
        let all = self.said.expire() || all;
        let (made, said) = self.checking.made();
        pools.append(&mut self.note(said));
        let (now, witness) = (now(), self.witness());
        let Balance { health, said, peers, pools: every, .. } = self;
        for (at, pool) in every.iter_mut().enumerate() {
            if !(all || pools.contains(&at)) {
                continue;
            }
            let name = pool.config().name.as_str();
            let peers: Vec<Peer> =
                peers.values().filter_map(|heard| heard.sees(name, now)).collect();
            let view = View { health, made, words: said.words(), peers: &peers, witness };
            pool.handle(&view, now);
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
        let Balance { pools, peers, health, steps, reporter, host, name, .. } = self;
        let now = now();
        let one = |pool: &Pool| {
            let name = &pool.config().name;
            let seen = |(peer, heard): (&String, &Heard)| {
                Some((peer.clone(), heard.sees(name, now)?.sees))
            };
            let peers = peers.iter().filter_map(seen).collect();
            let mut report = PoolReport::new(pool, health, peers);
            if let Some(given) = steps.given(name) {
                report.shares = Shares::clone(given);
            }
            (name.clone(), report)
        };
        let written = reporter.write(host.files(), name, pools.iter().map(one));
        match &written {
            Err(error) if self.is_reported => tracing::warn!(
                error = chain(error),
                "how real servers stand cannot be written down"
            ),
            Err(_) | Ok(()) => {}
        }
        self.is_reported = written.is_ok();
        self.wiring.reachable(&self.health);
        let rest = (began.elapsed() * SHARE).clamp(REPORT_REST, REPORT_REST_MOST);
        self.report_rest = began + rest;
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
    fn witness(&self) -> Option<Witness> {
        let well = |health: &Health| health.state == State::Up && health.failing.is_none();
        let health = |check: &Arc<CheckConfig>| self.health.get(check);
        let known: Option<Vec<bool>> =
            self.witnesses.iter().map(|check| health(check).map(well)).collect();
        let known = known.filter(|known| !known.is_empty())?;
        let missed = |check: &Arc<CheckConfig>| check.timing.every + check.timing.timeout;
        let within = self.witnesses.iter().map(missed).max().unwrap_or_default();
        Some(Witness { answers: known.contains(&true), within })
    }
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

/// How long it takes at most until a target that does not answer is judged.
fn until_judged(timing: &Timing) -> Duration {
    timing.every * u32::from(timing.fall.get()) + timing.timeout
}

/// Waits until then; for ever if it is never.
pub(super) async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
