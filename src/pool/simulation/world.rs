//! Lets a scenario happen: the network, the clock, and what comes next.
//!
//! One event after the other, in the order of their times; whoever is stopped gets what came when
//! it goes on.

mod connection;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Bug;
use super::director::{After, Director, Process, Wish};
use super::rules::Rules;
use super::scenario::{EVENTFUL, NAMES, SERVERS, Scenario, Server, Shape, Step, host};
use crate::check::config::CheckConfig;
use crate::check::machine::Run;
use crate::check::outcome::{Advice, Failure, Outcome};
use crate::clock::Moment;
use crate::pool::words::{Said, Whom, Word, Words};
use crate::vrrp::simulation::random::Random;

/// When all has to be at rest, and when it has to be so still.
const REST: [u64; 2] = [EVENTFUL + 45_000, EVENTFUL + 60_000];

/// Something that is to come.
#[derive(Debug)]
enum Event {
    Step(Step),
    Heal,
    /// Of a director, of which process and thread.
    Outcome(usize, [u64; 2], Run, Outcome),
    /// The thread of the checks goes on.
    GoesOn(usize, u64),
    Wake(usize, u64),
    Beat(usize, u64),
    Resume(usize),
    Tell(usize),
    /// Pools and words, on a connection.
    Message(usize, u64, Vec<u8>, Vec<u8>),
    Join(u64),
    Part(u64),
    Rest,
}

/// All of it.
pub struct World<'s> {
    pub scenario: &'s Scenario,
    pub now: Moment,
    pub shape: Shape,
    pub servers: [Server; SERVERS],
    /// Of each director, to each half of the servers.
    pub ways: [[bool; 2]; 2],
    pub link: bool,
    pub directors: [Director; 2],
    /// The connection between the directors, if there is one.
    pub connection: Option<(u64, [Option<u64>; 2])>,
    bug: Option<Bug>,
    is_told: bool,
    random: Random,
    queue: BTreeMap<(Moment, u64), Event>,
    count: u64,
    looks: u64,
    wakes: [Option<Moment>; 2],
    last: [Option<(Vec<u8>, Vec<u8>)>; 2],
    not_before: [Moment; 2],
}

impl<'s> World<'s> {
    pub fn new(scenario: &'s Scenario, bug: Option<Bug>, is_told: bool) -> Self {
        let director = |ahead| Director {
            process: None,
            file: Words::default(),
            table: BTreeMap::new(),
            ahead,
            stopped: None,
        };
        let mut world = World {
            scenario,
            now: at(1_000),
            shape: scenario.shape.clone(),
            servers: [Server::Well; SERVERS],
            ways: [[true; 2]; 2],
            link: true,
            directors: scenario.ahead.map(director),
            connection: None,
            bug,
            is_told,
            random: Random::new(!scenario.seed),
            queue: BTreeMap::new(),
            count: 0,
            looks: 0,
            wakes: [None; 2],
            last: [None, None],
            not_before: [Moment::ZERO; 2],
        };
        for (when, step) in &scenario.steps {
            world.push(at(*when), Event::Step(step.clone()));
        }
        world.push(at(EVENTFUL), Event::Heal);
        REST.into_iter().for_each(|rest| world.push(at(rest), Event::Rest));
        world
    }

    /// Lets it happen. `Err` is the rule that was broken.
    pub fn run(mut self) -> Result<(), String> {
        let mut rules = Rules::new(self.now);
        let mut rests = 0;
        self.happen(Step::Starts(0), &mut rules)?;
        self.happen(Step::Starts(1), &mut rules)?;
        while let Some(((when, _), event)) = self.queue.pop_first() {
            self.now = when;
            if matches!(event, Event::Rest) {
                rests += 1;
                rules.rest(&self)?;
                if rests == REST.len() {
                    return Ok(());
                }
                continue;
            }
            self.handle(event, &mut rules).map_err(|rule| format!("{}: {rule}", self.now))?;
        }
        Ok(())
    }

    fn push(&mut self, when: Moment, event: Event) {
        self.count += 1;
        self.queue.insert((when, self.count), event);
    }

