//! Anything that may happen to a pool: what it is told, one time after the other.

use proptest::prelude::*;

use super::*;

/// A witness is asked so seldom that pools of quick checks have to wait for it.
pub(super) const WITHIN: Duration = Duration::from_millis(2500);
/// Servers that there may be.
const SERVERS: u8 = 4;
const SPARES: u8 = 2;
/// A check that several servers share.
const SHARED: u8 = 30;

/// All that a pool is told at one time, and what it is then.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) now: u64,
    pub(super) wall: u64,
    pub(super) config: PoolConfig,
    pub(super) health: BTreeMap<Arc<CheckConfig>, Health>,
    /// Whatever the operator said, the last of it last.
    pub(super) said: Vec<(Whom, Word, Option<u64>)>,
    pub(super) peers: Vec<Summary>,
    /// When the peers said so.
    pub(super) heard: u64,
    pub(super) witness: Option<bool>,
    /// Since when the checks are made, and since when they stand still, if they do.
    pub(super) since: u64,
    pub(super) still: Option<u64>,
    /// When the last break began.
    pub(super) before: u64,
}

/// Short, for a history is many of them.
impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Told { now, wall, config: c, said, peers, heard, witness, .. } = self;
        let made = (self.since, self.still);
        write!(f, "{now} {wall} quorum {} {} {:?}", c.quorum, c.hysteresis, c.on_failure)?;
        write!(f, " guard {} slow {:?} spares {}", c.guard, c.slow_start, c.spares.len())?;
        for member in &c.members {
            write!(f, "\n  {} {}:", member.host, member.weight)?;
            for check in &member.checks {
                let health = self.health.get(check);
                let Some(health) = health else {
                    write!(f, " unknown")?;
                    continue;
                };
                let failing = health.failing.as_ref().map(|f| (f.since, f.failure.evidence));
                write!(f, " {:?} {} {failing:?}", health.state, health.since)?;
                write!(f, " {:?} {:?};", health.advice.weight, health.advice.wish)?;
            }
        }
        write!(f, "\n  said {said:?} peers {peers:?} at {heard} witness {witness:?}")?;
        write!(f, " made {made:?}")
    }
}

/// A pool's life.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) kept: BTreeSet<SocketAddr>,
    pub(super) told: Vec<Told>,
}

#[derive(Clone, Debug)]
enum Event {
    Passes(u64),
    /// One of the checks says something else.
    Turns(u8, Turn),
    /// The way to the servers is cut, and most checks notice.
    Cut(u64),
    /// All that was silent is well.
    Heals,
    Says(u8, Word, bool, Option<u64>),
    Peers(Vec<Summary>),
    /// They say the same again.
    Again,
    Witness(Option<bool>),
    /// The checks stand still.
    Stops,
    /// They are made again.
    GoesOn,
    Becomes(Shape),
}

#[derive(Clone, Debug)]
enum Turn {
    Up(u8),
    Down {
        answered: bool,
        ago: u64,
    },
    /// Up, and the last answer was bad.
    Shaken {
        answered: bool,
    },
    /// Down, and the last answer was good.
    Mending,
    Unknown,
}

/// What a configuration may be.
#[derive(Clone, Debug)]
struct Shape {
    members: u8,
    weights: [u32; SERVERS as usize],
    checks: [u8; SERVERS as usize],
    quorum: (u32, u32),
    quiesces: bool,
    guard: bool,
    slow: u64,
    spares: u8,
}

fn shape() -> impl Strategy<Value = Shape> {
    let members = prop_oneof![6 => Just(15u8), 2 => Just(7u8), 2 => Just(3u8), 3 => 0u8..16];
    let weights = prop::array::uniform4(prop_oneof![4 => Just(1u32), 2 => 0..8u32]);
    let checks = prop::array::uniform4(prop_oneof![4 => Just(1u8), 2 => 0u8..8]);
    let quorum = prop_oneof![3 => Just((1, 0)), 2 => (0..6u32, 0..3u32)];
    let slow = prop::sample::select(vec![0, 0, 3000, 20_000]);
    let flags = (prop::bool::weighted(0.3), prop::bool::weighted(0.8));
    (members, weights, checks, quorum, flags, slow, 0..=SPARES).prop_map(
        |(members, weights, checks, quorum, (quiesces, guard), slow, spares)| Shape {
            members,
            weights,
            checks,
            quorum,
            quiesces,
            guard,
            slow,
            spares,
        },
    )
}

