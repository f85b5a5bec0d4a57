//! What has to hold, by what is true of the network and was said, and not by what machines think.
//!
//! All spans are what the checks' own timing promises, and what the directors' telling takes. What
//! the guard has to keep is in `kept`, and who has the VIP in `vip`.

mod kept;
mod vip;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::director::Process;
use super::scenario::{NAMES, SERVERS, Server, address, host};
use super::world::World;
use crate::clock::Moment;
use crate::pool::clocks::UNTOLD;
use crate::pool::config::PoolConfig;
use crate::pool::standing::{Shares, Standing};
use crate::pool::words::{Word, Words};
use kept::Cut;
use vip::Vip;

/// A silent link is noticed within this, and a witness that answers or does not.
const NOTICED: Duration = Duration::from_secs(3 + 2);
/// What moves along a connection is there, and has been told again.
const TELLING: Duration = Duration::from_secs(4);
/// For what is due at the very moment.
const SLACK: Duration = Duration::from_millis(500);

/// What is kept to judge by.
pub struct Rules {
    /// Of each director and server: whether it would be answered, and since when.
    truth: [[(bool, Moment); SERVERS]; 2],
    /// What each director is cut off from, by pool.
    cuts: [[Cut; 2]; 2],
    /// How each server is, and since when.
    servers: [(Server, Moment); SERVERS],
    /// Since when the directors are connected, or are not.
    connected: Moment,
    vip: Vip,
    /// When each director's process was last started or told other files.
    begun: [Moment; 2],
    /// When each director's process was last started, stopped, or told other files.
    disturbed: [Moment; 2],
    /// When it last went on after it was stopped.
    resumed: [Moment; 2],
    /// All that each director ever knew.
    known: [Words; 2],
    /// All that was ever said.
    said: Words,
    over: [BTreeSet<Key>; 2],
    knows_clock: [bool; 2],
    was_set: [bool; 2],
    /// Since when something that must not last is so.
    lasting: BTreeMap<(usize, String), Moment>,
    at_rest: Vec<BTreeMap<SocketAddr, (Option<u32>, Standing)>>,
}

/// A word: host, pool, when, and by whom.
type Key = (String, Option<String>, u64, String);

impl Rules {
    pub fn new(now: Moment) -> Self {
        Rules {
            truth: [[(true, now); SERVERS]; 2],
            cuts: Default::default(),
            servers: [(Server::Well, now); SERVERS],
            connected: now,
            vip: Vip::default(),
            begun: [now; 2],
            disturbed: [now; 2],
            resumed: [Moment::ZERO; 2],
            known: [Words::default(), Words::default()],
            said: Words::default(),
            over: [BTreeSet::new(), BTreeSet::new()],
            knows_clock: [false; 2],
            was_set: [false; 2],
            lasting: BTreeMap::new(),
            at_rest: Vec::new(),
        }
    }

    /// A process was started, or told other files.
    pub fn begun(&mut self, d: usize, now: Moment) {
        self.disturbed(d, now);
        self.begun[d] = now;
        self.cuts[d] = Default::default();
    }

    fn disturbed(&mut self, d: usize, now: Moment) {
        self.disturbed[d] = now;
        self.knows_clock[d] = false;
        self.lasting.retain(|(of, _), _| *of != d);
        self.vip.upset();
    }

    /// A process goes on that was stopped, or the thread of its checks.
    pub fn resumed(&mut self, d: usize, now: Moment) {
        self.disturbed(d, now);
        self.resumed[d] = now;
    }

    /// The directors are connected, or not any more.
    pub fn connected(&mut self, now: Moment) {
        self.connected = now;
        self.vip.upset();
    }

    pub fn was_set(&mut self, d: usize) {
        self.was_set[d] = true;
    }

    pub fn knows_clock(&mut self, d: usize) {
        self.knows_clock[d] = true;
    }