    fn note(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            println!("{} {}", self.now, what());
        }
    }

    fn handle(&mut self, event: Event, rules: &mut Rules) -> Result<(), String> {
        let (now, whom) = (self.now, event.whom());
        if let Some(d) = whom
            && let Some(until) = self.directors[d].stopped
        {
            // What came is there when it goes on; time passes after that.
            let late = u64::from(matches!(event, Event::Wake(..) | Event::Beat(..)));
            self.push(until + Duration::from_nanos(1 + late), event);
            return Ok(());
        }
        match event {
            Event::Step(step) => self.happen(step, rules)?,
            Event::Heal => self.heal(rules)?,
            Event::Outcome(d, number, run, outcome) => {
                self.end(d, number, (run, outcome), rules)?;
            }
            Event::GoesOn(d, number) => self.go_on(d, number, rules)?,
            Event::Wake(d, number) => {
                self.wakes[d] = None;
                let Some(process) = self.process(d, number) else { return Ok(()) };
                if process.hangs.is_none() {
                    process.checker.handle_timeout(now);
                }
                self.turn(d, false, rules)?;
            }
            Event::Beat(d, number) => {
                let wall = self.directors[d].wall(now);
                let Some(process) = self.process(d, number) else { return Ok(()) };
                process.beat(wall, now);
                self.push(now + Duration::from_secs(2), Event::Beat(d, number));
                self.turn(d, false, rules)?;
                rules.look(self, d)?;
                self.tell(d);
            }
            Event::Resume(d) => self.resume(d, rules)?,
            Event::Tell(d) => self.tell(d),
            Event::Message(d, connection, pools, words) => {
                if self.connection.is_some_and(|(id, _)| id == connection) && self.link {
                    self.hear(d, &pools, &words, rules)?;
                }
            }
            Event::Join(look) if look == self.looks => {
                self.connection = Some((look, self.numbers()));
                self.note(|| "they are connected".into());
                rules.connected(now);
                for d in 0..2 {
                    self.last[d] = None;
                    self.tell(d);
                }
            }
            Event::Part(look) if look == self.looks => self.part(rules)?,
            Event::Join(_) | Event::Part(_) | Event::Rest => {}
        }
        Ok(())
    }

    /// A check has ended.
    fn end(
        &mut self,
        d: usize,
        number: [u64; 2],
        (run, outcome): (Run, Outcome),
        rules: &mut Rules,
    ) -> Result<(), String> {
        let now = self.now;
        let Some(process) = self.process(d, number[0]) else { return Ok(()) };
        if let Some((until, _)) = process.hangs {
            self.push(until, Event::Outcome(d, number, run, outcome));
            return Ok(());
        }
        if process.thread == number[1] {
            process.checker.handle_outcome(run, outcome, now);
        }
        self.turn(d, false, rules)
    }

    /// The thread of a director's checks goes on, if it is time.
    fn go_on(&mut self, d: usize, number: u64, rules: &mut Rules) -> Result<(), String> {
        self.count += 1;
        let (thread, now) = (self.count, self.now);
        let Some(process) = self.process(d, number) else { return Ok(()) };
        if process.hangs.is_none_or(|(until, _)| until > now) {
            return Ok(());
        }
        process.goes_on(thread, now);
        rules.resumed(d, now);
        self.turn(d, false, rules)
    }

    /// A director that was stopped goes on, if it is time.
    fn resume(&mut self, d: usize, rules: &mut Rules) -> Result<(), String> {
        let now = self.now;
        if self.directors[d].stopped.is_none_or(|until| until > now) {
            return Ok(());
        }
        self.directors[d].stopped = None;
        self.note(|| format!("{} goes on", NAMES[d]));
        rules.resumed(d, now);
        if let Some(process) = &mut self.directors[d].process {
            let (soon, number) = (process.resume(now), process.number);
            self.push(soon, Event::GoesOn(d, number));
        }
        self.look();
        self.read(d, rules)
    }

    fn process(&mut self, d: usize, number: u64) -> Option<&mut Process> {
        self.directors[d].process.as_mut().filter(|process| process.number == number)
    }

    fn happen(&mut self, step: Step, rules: &mut Rules) -> Result<(), String> {
        self.note(|| format!("{step:?}"));
        let now = self.now;
        match step {
            Step::Becomes(n, how) => self.servers[n] = how,
            Step::All(how) => self.servers = [how; SERVERS],
            Step::Way(d, half, open) => self.ways[d][half] = open,
            Step::Hangs(d, span) => self.hang(d, span, After::of(span)),
            Step::Breaks(d, span) => self.hang(d, span, After::Another),
            Step::Link(up) => {
                self.link = up;
                self.last = [None, None];
                self.look();
            }
            Step::Says(d, n, of_all, word, left) => self.say(d, n, (of_all, word, left), rules)?,
            Step::Dies(d) => {
                self.directors[d].process = None;
                self.directors[d].stopped = None;
                self.look();
            }
            Step::Starts(d) if self.directors[d].process.is_none() => {
                self.count += 1;
                let who = (self.count, d, self.bug);
                let own = &self.directors[d];
                let process = Process::new(who, &self.shape, self.scenario.witnesses, own, now);
                self.directors[d].process = Some(process);
                rules.begun(d, now);
                self.wakes[d] = None;
                self.push(now, Event::Beat(d, who.0));
                self.look();
                // Even before anything is worked out.
                self.fill_table(d, rules)?;
                self.turn(d, true, rules)?;
            }
            Step::Stops(d, span) if self.directors[d].process.is_some() => {
                let until = now + Duration::from_millis(span);
                self.directors[d].stopped = Some(until);
                self.push(until, Event::Resume(d));
                self.look();
            }
            Step::Starts(_) | Step::Stops(..) => {}
            Step::Reload(shape) => {
                self.shape = shape;
                for d in 0..2 {
                    rules.begun(d, now);
                    let director = &mut self.directors[d];
                    if let Some(process) = &mut director.process {
                        process.configure(&self.shape, now);
                        if director.stopped.is_none() {
                            self.turn(d, true, rules)?;
                        }
                    }
                }
            }
            Step::Set(d, by) => {
                self.directors[d].ahead += by;
                rules.was_set(d);
            }
        }
        rules.changed(self);
        Ok(())
    }

    /// The thread of a director's checks stands still.
    fn hang(&mut self, d: usize, span: u64, after: After) {
        let until = self.now + Duration::from_millis(span);
        if let Some(process) = &mut self.directors[d].process {
            process.hang(until, after);
            let number = process.number;
            self.push(until, Event::GoesOn(d, number));
        }
    }

    fn heal(&mut self, rules: &mut Rules) -> Result<(), String> {
        for d in 0..2 {
            if let Some(until) = &mut self.directors[d].stopped {
                *until = self.now;
                self.handle(Event::Resume(d), rules)?;
            }
            self.happen(Step::Way(d, 0, true), rules)?;
            self.happen(Step::Way(d, 1, true), rules)?;
            self.happen(Step::Starts(d), rules)?;
            let hung = self.directors[d].process.as_mut().filter(|process| process.hangs.is_some());
            if let Some(process) = hung {
                process.hangs = process.hangs.map(|(_, after)| (self.now, after));
                let number = process.number;
                self.push(self.now, Event::GoesOn(d, number));
            }
        }
        self.happen(Step::All(Server::Well), rules)?;
        self.happen(Step::Link(true), rules)
    }

    fn say(
        &mut self,
        d: usize,
        n: usize,
        (of_all, word, left): (bool, Word, Option<u64>),
        rules: &mut Rules,
    ) -> Result<(), String> {
        let wall = self.directors[d].wall(self.now);
        let whom = Whom { host: host(n), pool: (!of_all).then(|| "first".into()) };
        let until = left.map(|left| wall + left);
        let said = Said { word, at: wall, by: NAMES[d].into(), until };
        let file = &mut self.directors[d].file;
        if self.bug == Some(Bug::SaidByTheClock) {
            let mut alone = Words::default();
            alone.say(whom, said);
            file.merge(&alone);
        } else {
            file.say(whom, said);
        }
        rules.said(d, &host(n), word, file)?;
        if self.directors[d].stopped.is_none() {
            self.read(d, rules)?;
        }
        Ok(())
    }

    /// The file may be another.
    fn read(&mut self, d: usize, rules: &mut Rules) -> Result<(), String> {
        let director = &mut self.directors[d];
        if let Some(process) = &mut director.process {
            let known = std::mem::replace(&mut process.words, director.file.clone());
            if self.bug != Some(Bug::WordsNotWritten) {
                process.words.merge(&known);
            }
            self.turn(d, true, rules)?;
        }
        Ok(())
    }

    /// A process does what is to be done now.
    fn turn(&mut self, d: usize, all: bool, rules: &mut Rules) -> Result<(), String> {
        let (now, director) = (self.now, &mut self.directors[d]);
        let ahead = director.ahead;
        let Some(process) = &mut director.process else { return Ok(()) };
        let number = [process.number, process.thread];
        let (wishes, is_news) = process.turn((&mut director.file, ahead), now, all);
        for wish in wishes {
            let Wish::Ask(run, check) = wish;
            if let Some((span, outcome)) = self.answer(d, &check) {
                self.push(now + span, Event::Outcome(d, number, run, outcome));
            }
        }
        if is_news {
            self.fill_table(d, rules)?;
            rules.look(self, d)?;
            self.tell(d);
        }
        let process = self.directors[d].process.as_ref().expect("it was there");
        if let Some(due) = process.due(ahead, now) {
            let due = due.max(now + Duration::from_nanos(1));
            if self.wakes[d].is_none_or(|wake| wake <= now || due < wake) {
                self.wakes[d] = Some(due);
                self.push(due, Event::Wake(d, number[0]));
            }
        }
        Ok(())
    }

    /// The kernel's table becomes what the shares say.
    fn fill_table(&mut self, d: usize, rules: &mut Rules) -> Result<(), String> {
        let director = &self.directors[d];
        let Some(process) = &director.process else { return Ok(()) };
        let mut table = BTreeMap::new();
        for pool in &process.pools {
            let shares = &pool.shares().members;
            let inside = shares.iter().filter_map(|(at, share)| Some((*at, share.weight?)));
            table.insert(pool.config().name.clone(), inside.collect());
        }
        if self.directors[d].table != table {
            self.note(|| format!("{}: {table:?}", NAMES[d]));
        }
        rules.moved(self, d, &table)?;
        self.directors[d].table = table;
        Ok(())
    }

    /// Whether a director's way to a server is open.
    pub fn has_way(&self, d: usize, n: usize) -> bool {
        self.ways[d][n / 2]
    }

    /// How a check ends, and when; not, if nothing comes back.
    fn answer(&mut self, d: usize, check: &Arc<CheckConfig>) -> Option<(Duration, Outcome)> {
        let IpAddr::V4(to) = check.target.address else { return None };
        let span = self.random.between(Duration::from_millis(1), Duration::from_millis(10));
        let good = Some((span, Outcome::Good(Advice::default())));
        match to.octets()[3] {
            1 => good.filter(|_| self.link),
            2 => good.filter(|_| self.ways[d].contains(&true)),
            n => match self.servers[usize::from(n) - 10] {
                _ if !self.has_way(d, usize::from(n) - 10) => None,
                Server::Well => good,
                Server::Refuses => {
                    Some((span, Outcome::Bad(Failure::answered("connection refused"))))
                }
                Server::Silent => None,
            },
        }
    }
}

impl Event {
    /// Whose process it is for.
    fn whom(&self) -> Option<usize> {
        match self {
            Event::Outcome(d, ..) | Event::Wake(d, _) | Event::Beat(d, _) | Event::Tell(d) => {
                Some(*d)
            }
            Event::Message(d, ..) | Event::GoesOn(d, _) => Some(*d),
            Event::Step(_)
            | Event::Heal
            | Event::Resume(_)
            | Event::Join(_)
            | Event::Part(_)
            | Event::Rest => None,
        }
    }
}

fn at(millis: u64) -> Moment {
    Moment::after_start(Duration::from_millis(millis))
}