impl Shape {
    fn config(&self) -> PoolConfig {
        let bit = |bits: u8, n: u8| bits >> n & 1 == 1;
        let member = |n: u8| {
            let all = [tcp(n + 1), ping(n + 1), tcp(SHARED)];
            let has = |i: &u8| bit(self.checks[usize::from(n)], *i);
            let checks = (0..3).filter(has).map(|i| all[usize::from(i)].clone()).collect();
            Member { checks, ..member(n + 1, self.weights[usize::from(n)]) }
        };
        PoolConfig {
            members: (0..SERVERS).filter(|n| bit(self.members, *n)).map(member).collect(),
            quorum: self.quorum.0,
            hysteresis: self.quorum.1,
            on_failure: if self.quiesces { OnFailure::Quiesce } else { OnFailure::Remove },
            guard: self.guard,
            slow_start: ms(self.slow),
            spares: (0..self.spares).map(|n| spare(20 + n)).collect(),
            ..servers(0)
        }
    }
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        5 => Just(Turn::Up(0)),
        3 => (0u8..9).prop_map(Turn::Up),
        4 => (any::<bool>(), 0u64..3000).prop_map(|(answered, ago)| Turn::Down { answered, ago }),
        1 => any::<bool>().prop_map(|answered| Turn::Shaken { answered }),
        1 => Just(Turn::Mending),
        1 => Just(Turn::Unknown),
    ]
}

fn summary() -> impl Strategy<Value = Summary> {
    (0..2u32, 0..3u32, 0..2u32, prop::bool::weighted(0.3))
        .prop_map(|(up, down, unknown, held)| Summary { up, down, unknown, held })
}

fn event() -> impl Strategy<Value = Event> {
    let word = prop::sample::select(vec![Word::Ready, Word::Drain, Word::Maintenance]);
    let until = prop::option::of(0u64..8000);
    prop_oneof![
        4 => (0u64..1500).prop_map(Event::Passes),
        2 => (0u64..15_000).prop_map(Event::Passes),
        12 => (0u8..16, turn()).prop_map(|(check, turn)| Event::Turns(check, turn)),
        4 => any::<u64>().prop_map(Event::Cut),
        2 => Just(Event::Heals),
        3 => (0..SERVERS, word, any::<bool>(), until)
            .prop_map(|(n, word, all, until)| Event::Says(n, word, all, until)),
        2 => prop::collection::vec(summary(), 0..3).prop_map(Event::Peers),
        2 => Just(Event::Again),
        1 => prop::option::of(any::<bool>()).prop_map(Event::Witness),
        1 => Just(Event::Stops),
        2 => Just(Event::GoesOn),
        1 => shape().prop_map(Event::Becomes),
    ]
}

/// A pool's life of at most so many events.
pub(super) fn history(most: usize) -> impl Strategy<Value = History> {
    let kept = prop_oneof![3 => Just(0u8), 2 => any::<u8>()];
    let starts_up = prop::bool::weighted(0.6);
    (shape(), kept, starts_up, prop::collection::vec(event(), 1..most)).prop_map(
        |(shape, kept, starts_up, events)| {
            let kept = (0..=SERVERS).filter(|n| kept >> n & 1 == 1).map(|n| address(n + 1));
            let mut told = vec![Told {
                now: 50_000,
                wall: 1_000_000,
                config: shape.config(),
                health: BTreeMap::new(),
                said: Vec::new(),
                peers: Vec::new(),
                heard: 0,
                witness: None,
                since: 0,
                still: None,
                before: 0,
            }];
            let before = if starts_up { Event::Heals } else { Event::Passes(0) };
            for event in [before, Event::Passes(5000)].into_iter().chain(events) {
                let mut next = told.last().expect("the first").clone();
                next.happen(&event);
                told.push(next);
            }
            History { kept: kept.collect(), told }
        },
    )
}

/// Check number `n` of all that there may be.
fn check(n: u8) -> Arc<CheckConfig> {
    match n {
        0..4 => tcp(n + 1),
        4..8 => ping(n - 3),
        8..12 => tcp(n - 7),
        12 | 13 => tcp(20 + n - 12),
        _ => tcp(SHARED),
    }
}

