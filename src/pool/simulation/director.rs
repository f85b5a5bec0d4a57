//! One director: what its disk and its kernel keep, and its process, put together as the daemon is.
//!
//! What dies with the process and what outlives it are told apart here: the table and the file of
//! words stay.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Bug;
use super::scenario::{NAMES, Shape, witness};
use crate::check::config::CheckConfig;
use crate::check::machine::{Checker, Limits, Output, Run};
use crate::check::made::Made;
use crate::check::outcome::{Failure, Health, Outcome, State};
use crate::clock::Moment;
use crate::pool::clocks::{Clocks, UNTOLD};
use crate::pool::peers::{Heard, Told};
use crate::pool::words::Words;
use crate::pool::yielding::{Weight, Yielding};
use crate::pool::{Peer, Pool, Summary, View, Witness};

/// A thread that was not run for so long sees that.
const PAUSE: Duration = Duration::from_secs(1);
/// After this time without a turn the checks stand still, as the daemon sees it.
const STILL: Duration = Duration::from_secs(10);
/// Until they are trusted when they are made again.
const CAUGHT_UP: Duration = Duration::from_secs(7);
/// The wall clock at the start, in milliseconds since 1970.
const EPOCH: u64 = 1_800_000_000_000;

/// A director.
#[derive(Debug)]
pub struct Director {
    pub process: Option<Process>,
    /// The file of words, as text.
    pub file: Words,
    /// Who is in the kernel's table, by pool, and with which weight.
    pub table: BTreeMap<String, BTreeMap<SocketAddr, u32>>,
    /// How much its wall clock is ahead.
    pub ahead: i64,
    /// Stopped until then.
    pub stopped: Option<Moment>,
}

/// Its process.
#[derive(Debug)]
pub struct Process {
    pub number: u64,
    pub began: Moment,
    pub checker: Checker,
    /// Which thread makes the checks; runs of others are nobody's.
    pub thread: u64,
    /// Until then it does nothing; with a break after that, or as another one.
    pub hangs: Option<(Moment, After)>,
    /// In which time its checks are made.
    pub made: Made,
    /// What is known of servers says nothing of now, as the daemon sees it.
    pub stands_still: bool,
    yielding: Yielding,
    /// The VIP is left to the other director.
    pub is_left: bool,
    pub pools: Vec<Pool>,
    pub words: Words,
    pub heard: Heard,
    pub clocks: Clocks,
    pub beats: u64,
    health: BTreeMap<Arc<CheckConfig>, Health>,
    /// What was heard last and not taken in, with a bug.
    missed: Option<(Arc<CheckConfig>, Health)>,
    witnesses: Vec<Arc<CheckConfig>>,
    wall: u64,
    own: usize,
    bug: Option<Bug>,
}

/// What becomes of a thread that hung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum After {
    /// It goes on as if nothing were.
    Nothing,
    /// It sees that it was not run for a while.
    Break,
    /// Another one begins in its place.
    Another,
}

impl After {
    /// One that hung for so many milliseconds.
    pub fn of(span: u64) -> Self {
        if Duration::from_millis(span) >= PAUSE { After::Break } else { After::Nothing }
    }
}

/// What the world has to do for it.
#[derive(Debug)]
pub enum Wish {
    /// Ask, and say how that ends.
    Ask(Run, Arc<CheckConfig>),
}

impl Director {
    /// What its wall clock says.
    pub fn wall(&self, now: Moment) -> u64 {
        wall(now, self.ahead)
    }
}

fn wall(now: Moment, ahead: i64) -> u64 {
    let millis = u64::try_from(now.since_start().as_millis()).expect("a short run");
    (EPOCH + millis).saturating_add_signed(ahead)
}

impl Process {
    /// Starts. `table` is what the kernel has.
    pub fn new(
        (number, own, bug): (u64, usize, Option<Bug>),
        shape: &Shape,
        witnesses: bool,
        director: &Director,
        now: Moment,
    ) -> Self {
        let witnesses = if witnesses { vec![witness(1), witness(2)] } else { Vec::new() };
        let mut process = Process {
            number,
            began: now,
            checker: Checker::new(Limits { at_once: 100 }, number),
            thread: number,
            hangs: None,
            made: Made { before: Moment::ZERO, since: now, until: now },
            stands_still: false,
            yielding: Yielding::default(),
            is_left: false,
            pools: Vec::new(),
            words: director.file.clone(),
            heard: Heard::default(),
            clocks: Clocks::new(NAMES[own]),
            beats: 0,
            health: BTreeMap::new(),
            missed: None,
            witnesses,
            wall: director.wall(now),
            own,
            bug,
        };
        for config in shape.pools() {
            let none = BTreeMap::new();
            let table = director.table.get(&config.name).unwrap_or(&none);
            let table = if process.has(Bug::TableForgotten) { &none } else { table };
            let of = |is: fn(u32) -> bool| -> BTreeSet<SocketAddr> {
                table.iter().filter(|(_, weight)| is(**weight)).map(|(at, _)| *at).collect()
            };
            let (serving, quiet) = (of(|weight| weight > 0), of(|weight| weight == 0));
            process.pools.push(Pool::new(config, serving, now).with_quiet(&quiet));
        }
        process.adopt(now);
        process
    }