    /// The network may be another.
    pub fn changed(&mut self, world: &World<'_>) {
        let before = self.truth;
        for (d, servers) in self.truth.iter_mut().enumerate() {
            for (n, truth) in servers.iter_mut().enumerate() {
                let good = world.has_way(d, n) && world.servers[n] == Server::Well;
                if truth.0 != good {
                    *truth = (good, world.now);
                }
            }
        }
        for (known, server) in self.servers.iter_mut().zip(world.servers) {
            if known.0 != server {
                *known = (server, world.now);
            }
        }
        self.cut_off(world, &before);
        self.vip.upset();
    }

    /// An operator has said this.
    pub fn said(&mut self, d: usize, of: &str, word: Word, file: &Words) -> Result<(), String> {
        self.said.merge(file);
        self.cuts = Default::default();
        let holds = file.now(of, "first").map_or(Word::Ready, |said| said.word);
        match holds == word {
            true => Ok(()),
            false => Err(format!("{word} of {of} does not hold where it is said: {}", NAMES[d])),
        }
    }

    /// A director's table is about to become this: no good server leaves for nothing.
    pub fn moved(
        &mut self,
        world: &World<'_>,
        d: usize,
        table: &BTreeMap<String, BTreeMap<SocketAddr, u32>>,
    ) -> Result<(), String> {
        let director = &world.directors[d];
        let process = director.process.as_ref().expect("it moves");
        let serves = |table: &BTreeMap<SocketAddr, u32>, n: usize| {
            table.get(&address(n)).is_some_and(|weight| *weight > 0)
        };
        for pool in &process.pools {
            let (config, shares) = (pool.config(), pool.shares());
            let Some(before) = director.table.get(&config.name) else { continue };
            let leaves = |n: &usize| serves(before, *n) && !serves(&table[&config.name], *n);
            for n in (0..SERVERS).filter(|n| has(config, *n) && leaves(n)) {
                let share = &shares.members[&address(n)];
                if process.hangs.is_some() && !self.may_leave_unchecked(world, d, config) {
                    return Err(format!("{}: {} leaves unchecked: {share:?}", NAMES[d], host(n)));
                }
                let (good, since) = self.truth[d][n];
                // What a process that was stopped asked before is answered after.
                let since = since.max(self.resumed[d]);
                let is_good = good && world.now >= since + fall(world);
                let excused = shares.spare.is_some() || word(process, config, n).is_some();
                if is_good && !excused && process.hangs.is_none() {
                    return Err(format!("{}: {} leaves: {share:?}", NAMES[d], host(n)));
                }
            }
        }
        Ok(())
    }

    /// A director's process has done what was to be done.
    pub fn look(&mut self, world: &World<'_>, d: usize) -> Result<(), String> {
        let process = world.directors[d].process.as_ref().expect("it has turned");
        self.words(world, d, process)?;
        self.vip_moves(world, d, process)?;
        self.is_kept(world, d, process)?;
        if process.hangs.is_some() {
            return Ok(());
        }
        for pool in &process.pools {
            let (config, shares) = (pool.config(), pool.shares());
            for n in (0..SERVERS).filter(|n| has(config, *n)) {
                self.server(world, d, (config, shares, n))?;
            }
            self.spare(world, d, (config, shares))?;
            let is_held = |share: &crate::pool::standing::Share| share.standing == Standing::Held;
            let held = shares.members.values().any(is_held);
            let most = NOTICED + window(world) * 2 + rise(world);
            let what = format!("{} holds although that is disproven", config.name);
            self.no_longer(d, what, held && self.is_disproven(world, d, config), most, world.now)?;
        }
        self.vip_is_right(world, d, process)
    }

    /// It is so now; it must not be for longer than that.
    fn no_longer(
        &mut self,
        d: usize,
        what: String,
        is_so: bool,
        most: Duration,
        now: Moment,
    ) -> Result<(), String> {
        let key = (d, what);
        if !is_so {
            self.lasting.remove(&key);
            return Ok(());
        }
        let since = *self.lasting.entry(key.clone()).or_insert(now);
        match now.since(since) > most {
            true => {
                let whose = NAMES.get(d).unwrap_or(&"a and b");
                Err(format!("{whose}: {}, since {since}", key.1))
            }
            false => Ok(()),
        }
    }

