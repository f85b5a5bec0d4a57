//! Servers that die, come back and falter, a driver that may be late, reloads, and the rules.
//!
//! All of it follows from a seed. After each input the machine is compared with the model, and in a
//! calm world, where nothing is late or full, with the clock alone.

use std::fmt;

use super::bug::Bug;
use super::model::{Model, Said};
use super::*;
use crate::check::outcome::Asked;
use crate::vrrp::simulation::random::Random;

/// A rule that is broken.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) rule: &'static str,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

type Ruled = Result<(), Violation>;

/// Breaks the rule unless it holds.
fn rule(holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> Ruled {
    if holds { Ok(()) } else { Err(Violation { rule, what: what() }) }
}

/// How a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Well,
    Silent,
    Refusing,
    Faltering,
}

const INPUTS: usize = 300;

pub(super) struct World {
    random: Random,
    bug: Option<Bug>,
    /// Nothing is late, full or unmade.
    calm: bool,
    delay: Duration,
    timings: Vec<Timing>,
    servers: Vec<(Mode, Moment)>,
    checker: Checker,
    model: Model,
    /// From what the machine was told to what was meant.
    meant: BTreeMap<Arc<CheckConfig>, Arc<CheckConfig>>,
    /// Since when each check is made as it is.
    touched: BTreeMap<Arc<CheckConfig>, Moment>,
    read: BTreeMap<Arc<CheckConfig>, Health>,
    answers: BTreeMap<Run, (Moment, Outcome)>,
    gone: Vec<Run>,
    mishap: Moment,
    wake: (Option<Moment>, Moment),
    now: Moment,
}

