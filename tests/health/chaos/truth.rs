//! What is true: who is up, what was said, and what has to come of it.
//!
//! By the letter of the README and without any of the machines.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use converge::pool::standing::Standing;
use converge::pool::words::Word;

use super::Random;
use super::servers::Mode;
use crate::health::site::VIRTUAL;

/// The real servers.
pub(super) const HOSTS: [&str; 6] = ["w1", "w2", "w3", "w4", "w5", "w6"];
/// What each of them listens on: the first two are asked by HTTP.
pub(super) const PORTS: [u16; 4] = [80, 81, 90, 91];
/// Ports that are asked by HTTP.
const HTTP: usize = 2;
/// A server that has been good for so long has been found so, on a busy computer too.
const LONG: Duration = Duration::from_secs(4);

/// The pools, and the port of each.
pub(super) fn pools() -> Vec<(String, usize)> {
    let balanced = PORTS.iter().enumerate().map(|(n, port)| (format!("TCP {VIRTUAL}:{port}"), n));
    balanced.chain([("upstream app".to_owned(), 0)]).collect()
}

/// What the files say.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) members: [bool; HOSTS.len()],
    pub(super) weight: u32,
    pub(super) quorum: u32,
    pub(super) every: u32,
    pub(super) spare: bool,
}

impl Shape {
    pub(super) fn first() -> Self {
        Shape { members: [true; HOSTS.len()], weight: 1, quorum: 1, every: 500, spare: true }
    }

    /// One thing is another.
    pub(super) fn other(&self, random: &mut Random) -> Self {
        let mut shape = self.clone();
        match random.below(5) {
            0 => {
                let n = random.below(HOSTS.len());
                shape.members[n] = !shape.members[n];
                shape.members[(n + 1) % HOSTS.len()] = true;
            }
            1 => shape.weight = random.pick(&[1, 2, 100]),
            2 => shape.quorum = random.pick(&[1, 2]),
            3 => shape.every = random.pick(&[400, 500, 600]),
            _ => shape.spare = !shape.spare,
        }
        let members = shape.members.iter().filter(|is| **is).count();
        shape.quorum = shape.quorum.min(u32::try_from(members).expect("few"));
        shape
    }
}

#[derive(Clone, Debug)]
struct Said {
    host: usize,
    pool: Option<String>,
    word: Word,
    until: Option<u64>,
}

/// All of it.
pub(super) struct Truth {
    pub(super) shape: Shape,
    modes: [[Mode; PORTS.len()]; HOSTS.len()],
    silent: [bool; HOSTS.len()],
    open: [bool; 2],
    said: Vec<Said>,
    /// Since when each server is good for each director, if it is.
    since: [[[Option<Instant>; PORTS.len()]; HOSTS.len()]; 2],
    /// When each director last began, or went on.
    begun: [Instant; 2],
    last_said: [Instant; HOSTS.len()],
    /// When this computer was last too busy to look.
    stalled: Instant,
}

impl Truth {
    pub(super) fn new(shape: Shape) -> Self {
        let now = Instant::now();
        Truth {
            shape,
            modes: [[Mode::Serves; PORTS.len()]; HOSTS.len()],
            silent: [false; HOSTS.len()],
            open: [true; 2],
            said: Vec::new(),
            since: [[[Some(now); PORTS.len()]; HOSTS.len()]; 2],
            begun: [now; 2],
            last_said: [now; HOSTS.len()],
            stalled: now,
        }
    }

    pub(super) fn becomes(&mut self, host: usize, port: usize, mode: Mode) {
        self.modes[host][port] = mode;
        self.judge();
    }

    pub(super) fn silence(&mut self, host: usize, silent: bool) {
        self.silent[host] = silent;
        self.judge();
    }

    pub(super) fn is_silent(&self, host: usize) -> bool {
        self.silent[host]
    }

    pub(super) fn way(&mut self, d: usize, open: bool) {
        self.open[d] = open;
        self.judge();
    }

    pub(super) fn is_open(&self, d: usize) -> bool {
        self.open[d]
    }

    pub(super) fn reload(&mut self, shape: Shape) {
        self.shape = shape;
    }

    pub(super) fn begins(&mut self, d: usize) {
        self.begun[d] = Instant::now();
    }

    pub(super) fn stalls(&mut self) {
        self.stalled = Instant::now();
    }

    pub(super) fn says(
        &mut self,
        host: usize,
        pool: Option<String>,
        word: Word,
        until: Option<u64>,
    ) {
        self.said.push(Said { host, pool, word, until });
        self.last_said[host] = Instant::now();
    }

    fn judge(&mut self) {
        for d in 0..2 {
            for host in 0..HOSTS.len() {
                for port in 0..PORTS.len() {
                    let since = &mut self.since[d][host][port];
                    let mode = self.modes[host][port];
                    let serves = match port < HTTP {
                        true => mode == Mode::Serves,
                        false => mode != Mode::Closed,
                    };
                    match serves && !self.silent[host] && self.open[d] {
                        true => drop(since.get_or_insert_with(Instant::now)),
                        false => *since = None,
                    }
                }
            }
        }
    }

    /// What was said last of a host in a pool.
    pub(super) fn word(&self, host: usize, pool: &str) -> Option<Word> {
        let concerns =
            |said: &&Said| said.host == host && said.pool.as_deref().is_none_or(|of| of == pool);
        let said = self.said.iter().rev().find(concerns)?;
        match said.word {
            Word::Ready => None,
            Word::Drain if said.until.is_some_and(|until| until <= wall()) => {
                Some(Word::Maintenance)
            }
            word @ (Word::Drain | Word::Maintenance) => Some(word),
        }
    }

    /// What has to become of a pool on a director: each member, and whether a spare answers.
    pub(super) fn wanted(
        &self,
        d: usize,
        (pool, port): (&str, usize),
    ) -> (Vec<(usize, Option<u32>, Standing)>, bool) {
        let members = (0..HOSTS.len()).filter(|host| self.shape.members[*host]);
        let mut sum = 0;
        let mut all = Vec::new();
        for host in members {
            let is_good = self.since[d][host][port].is_some();
            all.push(match (self.word(host, pool), is_good) {
                (Some(Word::Maintenance), _) => (host, None, Standing::Maintenance),
                (_, false) => (host, None, Standing::Down),
                (Some(Word::Drain | Word::Ready), true) => (host, Some(0), Standing::Draining),
                (None, true) => {
                    sum += self.shape.weight;
                    (host, Some(self.shape.weight), Standing::Up)
                }
            });
        }
        let spare = sum < self.shape.quorum && (self.shape.spare || pool.starts_with("upstream"));
        for (_, weight, standing) in all.iter_mut().filter(|_| spare) {
            if weight.is_some_and(|weight| weight > 0) {
                (*weight, *standing) = (None, Standing::Spared);
            }
        }
        (all, spare)
    }

    /// Whether a server may not leave now, whatever else happens. `restarts`: not even if the
    /// director was started anew.
    pub(super) fn must_stay(
        &self,
        d: usize,
        (pool, host, port): (&str, usize, usize),
        restarts: bool,
    ) -> bool {
        let is_long = |since: Instant| since.elapsed() > LONG;
        let good = self.since[d][host][port].is_some_and(is_long);
        let calm = is_long(self.stalled) && is_long(self.last_said[host]);
        let begun = restarts || is_long(self.begun[d]);
        good && calm && begun && self.word(host, pool).is_none()
    }
}

/// The wall clock, in milliseconds since 1970.
pub(super) fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).expect("not yet")
}
