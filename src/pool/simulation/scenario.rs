//! What happens in a run, made of a seed.
//!
//! A scenario is data and prints as text; the same seed always makes the same one.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use crate::check::config::{CheckConfig, Probe, Target, Timing};
use crate::pool::config::{Member, OnFailure, PoolConfig, Spare};
use crate::pool::words::Word;
use crate::vrrp::simulation::random::Random;

/// Virtual time in which things happen; then all is healed and comes to rest.
pub const EVENTFUL: u64 = 120_000;
/// Servers that there are.
pub const SERVERS: usize = 4;
/// The names of the two directors.
pub const NAMES: [&str; 2] = ["a", "b"];

/// How a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// It answers.
    Well,
    /// Its kernel refuses.
    Refuses,
    /// It is off.
    Silent,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// One server becomes so.
    Becomes(usize, Server),
    /// All of them do, at the same time.
    All(Server),
    /// A director's way to one half of the servers is open or not. While either is, it reaches a
    /// host that is none of them.
    Way(usize, usize, bool),
    /// The directors reach each other or not.
    Link(bool),
    /// An operator says a word on a director of a server, in the first pool or in all, with a
    /// deadline.
    Says(usize, usize, bool, Word, Option<u64>),
    /// A process dies.
    Dies(usize),
    /// It is there again.
    Starts(usize),
    /// A process is stopped for so long, and goes on.
    Stops(usize, u64),
    /// The thread of a director's checks stands still for so long, and goes on.
    Hangs(usize, u64),
    /// It dies, and another one is started after so long.
    Breaks(usize, u64),
    /// The files are other ones, and both directors read them.
    Reload(Shape),
    /// A director's wall clock is set by so many milliseconds.
    Set(usize, i64),
}

/// What the files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    every: u64,
    rise: u8,
    fall: u8,
    members: u8,
    quorum: u32,
    hysteresis: u32,
    quiesces: bool,
    slow: bool,
    spare: bool,
    /// The two pools have no server in common.
    apart: bool,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Decides what is left to chance while it runs.
    pub seed: u64,
    /// The files at first.
    pub shape: Shape,
    /// Whether the directors ask each other, and a third host, if they are there at all.
    pub witnesses: bool,
    /// How much each director's wall clock is ahead, in milliseconds.
    pub ahead: [i64; 2],
    /// What happens when, in milliseconds, in order.
    pub steps: Vec<(u64, Step)>,
}

impl Scenario {
    /// One of a seed.
    pub fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let shape = Shape::random(&mut random);
        let ahead = [0, random.pick(&[0, 0, 3_000, 60_000, 600_000, -600_000, 3_600_000])];
        let sets = random.chance(200);
        let count = 5 + random.below(30);
        let mut steps: Vec<(u64, Step)> = Vec::new();
        for _ in 0..count {
            let at = 5_000 + random.below(EVENTFUL - 5_000);
            let some = Step::random(&mut random, sets).into_iter();
            let some = some.map(|(after, step)| (at + after, step));
            // Nothing befalls them any more when all is healed.
            steps.extend(some.filter(|(at, _)| *at < EVENTFUL));
        }
        steps.sort_by_key(|(at, _)| *at);
        Scenario { seed, shape, witnesses: random.chance(600), ahead, steps }
    }
}

impl Step {
    /// One, and what comes after it.
    fn random(random: &mut Random, sets: bool) -> Vec<(u64, Step)> {
        let (director, server) = (random.position(2), random.position(SERVERS));
        // Some things happen together now and then.
        let later = random.pick(&[0, 0, 100, 1_000, 5_000, 20_000, 40_000]);
        let way = |d: usize, open: bool| [0, 1].map(|half| Step::Way(d, half, open));
        match random.below(26) {
            0..5 => {
                let how = random.pick(&[Server::Refuses, Server::Silent]);
                let back = (later, Step::Becomes(server, Server::Well));
                vec![(0, Step::Becomes(server, how)), back]
            }
            5..7 => {
                let how = random.pick(&[Server::Refuses, Server::Silent, Server::Silent]);
                vec![(0, Step::All(how)), (later, Step::All(Server::Well))]
            }
            7..9 => {
                let cut = way(director, false).map(|step| (0, step));
                cut.into_iter().chain(way(director, true).map(|step| (later, step))).collect()
            }
            9 => {
                let both = |open| way(0, open).into_iter().chain(way(1, open));
                let cut = [Step::Link(false)].into_iter().chain(both(false));
                let open = [Step::Link(true)].into_iter().chain(both(true));
                cut.map(|step| (0, step)).chain(open.map(|step| (later, step))).collect()
            }
            10..12 => vec![(0, Step::Link(false)), (later, Step::Link(true))],
            12..15 => {
                let word = random.pick(&[Word::Ready, Word::Drain, Word::Drain, Word::Maintenance]);
                let until = random.chance(600).then(|| 1_000 + random.below(40_000));
                let until = until.filter(|_| word == Word::Drain);
                vec![(0, Step::Says(director, server, random.chance(300), word, until))]
            }
            15..17 => vec![(0, Step::Dies(director)), (later, Step::Starts(director))],
            17 => vec![(0, Step::Stops(director, random.pick(&[500, 3_000, 15_000])))],
            18 => vec![(0, Step::Reload(Shape::random(random)))],
            19..21 => {
                // Each is blind to what the other one sees.
                let (half, gap) = (random.position(2), random.pick(&[0, 0, 0, 200, 3_000, 20_000]));
                let cut = |open| {
                    [Step::Way(director, half, open), Step::Way(1 - director, 1 - half, open)]
                };
                let [first, second] = cut(false);
                let [back, last] = cut(true);
                vec![(0, first), (gap, second), (gap + later, back), (gap + later, last)]
            }
            21 => {
                // It is cut off just before its checks stand still, or is so when it goes on.
                let before = random.pick(&[0, 500, 1_500, 3_000, 5_000]);
                let span = random.pick(&[1_500, 4_000, 8_000, 20_000]);
                let still = match random.chance(500) {
                    true => Step::Hangs(director, span),
                    false => Step::Stops(director, span),
                };
                // One may have refused for long, which says nothing after the cut.
                let lead = random.pick(&[0, 20_000]);
                let refuses = (lead > 0).then_some((0, Step::Becomes(server, Server::Refuses)));
                let cut = way(director, false).map(|step| (lead, step));
                let end = lead + before + span + later;
                let open = way(director, true).map(|step| (end, step));
                let still = [(lead + before, still)];
                refuses.into_iter().chain(cut).chain(still).chain(open).collect()
            }
            22 => vec![(0, Step::Hangs(director, random.pick(&[500, 3_000, 15_000, 30_000])))],
            23 => vec![(0, Step::Breaks(director, random.pick(&[1_000, 2_000, 16_000])))],
            _ if sets => {
                vec![(0, Step::Set(director, random.pick(&[-3_600_000, -2_000, 2_000, 60_000])))]
            }
            _ => vec![(0, Step::Becomes(server, Server::Well))],
        }
    }
}