impl Told {
    fn happen(&mut self, event: &Event) {
        match event {
            Event::Passes(span) => {
                self.now += span;
                self.wall += span;
            }
            Event::Turns(n, turn) => self.turn(check(*n), turn),
            Event::Cut(seed) => {
                for n in 0..16u8 {
                    let ago = (seed >> (n * 4) & 15) * 100;
                    let is_spared = n >= 12 || ago == 1500;
                    if !is_spared {
                        self.turn(check(n), &Turn::Down { answered: false, ago });
                    }
                }
            }
            Event::Heals => (0..16).for_each(|n| self.turn(check(n), &Turn::Up(0))),
            Event::Says(n, word, of_all, until) => {
                let pool = (!of_all).then(|| self.config.name.clone());
                let whom = Whom { host: format!("web{}", n + 1), pool };
                let until = until.filter(|_| *word == Word::Drain).map(|span| self.wall + span);
                self.said.push((whom, *word, until));
            }
            Event::Peers(peers) => (self.peers, self.heard) = (peers.clone(), self.now),
            Event::Again => self.heard = self.now,
            Event::Witness(witness) => self.witness = *witness,
            Event::Stops => drop(self.still.get_or_insert(self.now)),
            Event::GoesOn => {
                if let Some(still) = self.still.take() {
                    (self.before, self.since) = (still, self.now);
                }
            }
            Event::Becomes(shape) => self.config = shape.config(),
        }
    }

    fn turn(&mut self, check: Arc<CheckConfig>, turn: &Turn) {
        let failure = |answered: bool| match answered {
            true => Failure::answered("connection refused"),
            false => Failure::silent("no answer"),
        };
        let failing =
            |answered, since| Some(Failing { since: at(since), failure: failure(answered) });
        let before = self.health.get(&check);
        let (state, failing) = match turn {
            Turn::Up(_) => (State::Up, None),
            // What fails goes on failing since it first did.
            Turn::Down { answered, ago } => {
                let since = before.and_then(|health| health.failing.as_ref());
                let since = since.map_or(at(self.now - ago), |failing| failing.since);
                (State::Down, Some(Failing { since, failure: failure(*answered) }))
            }
            Turn::Shaken { answered } => (State::Up, failing(*answered, self.now)),
            Turn::Mending => (State::Down, None),
            Turn::Unknown => {
                self.health.remove(&check);
                return;
            }
        };
        let since = before.filter(|health| health.state == state).map(|health| health.since);
        let since = since.unwrap_or(at(self.now));
        let advice = match turn {
            Turn::Up(n) => advice(*n),
            Turn::Shaken { .. } => before.map(|health| health.advice.clone()).unwrap_or_default(),
            Turn::Down { .. } | Turn::Mending | Turn::Unknown => Advice::default(),
        };
        self.health.insert(check, Health { state, since, advice, failing });
    }

    pub(super) fn peers(&self) -> Vec<Peer> {
        self.peers.iter().map(|sees| Peer { sees: *sees, at: at(self.heard) }).collect()
    }

    /// In which time checks were made, when it is that moment.
    pub(super) fn made(&self, now: Moment) -> Made {
        let until = self.still.map_or(now, at);
        Made { before: at(self.before), since: at(self.since), until }
    }

    pub(super) fn words(&self) -> Words {
        let mut words = Words::default();
        for (whom, word, until) in &self.said {
            let said = Said { word: *word, at: 0, by: "lb1".into(), until: *until };
            words.say(whom.clone(), said);
        }
        words.expire(|_| self.wall);
        words
    }
}

fn advice(n: u8) -> Advice {
    let weight = match n {
        1 => Some(Asked::Percent(0)),
        2 => Some(Asked::Percent(3)),
        3 => Some(Asked::Percent(50)),
        4 => Some(Asked::Weight(0)),
        5 => Some(Asked::Weight(7)),
        _ => None,
    };
    let wish = match n {
        6 => Some(Wish::Drain),
        7 => Some(Wish::Maintenance),
        _ => None,
    };
    Advice { weight, wish, note: (n == 8).then(|| "its certificate ends".to_owned()) }
}