    fn words(&mut self, world: &World<'_>, d: usize, process: &Process) -> Result<(), String> {
        let (name, now) = (NAMES[d], world.now);
        if process.words.clone().merge(&self.known[d]) {
            return Err(format!("{name} forgets words:\n{}", self.known[d].to_json()));
        }
        self.known[d].merge(&process.words);
        let mut late = false;
        for (of, pool, said) in process.words.iter() {
            let key = (of.to_owned(), pool.map(str::to_owned), said.at, said.by.clone());
            let Some(until) = said.until else { continue };
            let by = NAMES.iter().position(|name| *name == said.by).expect("one of the two");
            let wall = world.directors[by].wall(now);
            let is_known = d == by || self.knows_clock[d];
            if said.word == Word::Drain {
                if self.over[d].contains(&key) {
                    return Err(format!("{name}: a drain of {of} that was over is none again"));
                }
                let reached = d == by || world.connection.is_some();
                late |= reached && is_known && until + 8_000 < wall;
                continue;
            }
            let is_new = self.over[d].insert(key.clone());
            let is_first = is_new && !self.over[1 - d].contains(&key);
            if is_first && is_known && !self.was_set[by] && wall + 6_000 < until {
                let early = until - wall;
                return Err(format!("{name}: a drain of {of} ends {early} ms too early"));
            }
        }
        let is_settled = now > self.disturbed[d] + UNTOLD;
        self.no_longer(d, "a drain does not end".into(), late && is_settled, TELLING, now)
    }

    fn server(
        &mut self,
        world: &World<'_>,
        d: usize,
        (config, shares, n): (&PoolConfig, &Shares, usize),
    ) -> Result<(), String> {
        let process = world.directors[d].process.as_ref().expect("it has turned");
        let share = &shares.members[&address(n)];
        let (good, since) = self.truth[d][n];
        let since = since.max(self.disturbed[d]);
        let serves = share.weight.is_some_and(|weight| weight > 0);
        let at = || format!("{}: {} {} {share:?}", NAMES[d], config.name, host(n));
        if good && world.now >= since + rise(world) {
            let right = match word(process, config, n) {
                Some(Word::Maintenance) => share.weight.is_none(),
                Some(Word::Drain | Word::Ready) => share.weight == Some(0),
                None => serves || shares.spare.is_some(),
            };
            // What was said of it a moment ago is known to the process with its next view.
            return if right { Ok(()) } else { Err(format!("is good: {}", at())) };
        }
        let is_dead = !good && world.now >= since + fall(world);
        match is_dead && serves && share.standing != Standing::Held {
            true => Err(format!("is dead: {}", at())),
            false => Ok(()),
        }
    }

    /// A spare answers if and only if too few are well.
    fn spare(
        &mut self,
        world: &World<'_>,
        d: usize,
        (config, shares): (&PoolConfig, &Shares),
    ) -> Result<(), String> {
        let process = world.directors[d].process.as_ref().expect("it has turned");
        let members = || (0..SERVERS).filter(|n| has(config, *n));
        let since = |n: usize| self.truth[d][n].1.max(self.disturbed[d]);
        let is_in = |n: &usize| {
            let good = self.truth[d][*n].0 && world.now >= since(*n) + rise(world);
            good && word(process, config, *n).is_none()
        };
        let is_out = |n: &usize| {
            let dead = !self.truth[d][*n].0 && world.now >= since(*n) + fall(world);
            let held = shares.members[&address(*n)].standing == Standing::Held;
            (dead && !held) || word(process, config, *n).is_some()
        };
        let quorum = usize::try_from(config.quorum + config.hysteresis).expect("few");
        let in_all = members().filter(is_in).count();
        if shares.spare.is_some() && in_all >= quorum {
            return Err(format!("{}: {} has a spare for {in_all}", NAMES[d], config.name));
        }
        let out = members().all(|n| is_out(&n)) && world.now > self.disturbed[d] + fall(world);
        match out && !config.spares.is_empty() && shares.spare.is_none() {
            true => Err(format!("{}: {} has nobody, and no spare", NAMES[d], config.name)),
            false => Ok(()),
        }
    }