    pub fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Other files.
    pub fn configure(&mut self, shape: &Shape, now: Moment) {
        for config in shape.pools() {
            let pool = self.pools.iter_mut().find(|pool| pool.config().name == config.name);
            pool.expect("there are always two").configure(config, now);
        }
        self.adopt(now);
    }

    fn adopt(&mut self, now: Moment) {
        let checks = self.checks();
        if self.hangs.is_none() {
            self.checker.configure(&checks, now);
        }
        self.health.retain(|check, _| checks.contains(check));
    }

    fn checks(&self) -> BTreeSet<Arc<CheckConfig>> {
        let members = self.pools.iter().flat_map(|pool| &pool.config().members);
        let checks = members.flat_map(|member| member.checks.iter().cloned());
        checks.chain(self.witnesses.iter().cloned()).collect()
    }

    /// The thread of the checks does nothing up to that moment.
    pub fn hang(&mut self, until: Moment, after: After) {
        let (before, then) = self.hangs.unwrap_or((until, after));
        self.hangs = Some((before.max(until), then.max(after)));
    }

    /// The whole process goes on after it was stopped. The thread of the checks is not the first to
    /// turn. When it does is answered.
    pub fn resume(&mut self, now: Moment) -> Moment {
        let soon = now + Duration::from_nanos(1);
        let is_long = now.since(self.made.until) >= PAUSE;
        self.hang(soon, if is_long { After::Break } else { After::Nothing });
        soon
    }

    /// It goes on.
    pub fn goes_on(&mut self, thread: u64, now: Moment) {
        let Some((_, after)) = self.hangs.take() else { return };
        match after {
            After::Nothing => {}
            After::Break => self.checker.handle_pause(),
            After::Another => {
                self.checker = Checker::new(Limits { at_once: 100 }, thread);
                self.thread = thread;
            }
        }
        // It may have been told other ones meanwhile.
        self.checker.configure(&self.checks(), now);
        if after != After::Nothing {
            self.made = Made { before: self.made.until, since: now, until: now };
        }
    }

    /// Does what the checker wants, and works everything out anew if there is a reason. Returns
    /// whether there was one.
    pub fn turn(
        &mut self,
        director: (&mut Words, i64),
        now: Moment,
        all: bool,
    ) -> (Vec<Wish>, bool) {
        let (file, ahead) = director;
        if self.hangs.is_none() {
            self.made.until = now;
        }
        let mut wishes = Vec::new();
        let mut all = all;
        while let Some(output) = self.next_output() {
            match output {
                Output::Begin { run, check } => wishes.push(Wish::Ask(run, check)),
                Output::Expire(run) => {
                    let silent = Outcome::Bad(Failure::silent("no answer"));
                    self.checker.handle_outcome(run, silent, now);
                }
                Output::Abort(_) => {}
                Output::Changed(check, health) => {
                    all = true;
                    let news = match self.has(Bug::HealthMissed) {
                        true => self.missed.replace((check, health)),
                        false => Some((check, health)),
                    };
                    self.health.extend(news);
                }
            }
        }
        if self.expire(ahead, now) {
            all |= !self.has(Bug::DeadlineOfSome);
            file.merge(&self.words);
        }
        let due = |pool: &Pool| pool.poll_timeout().is_some_and(|due| due <= now);
        let all = all || self.pools.iter().any(due);
        if all {
            self.reckon(ahead, now);
        }
        (wishes, all)
    }

    fn next_output(&mut self) -> Option<Output> {
        if self.hangs.is_some() { None } else { self.checker.poll_output() }
    }

    fn expire(&mut self, ahead: i64, now: Moment) -> bool {
        if self.has(Bug::DeadlineForgotten) || self.has(Bug::DeadlineReopens) {
            return false;
        }
        let (wall, is_new) = (wall(now, ahead), now.since(self.began) < UNTOLD);
        let (clocks, own) = (&self.clocks, self.bug == Some(Bug::DeadlineByOwnClock));
        let clock = |by: &str| if own { wall } else { clocks.there(by, wall, now, is_new) };
        self.words.expire(clock)
    }