impl Shape {
    fn random(random: &mut Random) -> Self {
        let full = (1u8 << SERVERS) - 1;
        let members = random.pick(&[full, full, full >> 1, 1, 0b101]);
        let most = members.count_ones();
        let quorum = random.pick(&[1, 1, 2]).min(most);
        let can_waver = quorum == 2 && quorum < most;
        Shape {
            every: random.pick(&[200, 500, 1_000]),
            rise: random.pick(&[1, 2, 3]),
            fall: random.pick(&[1, 2, 3]),
            members,
            quorum,
            hysteresis: u32::from(can_waver && random.chance(500)),
            quiesces: random.chance(200),
            slow: random.chance(200),
            spare: random.chance(700),
            apart: random.chance(400),
        }
    }

    /// Whether a pool may be without its quorum while it is where it was before.
    pub fn wavers(&self) -> bool {
        self.hysteresis > 0
    }

    /// How often, and for how long.
    pub fn timing(&self) -> Timing {
        let count = |n| NonZeroU8::new(n).expect("not zero");
        let (every, rise, fall) =
            (Duration::from_millis(self.every), count(self.rise), count(self.fall));
        Timing { every, timeout: every, fast: every / 2, rise, fall }
    }

    /// The two pools, of the same servers or of other ones.
    pub fn pools(&self) -> Vec<PoolConfig> {
        let first = match self.apart {
            true => (0b0011, 0b1100),
            false => (self.members, self.members),
        };
        vec![self.pool("first", first.0), self.pool("second", first.1)]
    }

    fn pool(&self, name: &str, members: u8) -> PoolConfig {
        let members = (0..SERVERS).filter(|n| members >> n & 1 == 1);
        let member = |n: usize| Member {
            host: host(n),
            server: address(n),
            weight: 1,
            checks: vec![self.check(n)],
        };
        let spare = Spare { name: "sorry".into(), checks: Vec::new() };
        PoolConfig {
            name: name.into(),
            members: members.map(member).collect(),
            quorum: self.quorum,
            hysteresis: if self.apart { 0 } else { self.hysteresis },
            on_failure: if self.quiesces { OnFailure::Quiesce } else { OnFailure::Remove },
            guard: true,
            slow_start: Duration::from_millis(if self.slow { 5_000 } else { 0 }),
            spares: self.spare.then_some(spare).into_iter().collect(),
        }
    }

    fn check(&self, n: usize) -> Arc<CheckConfig> {
        let at = address(n);
        let target = Target { address: at.ip(), port: at.port() };
        let probe = Arc::new(Probe::Connect(None));
        Arc::new(CheckConfig { target, probe, timing: self.timing() })
    }
}

/// What a server is called.
pub fn host(n: usize) -> String {
    format!("web{n}")
}

/// Where it is.
pub fn address(n: usize) -> SocketAddr {
    let last = u8::try_from(n).expect("few") + 10;
    ([192, 0, 2, last], 80).into()
}

/// A ping of the other director (1), or of a third host (2).
pub fn witness(n: u8) -> Arc<CheckConfig> {
    let target = Target { address: [192, 0, 2, n].into(), port: 0 };
    let second = Duration::from_secs(1);
    let (rise, fall) = (NonZeroU8::MIN, NonZeroU8::MIN);
    let timing = Timing { every: second, timeout: second, fast: second / 5, rise, fall };
    Arc::new(CheckConfig { target, probe: Arc::new(Probe::Ping), timing })
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scenario { seed, shape, witnesses, ahead, steps } = self;
        writeln!(f, "seed {seed}, {shape:?}, witnesses {witnesses}, clocks ahead {ahead:?}")?;
        steps.iter().try_for_each(|(at, step)| writeln!(f, "{at:>7} {step:?}"))
    }
}