impl World {
    pub(super) fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut random = Random::new(seed);
        let calm = random.chance(400);
        let servers = usize::from(random.pick(&[1_u8, 2, 3, 5, 8, 20]));
        let at_once = if calm { 1000 } else { random.pick(&[1, 2, 3, 6, 1000]) };
        let delay = if calm { 0 } else { random.pick(&[0, 1, 5, 80]) };
        let start = Moment::after_start(random.between(ms(0), ms(10_000)));
        let timings = (0..3).map(|_| timing_of(&mut random)).collect();
        let told = bug.map_or(at_once, |bug| bug.at_once(at_once));
        World {
            bug,
            calm,
            delay: ms(delay),
            timings,
            servers: vec![(Mode::Well, start); servers],
            checker: Checker::new(Limits { at_once: told }, random.number()),
            model: Model { at_once, known: Vec::new(), made: 0, skipped: 0 },
            meant: BTreeMap::new(),
            touched: BTreeMap::new(),
            read: BTreeMap::new(),
            answers: BTreeMap::new(),
            gone: Vec::new(),
            mishap: start,
            wake: (None, start),
            now: start,
            random,
        }
    }

    /// Lets it happen.
    pub(super) fn run(&mut self) -> Result<u64, Violation> {
        self.reload()?;
        for _ in 0..INPUTS {
            self.step()?;
        }
        Ok(self.checker.tally().made)
    }

    fn step(&mut self) -> Ruled {
        let wanted = self.checker.poll_timeout();
        let model = self.model.wanted();
        rule(wanted == model, "wakes in time", || format!("{wanted:?} instead of {model:?}"))?;
        if self.wake.0 != wanted {
            let late = self.random.between(ms(0), self.delay) + self.bug_delay();
            self.wake = (wanted, wanted.map_or(self.now, |at| at.max(self.now) + late));
        }
        let wake = wanted.map(|_| self.wake.1);
        let answer = self.answers.iter().map(|(run, (when, _))| (*when, *run)).min();
        let next = [wake, answer.map(|(when, _)| when), Some(self.mishap)];
        let next = next.into_iter().flatten().min().expect("there is always a mishap to come");
        self.now = self.now.max(next);
        self.bounds()?;
        match answer {
            Some((when, run)) if when <= self.now => self.answer(run),
            _ if wake.is_some_and(|wake| wake <= self.now) => self.time(),
            _ => self.mishap(),
        }
    }

    fn bug_delay(&self) -> Duration {
        if self.bug == Some(Bug::WakesLate) { ms(40) } else { ms(0) }
    }

    fn answer(&mut self, run: Run) -> Ruled {
        let (_, outcome) = self.answers.remove(&run).expect("it was just found");
        self.outcome(run, outcome)
    }

    fn outcome(&mut self, run: Run, outcome: Outcome) -> Ruled {
        self.gone.push(run);
        let full = self.model.in_flight() >= self.model.at_once;
        let mut told = run;
        if self.bug == Some(Bug::TakesStale) {
            let flights = self.model.known.iter().filter_map(|known| known.flight);
            let same = flights.map(|flight| flight.run).find(|other| other.index == run.index);
            told = same.unwrap_or(run);
        }
        let heard = self.bug.map_or(Some(outcome.clone()), |bug| bug.outcome(outcome.clone()));
        if let Some(heard) = heard {
            self.checker.handle_outcome(told, heard, self.now);
        }
        let was_flying = self.model.known.iter().find(|k| k.flight.is_some_and(|f| f.run == run));
        let was_flying = was_flying.map(|known| Arc::clone(&known.check));
        let said = self.model.take(run, outcome, self.now);
        if let (Some(Bug::SaysAll), Some(check), []) = (self.bug, was_flying, &said.changed[..]) {
            let health = self.model.get(&check).expect("it flew").health.clone();
            return rule(false, "says what changed", || format!("{health:?} once more"));
        }
        self.compare(said, full)
    }

    fn time(&mut self) -> Ruled {
        if let Some(bug) = self.bug {
            bug.waiting(&mut self.checker, self.now);
        }
        self.checker.handle_timeout(self.now);
        let said = self.model.time(self.now);
        self.compare(said, true)
    }

    fn mishap(&mut self) -> Ruled {
        let longest = self.timings.iter().map(|timing| timing.every * 5).max();
        let pause = self.random.between(ms(0), longest.expect("three of them"));
        self.mishap = self.now + pause;
        match self.random.below(10) {
            0..6 => {
                let server = self.random.position(self.servers.len());
                let modes = [Mode::Well, Mode::Silent, Mode::Refusing, Mode::Faltering];
                self.servers[server] = (self.random.pick(&modes), self.now);
                Ok(())
            }
            6..8 => self.reload(),
            8 if !self.gone.is_empty() => {
                // Whoever was stopped answers all the same.
                let run = self.random.pick(&self.gone);
                self.outcome(run, good())
            }
            _ => self.time(),
        }
    }

    /// Some of the servers, each with some of the timings.
    fn reload(&mut self) -> Ruled {
        let mut checks = BTreeSet::new();
        for server in 0..self.servers.len() {
            for _ in 0..2 {
                let timing = self.random.pick(&self.timings);
                if self.random.chance(450) {
                    checks.insert(check(u16::try_from(server).expect("few"), timing));
                }
            }
        }
        self.configure(&checks)
    }

    fn configure(&mut self, checks: &BTreeSet<Arc<CheckConfig>>) -> Ruled {
        self.meant.clear();
        for check in checks {
            let timing = self.bug.map_or(check.timing, |bug| bug.timing(check.timing));
            let told = Arc::new(CheckConfig { timing, ..(**check).clone() });
            self.meant.insert(told, Arc::clone(check));
        }
        if self.meant.len() < checks.len() {
            // Two that the bug would make one.
            self.meant = checks.iter().map(|c| (Arc::clone(c), Arc::clone(c))).collect();
        }
        let told: BTreeSet<_> = self.meant.keys().cloned().collect();
        let old: BTreeSet<_> = self.checker.by_check.keys().cloned().collect();
        let first = match self.bug {
            Some(Bug::ForgetsAll) => Some(BTreeSet::new()),
            Some(Bug::ForgetsRetimed) => Some(&told & &old),
            _ => None,
        };
        first.inspect(|first| self.checker.configure(first, self.now));
        self.checker.configure(&told, self.now);
        let index = |check: &Arc<CheckConfig>| self.checker.by_check[check];
        let new: Vec<u32> = (&told - &old).iter().map(index).collect();
        if let Some(bug) = self.bug {
            bug.placed(&mut self.checker, &new, self.now);
        }
        self.spread(&new)?;
        let back: BTreeMap<_, _> =
            self.meant.iter().map(|(told, meant)| (Arc::clone(meant), told)).collect();
        let place = |check: &CheckConfig| {
            let index = self.checker.by_check[*back.get(check).expect("it was told")];
            let entry = self.checker.entries[index as usize].as_ref().expect("it is there");
            (entry.due, entry.beat.after(self.now))
        };
        let said = self.model.configure(checks, self.now, place);
        self.touched.retain(|check, _| checks.contains(check));
        for check in checks {
            self.touched.entry(Arc::clone(check)).or_insert(self.now);
        }
        self.read.retain(|check, _| checks.contains(check));
        self.compare(said, true)
    }

    /// What is new begins spread over the first round, and its beats over all the time.
    fn spread(&self, new: &[u32]) -> Ruled {
        let entries = new.iter().filter_map(|index| self.checker.entries[*index as usize].as_ref());
        // What only changed its timing may have kept its beat or its run.
        let placed = |entry: &&Entry| entry.flight.is_none() && entry.reckoned == self.now;
        let entries: Vec<_> = entries.filter(placed).collect();
        let most = entries.len() / 4 * 3 / 2 + 4;
        let (mut rounds, mut beats) = ([0; 4], [0; 4]);
        for entry in &entries {
            let every = entry.check.timing.every;
            let quarter = |moment: Moment, span: Duration| {
                usize::try_from(moment.since(self.now).as_nanos() * 4 / span.as_nanos())
            };
            let round = quarter(entry.due, every.min(ms(1000))).expect("small");
            rule(round < 4, "begins soon", || format!("{entry:?}"))?;
            rounds[round] += 1;
            beats[quarter(entry.beat.after(self.now), every).expect("small").min(3)] += 1;
        }
        let even = rounds.iter().chain(&beats).all(|n| *n <= most);
        rule(even, "begins spread", || format!("{rounds:?} {beats:?}"))
    }

    /// Takes what the machine says and holds it against the model.
    fn compare(&mut self, expected: Said, begins: bool) -> Ruled {
        let mut said = Said::default();
        while let Some(output) = self.checker.poll_output() {
            if self.bug.is_some_and(|bug| bug.swallows(&output, self.was(&output))) {
                continue;
            }
            match output {
                Output::Begin { run, check } => self.begin(run, &check)?,
                Output::Expire(run) => said.expire.extend([run]),
                Output::Abort(run) => {
                    self.answers.remove(&run);
                    self.gone.push(run);
                    said.abort.extend([run]);
                }
                Output::Changed(check, health) => {
                    let meant = self.meant.get(&check).cloned().unwrap_or(check);
                    let health = self.read(&meant, health);
                    said.changed.push((meant, health));
                }
            }
        }
        said.changed.sort_by(|a, b| a.0.cmp(&b.0));
        let same = said == expected;
        rule(same, "says what changed", || format!("{said:?} instead of {expected:?}"))?;
        if begins && self.model.in_flight() < self.model.at_once {
            let waits = self.model.waiting(self.now).next().map(|known| &known.check);
            rule(waits.is_none(), "begins what is due", || format!("{waits:?} waits"))?;
        }
        self.same_book()?;
        for run in said.expire {
            self.expire(run)?;
        }
        Ok(())
    }

    fn was(&self, output: &Output) -> Option<State> {
        let Output::Changed(check, _) = output else { return None };
        self.read.get(self.meant.get(check)?).map(|health| health.state)
    }

    fn read(&self, check: &CheckConfig, health: Health) -> Health {
        let last = self.read.get(check);
        self.bug.map_or(health.clone(), |bug| bug.health(health, last, self.now))
    }

    fn expire(&mut self, run: Run) -> Ruled {
        self.answers.remove(&run);
        // Of a question that silence answers well.
        let outcome = if self.random.chance(30) && !self.calm { good() } else { bad() };
        self.outcome(run, outcome)
    }

    fn begin(&mut self, run: Run, check: &Arc<CheckConfig>) -> Ruled {
        let meant = self.meant.get(check).cloned().unwrap_or_else(|| Arc::clone(check));
        let flights = self.model.known.iter().filter_map(|known| known.flight);
        let mut flights = flights.map(|flight| flight.run.index());
        let own = !flights.any(|index| index == run.index());
        rule(own, "each run has its name", || format!("{run:?}"))?;
        let full = self.model.in_flight() >= self.model.at_once;
        rule(!full, "no more at once", || format!("{meant:?} begins"))?;
        let waiting = self.model.waiting(self.now);
        let oldest = waiting.map(|known| known.due).min();
        let known = self.model.waiting(self.now).find(|known| known.check == meant);
        let due = known.map(|known| known.due);
        rule(due.is_some(), "begins when due", || format!("{meant:?} is not"))?;
        rule(due == oldest, "oldest first", || format!("{meant:?} is not the oldest"))?;
        self.starved(due)?;
        self.model.begin(run, &meant, self.now);
        let (when, outcome) = self.fate(&meant);
        self.answers.extend(when.map(|when| (run, (when, outcome))));
        if let Some(bug) = self.bug {
            bug.begun(&mut self.checker, run, self.now);
        }
        Ok(())
    }

    /// Nobody waits longer than it takes all others to run once, and those in flight to end.
    fn starved(&self, due: Option<Moment>) -> Ruled {
        let late = due.map(|due| self.now.since(due)).unwrap_or_default();
        let turns = u32::try_from(self.servers.len() * 2 / self.model.at_once + 2).expect("few");
        let slowest = self.timings.iter().map(|timing| timing.timeout).max().unwrap_or_default();
        // A reload aborts runs and so only makes room.
        let most = (slowest + self.delay) * turns + self.delay;
        rule(late <= most, "nobody starves", || format!("{late:?} late"))
    }

    /// When the run that begins now is answered, and how. Nothing: never.
    fn fate(&mut self, check: &CheckConfig) -> (Option<Moment>, Outcome) {
        let (mode, _) = self.server(check);
        let timeout = check.timing.timeout;
        let soon = self.now + self.random.between(ms(0), timeout / 2);
        if !self.calm && self.random.chance(80) {
            return (Some(soon), unmade());
        }
        match mode {
            Mode::Well => (Some(soon), self.advised()),
            Mode::Silent => (None, bad()),
            Mode::Refusing => (Some(soon), Outcome::Bad(Failure::answered("refused"))),
            Mode::Faltering => {
                let when = self.now + self.random.between(ms(0), timeout * 5 / 4);
                (Some(when), if self.random.chance(500) { good() } else { bad() })
            }
        }
    }

    /// How the server of a check is, and since when.
    fn server(&self, check: &CheckConfig) -> (Mode, Moment) {
        let target = |n: usize| super::check(u16::try_from(n).expect("few"), check.timing).target;
        let server = (0..self.servers.len()).find(|n| target(*n) == check.target);
        self.servers[server.expect("one of ours")]
    }

    fn advised(&mut self) -> Outcome {
        let weight = self.random.pick(&[None, None, None, Some(Asked::Percent(50))]);
        Outcome::Good(Advice { weight, ..Advice::default() })
    }

    /// Health and tally are the model's.
    fn same_book(&mut self) -> Ruled {
        for (told, meant) in self.meant.clone() {
            let health = self.checker.health(&told).cloned();
            let health = health.map(|health| self.read(&meant, health));
            let known = self.model.get(&meant).map(|known| known.health.clone());
            rule(health == known, "holds what is true", || {
                format!("{meant:?}: {health:?} instead of {known:?}")
            })?;
            self.read.extend(health.map(|health| (meant, health)));
        }
        let tally = self.checker.tally();
        let skipped = if self.bug == Some(Bug::SkipsUncounted) { 0 } else { tally.skipped };
        let late = tally.latest().unwrap_or_default() + ms(skipped);
        rule(!self.calm || late.is_zero(), "the beat is steady", || format!("{tally:?}"))?;
        let ours = (tally.made, skipped, tally.in_flight);
        let model = (self.model.made, self.model.skipped, self.model.in_flight());
        rule(ours == model, "counts", || format!("{ours:?} instead of {model:?}"))
    }

    /// In a calm world a dead server is down in time, and a living one up.
    fn bounds(&self) -> Ruled {
        for (check, touched) in self.touched.iter().filter(|_| self.calm) {
            let (mode, since) = self.server(check);
            let timing = &check.timing;
            let bound = |n: NonZeroU8| timing.every * u32::from(n.get()) + timing.timeout;
            let (wanted, bound) = match mode {
                Mode::Well => (State::Up, bound(timing.rise)),
                Mode::Silent | Mode::Refusing => (State::Down, bound(timing.fall)),
                Mode::Faltering => continue,
            };
            let state = self.read.get(check).map(|health| health.state);
            let in_time = self.now <= since.max(*touched) + bound;
            rule(in_time || state == Some(wanted), "is detected in time", || {
                format!("{check:?} is {state:?}, {mode:?} since {since}, now {}", self.now)
            })?;
        }
        Ok(())
    }
}

fn timing_of(random: &mut Random) -> Timing {
    let every = ms(random.pick(&[10, 50, 333, 1000, 2500, 10_000]));
    let part = |random: &mut Random| random.pick(&[every, every / 2, every / 7]).max(ms(1));
    let few = |random: &mut Random| count(random.pick(&[1, 1, 2, 3, 5]));
    Timing {
        every,
        timeout: part(random),
        fast: part(random),
        rise: few(random),
        fall: few(random),
    }
}
