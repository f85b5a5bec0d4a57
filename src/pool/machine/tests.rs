//! What a pool does, claim by claim, and beside a plain model of it.
//!
//! A bench has servers 192.0.2.1, .2 … with one TCP check each, every second with a timeout of one,
//! and is told what the checks say. Times are milliseconds.

mod bug;
mod guarded;
mod history;
mod model;
mod noticed;
mod properties;
mod row;
mod shared;
mod slow;
mod still;

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::check::config::{CheckConfig, Probe, Target, Timing};
use crate::check::made::Made;
use crate::check::outcome::{Advice, Asked, Failing, Failure, Health, Wish};
use crate::pool::config::{OnFailure, Spare};
use crate::pool::words::{Said, Whom, Word, Words};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn at(n: u64) -> Moment {
    Moment::after_start(ms(n))
}

fn address(n: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)), 80)
}

fn timing(every: u64, rise: u8, fall: u8) -> Timing {
    let some = |n| NonZeroU8::new(n).expect("not zero");
    let (every, fast) = (ms(every), ms(every));
    Timing { every, timeout: ms(1000).min(every), fast, rise: some(rise), fall: some(fall) }
}

/// A TCP check of server `n`.
fn tcp(n: u8) -> Arc<CheckConfig> {
    let target = Target { address: address(n).ip(), port: 80 };
    Arc::new(CheckConfig { target, probe: Probe::Connect(None).into(), timing: timing(1000, 2, 3) })
}

/// A ping of server `n`, every ten seconds.
fn ping(n: u8) -> Arc<CheckConfig> {
    let target = Target { address: address(n).ip(), port: 0 };
    Arc::new(CheckConfig { target, probe: Probe::Ping.into(), timing: timing(10_000, 1, 1) })
}

fn member(n: u8, weight: u32) -> Member {
    Member { host: format!("web{n}"), server: address(n), weight, checks: vec![tcp(n)] }
}

/// Servers 1 to `n` with a weight of 1.
fn servers(n: u8) -> PoolConfig {
    PoolConfig {
        name: "tcp 192.0.2.100:80".into(),
        members: (1..=n).map(|n| member(n, 1)).collect(),
        quorum: 1,
        hysteresis: 0,
        on_failure: OnFailure::Remove,
        guard: false,
        slow_start: Duration::ZERO,
        spares: Vec::new(),
    }
}

fn with(n: u8, change: impl FnOnce(&mut PoolConfig)) -> PoolConfig {
    let mut config = servers(n);
    change(&mut config);
    config
}

fn spare(n: u8) -> Spare {
    Spare { name: format!("sorry{n}"), checks: vec![tcp(n)] }
}

/// A pool and all that it is told.
#[derive(Debug)]
struct Bench {
    pool: Pool,
    health: BTreeMap<Arc<CheckConfig>, Health>,
    words: Words,
    wall: u64,
    peers: Vec<Summary>,
    /// When the peers said so; without, just now, as they do again and again.
    peers_at: Option<u64>,
    witness: Option<bool>,
    /// Since when the checks are made without a break, and since when they stand still, if they do.
    since: u64,
    still: Option<u64>,
    /// When the last break began.
    before: u64,
    now: u64,
}

impl Bench {
    fn new(config: PoolConfig) -> Self {
        Bench::after(config, &[])
    }

    /// After a restart: these are in the kernel.
    fn after(config: PoolConfig, kept: &[u8]) -> Self {
        let kept = kept.iter().map(|n| address(*n)).collect();
        let mut bench = Bench {
            pool: Pool::new(config, kept, at(0)),
            health: BTreeMap::new(),
            words: Words::default(),
            wall: 1_000_000,
            peers: Vec::new(),
            peers_at: None,
            witness: None,
            since: 0,
            still: None,
            before: 0,
            now: 0,
        };
        bench.tell();
        bench
    }

    /// All servers are up, a while after the start, and nothing is left to be read.
    fn up(config: PoolConfig) -> Self {
        let checks: Vec<_> = config.members.iter().flat_map(|m| m.checks.clone()).collect();
        let mut bench = Bench::new(config);
        checks.into_iter().for_each(|check| bench.good(check, Advice::default()));
        bench.at(100_000);
        bench.notices();
        bench
    }

    fn at(&mut self, now: u64) {
        self.now = now;
        self.tell();
    }

    fn tell(&mut self) {
        let heard = at(self.peers_at.unwrap_or(self.now));
        let peers: Vec<Peer> =
            self.peers.iter().map(|sees| Peer { sees: *sees, at: heard }).collect();
        self.words.expire(|_| self.wall);
        let until = at(self.still.unwrap_or(self.now));
        let made = Made { before: at(self.before), since: at(self.since), until };
        let witness = self.witness.map(|answers| Witness { answers, within: ms(2000) });
        let (health, words) = (&self.health, &self.words);
        let view = View { health, made, words, peers: &peers, witness };
        self.pool.handle(&view, at(self.now));
    }

    /// The checks stand still from now on.
    fn stops(&mut self) {
        self.still = Some(self.now);
    }

    /// They are made again.
    fn goes_on(&mut self) {
        self.before = self.still.take().unwrap_or(self.now);
        self.since = self.now;
        self.tell();
    }

    fn good(&mut self, check: Arc<CheckConfig>, advice: Advice) {
        let since = at(self.now);
        self.health.insert(check, Health { state: State::Up, since, advice, failing: None });
    }

    fn bad(&mut self, check: Arc<CheckConfig>, failing_since: u64, failure: Failure) {
        let failing = Some(Failing { since: at(failing_since), failure });
        let (state, since) = (State::Down, at(self.now));
        self.health.insert(check, Health { state, since, advice: Advice::default(), failing });
    }

    /// Server `n` is well.
    fn rises(&mut self, n: u8) {
        self.good(tcp(n), Advice::default());
        self.tell();
    }

    /// Server `n` is well and says this of itself.
    fn says(&mut self, n: u8, advice: Advice) {
        self.good(tcp(n), advice);
        self.tell();
    }

    /// Server `n` refuses.
    fn refuses(&mut self, n: u8) {
        self.bad(tcp(n), self.now, Failure::answered("connection refused"));
        self.tell();
    }

    /// Server `n` was good once after it failed, which is not often enough yet.
    fn recovers(&mut self, n: u8) {
        self.health.get_mut(&tcp(n)).expect("it failed").failing = None;
        self.tell();
    }

    /// Server `n` has been silent since.
    fn silent(&mut self, n: u8, since: u64) {
        self.bad(tcp(n), since, Failure::silent("no answer"));
        self.tell();
    }

    fn says_operator(&mut self, n: u8, word: Word) {
        let said = Said { word, at: self.wall, by: "lb1".into(), until: None };
        self.words.say(Whom { host: format!("web{n}"), pool: None }, said);
        self.tell();
    }

    fn share(&self, n: u8) -> Share {
        self.pool.shares().members[&address(n)].clone()
    }

    fn weights(&self) -> Vec<Option<u32>> {
        self.pool.shares().members.values().map(|share| share.weight).collect()
    }

    fn standings(&self) -> Vec<Standing> {
        self.pool.shares().members.values().map(|share| share.standing).collect()
    }

    fn notices(&mut self) -> Vec<String> {
        let all: Vec<Notice> = std::iter::from_fn(|| self.pool.poll_notice()).collect();
        all.into_iter().map(|notice| notice.what.to_string()).collect()
    }
}