    /// Whether something shows that the servers are dead, and nothing that they are not.
    fn is_disproven(&self, world: &World<'_>, d: usize, config: &PoolConfig) -> bool {
        let other = &world.directors[1 - d];
        let connected = world.connection.is_some() && world.link && is_awake(world, 1 - d);
        let sees = other.process.as_ref().filter(|_| connected).and_then(|process| {
            process.pools.iter().find(|pool| pool.config().name == config.name)
        });
        let sees = sees.map(|pool| pool.summary());
        if !is_awake(world, 1 - d) || sees.is_some_and(|sees| sees.up > 0 && !sees.held) {
            return false;
        }
        let none = sees.is_some_and(|s| s.up == 0 && s.unknown == 0 && s.down > 0 && !s.held);
        let refuses =
            |n: usize| has(config, n) && world.has_way(d, n) && world.servers[n] == Server::Refuses;
        let answers = (0..SERVERS).any(refuses);
        let near = world.ways[d].contains(&true);
        let witnessed = world.scenario.witnesses && (near || world.link);
        none || answers || witnessed
    }

    /// All is well for long, and both know the same.
    pub fn rest(&mut self, world: &World<'_>) -> Result<(), String> {
        let keys = |words: &Words| -> BTreeSet<Key> {
            let key = |(of, pool, said): (&str, Option<&str>, &crate::pool::words::Said)| {
                (of.to_owned(), pool.map(str::to_owned), said.at, said.by.clone())
            };
            words.iter().map(key).collect()
        };
        let mut rests = Vec::new();
        for (d, director) in world.directors.iter().enumerate() {
            let process = director.process.as_ref().ok_or("it does not run")?;
            let known = [&process.words, &director.file].map(keys);
            if known != [keys(&self.said), keys(&self.said)] {
                let (all, own) = (self.said.to_json(), process.words.to_json());
                return Err(format!("at rest {} knows {own} of {all}", NAMES[d]));
            }
            for pool in &process.pools {
                let seen = |(at, share): (&SocketAddr, &crate::pool::standing::Share)| {
                    (*at, (share.weight, share.standing))
                };
                rests.push(pool.shares().members.iter().map(seen).collect::<BTreeMap<_, _>>());
            }
        }
        let is_draining = |words: &Words| {
            words.iter().any(|(_, _, said)| said.word == Word::Drain && said.until.is_some())
        };
        if is_draining(&self.known[0]) || is_draining(&self.known[1]) {
            return Ok(());
        }
        if self.at_rest.is_empty() {
            self.at_rest = rests.clone();
        }
        if rests != self.at_rest {
            return Err(format!("no rest: {rests:?} after {:?}", self.at_rest));
        }
        match world.shape.wavers() || rests[..2] == rests[2..] {
            true => Ok(()),
            false => Err(format!("the directors disagree: {rests:?}")),
        }
    }
}

/// Whether a director turns as a whole, and trusts its checks; one that does not run does, too.
fn is_awake(world: &World<'_>, d: usize) -> bool {
    let director = &world.directors[d];
    let process = director.process.as_ref();
    let hangs = process.is_some_and(|process| process.hangs.is_some() || process.stands_still);
    director.stopped.is_none() && !hangs
}

/// What was said of a server, as the process knows it.
fn word(process: &Process, config: &PoolConfig, n: usize) -> Option<Word> {
    process.words.now(&host(n), &config.name).map(|said| said.word)
}

fn has(config: &PoolConfig, n: usize) -> bool {
    config.members.iter().any(|member| member.server == address(n))
}

/// Until a server that died is held dead at the latest. A run that began between beats may make
/// way for the next one and count for nothing.
fn fall(world: &World<'_>) -> Duration {
    let timing = world.shape.timing();
    timing.every * (2 * u32::from(timing.fall.get()) + 2) + SLACK
}

/// The same for one that is well again.
fn rise(world: &World<'_>) -> Duration {
    let timing = world.shape.timing();
    timing.every * (2 * u32::from(timing.rise.get()) + 2) + SLACK
}

fn window(world: &World<'_>) -> Duration {
    let timing = world.shape.timing();
    timing.every + timing.timeout
}