    fn reckon(&mut self, ahead: i64, now: Moment) {
        let well = |check: &Arc<CheckConfig>| {
            let health = self.health.get(check)?;
            Some(health.state == State::Up && health.failing.is_none())
        };
        let known: Option<Vec<bool>> = self.witnesses.iter().map(well).collect();
        let known = known.filter(|known| !known.is_empty());
        let within = Duration::from_secs(if self.has(Bug::WitnessAtOnce) { 0 } else { 2 });
        let witness = known.map(|known| Witness { answers: known.contains(&true), within });
        let witness = witness.filter(|_| self.bug != Some(Bug::WitnessIgnored));
        let made = match self.has(Bug::StillBelieved) {
            true => Made { until: now, ..self.made },
            false => self.made,
        };
        let mut words = self.words.clone();
        if self.has(Bug::DeadlineReopens) {
            words.expire(|_| wall(now, ahead));
        }
        let (old, new) = (self.has(Bug::PeerNeverOld), self.has(Bug::PeerAlwaysNew));
        for pool in &mut self.pools {
            let name = &pool.config().name;
            let ages = (0..60).map(|age| now - Duration::from_secs(age));
            let mut peer = match old {
                true => ages.into_iter().find_map(|then| self.heard.sees(name, then)),
                false => self.heard.sees(name, now),
            };
            if let Some(peer) = peer.as_mut().filter(|_| new) {
                peer.at = now;
            }
            let peers: Vec<Peer> = peer.into_iter().collect();
            let (health, words, peers) = (&self.health, &words, &peers[..]);
            pool.handle(&View { health, made, words, peers, witness }, now);
            while pool.poll_notice().is_some() {}
        }
        self.weigh(now);
    }

    /// Looks who is to have the VIP.
    fn weigh(&mut self, now: Moment) {
        let mut weight = Weight::default();
        for pool in &self.pools {
            let peer = self.heard.sees(&pool.config().name, now);
            let there = peer.is_some_and(|Peer { sees, .. }| sees.up > 0 && !sees.held);
            let said = peer.map_or(now, |peer| peer.at);
            let here = pool.answers(said) && !self.stands_still;
            weight.add(pool.is_blind() || self.stands_still, here, there);
        }
        match self.bug {
            Some(Bug::YieldsToAny) if weight.more > 0 => weight.less = 0,
            Some(Bug::YieldsToEqual) if weight.more == weight.less => weight.more *= 2,
            Some(Bug::NeverYields) => weight.more = 0,
            _ => {}
        }
        let other = self.heard.is_able("main").then_some(((), weight));
        self.is_left = self.yielding.look(other).is_some();
    }

    /// Another two seconds.
    pub fn beat(&mut self, wall: u64, now: Moment) {
        let made = self.made;
        self.stands_still = match self.stands_still {
            false => now >= made.until + STILL,
            true => now >= made.until + STILL || made.until < made.since + CAUGHT_UP,
        };
        self.weigh(now);
        if !self.has(Bug::NoBeats) {
            (self.beats, self.wall) = (self.beats + 1, wall);
        }
    }

    /// What the other director is to know.
    pub fn tells(&self) -> (Vec<u8>, Vec<u8>) {
        let summary = |pool: &Pool| {
            let held = pool.summary().held || self.stands_still;
            let sees = Summary { held, ..pool.summary() };
            let up = if sees.held { sees.down } else { sees.up };
            let lie = Summary { up, held: false, ..sees };
            (pool.config().name.clone(), if self.has(Bug::HeldIsUp) { lie } else { sees })
        };
        let pools = self.pools.iter().map(summary).collect();
        let able = (!self.is_left).then(|| "main".to_owned()).into_iter().collect();
        let wall = Some(self.wall);
        let told = Told { pools, able, beats: self.beats, wall, ..Told::default() };
        let turn = self.beats;
        (told.to_bytes(32 * 1024, turn), self.words.to_json_within(32 * 1024, turn).into_bytes())
    }

    /// The other director tells this.
    pub fn hears_pools(&mut self, bytes: &[u8], wall: u64, now: Moment) {
        let told = Told::from_bytes(bytes).expect("our own");
        let other = NAMES[1 - self.own];
        if let Some(clock) = self.heard.take(told, now) {
            self.clocks.take(other, clock, wall, now);
        }
    }

    /// The other director tells these words. Returns whether they are to be written.
    pub fn hears_words(&mut self, bytes: &[u8]) -> bool {
        let words = Words::from_json(std::str::from_utf8(bytes).expect("our own"));
        let words = words.expect("our own");
        let before = self.words.clone();
        match self.has(Bug::WordsReplaced) {
            true => self.words = words,
            false => drop(self.words.merge(&words)),
        }
        if self.has(Bug::TombstonesForgotten) {
            self.words.prune(u64::MAX);
        }
        self.words != before && !self.has(Bug::WordsNotWritten)
    }

    /// The other director is gone, or nothing is known of it.
    pub fn loses(&mut self) {
        if !self.has(Bug::PeerNeverOld) {
            self.heard = Heard::default();
        }
    }

    /// When it has to turn again, if nothing happens before.
    pub fn due(&self, ahead: i64, now: Moment) -> Option<Moment> {
        let pools = self.pools.iter().filter_map(Pool::poll_timeout);
        let (wall, is_new) = (wall(now, ahead), now.since(self.began) < UNTOLD);
        let words = self.words.next_end(|by| self.clocks.there(by, wall, now, is_new));
        let words = words.filter(|left| !left.is_zero()).map(|left| now + left);
        let checks = self.checker.poll_timeout().filter(|_| self.hangs.is_none());
        pools.chain(checks).chain(words).min()
    }
}
