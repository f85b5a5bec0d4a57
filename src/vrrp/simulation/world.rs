//! One run: the clock, what is due on it, and what each event does.
//!
//! Nothing happens between two entries of the queue and the hosts' own timers, so the clock jumps
//! from one to the next. Entries of the same moment come in the order in which they were made.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::time::Duration;

use super::bug::Bug;
use super::host::{Halt, Host, Input};
use super::judge::Judge;
use super::links::{LinkStep, Links};
use super::network::Network;
use super::random::Random;
use super::scenario::{Event, HostId, RouterId, Scenario};
use super::verdict::{Timeline, Violation};
use crate::clock::Moment;
use crate::vrrp::config::Priority;
use crate::vrrp::router::{PeerNews, Start, State};

/// No process is woken later than this.
pub(super) const LATEST: Duration = Duration::from_micros(80);
/// Timers of one host that may run out at one moment: every router's, a few times over.
const MOST_TURNS: u32 = 100;

/// A run.
pub struct World<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) bug: Option<Bug>,
    pub(super) now: Moment,
    pub(super) random: Random,
    pub(super) hosts: Vec<Host>,
    pub(super) network: Network,
    pub(super) links: Links,
    pub(super) judge: Judge,
    pub(super) timeline: Timeline,
    queue: BinaryHeap<Reverse<Due>>,
    /// When each host has something to do: asked again only after it has done something.
    wakes: Vec<Option<Moment>>,
    sequence: u64,
}

/// Something that is due.
#[derive(Clone, Debug)]
pub enum Happening {
    /// The scenario's event of that number.
    Event(usize),
    /// Something arrives at a host.
    Arrival(HostId, Input),
    /// A connection between directors has something to do.
    Link(LinkStep),
    /// A host that stood still goes on.
    Resume(HostId),
    /// A process comes back from a planned restart.
    Return(HostId, Vec<State>),
}

struct Due {
    at: Moment,
    sequence: u64,
    /// Behind a pointer, for a heap moves its entries about.
    what: Box<Happening>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

impl<'a> World<'a> {
    /// The world before anything has happened.
    pub fn new(scenario: &'a Scenario, bug: Option<Bug>, timeline: Timeline) -> Self {
        let mut random = Random::new(scenario.seed ^ 0x5eed_0f57_0e3a_0117);
        let most = Duration::from_secs(1_000_000);
        let mut host = |plan| Host::new(plan, random.between(Duration::ZERO, most));
        let hosts: Vec<Host> = scenario.hosts.iter().map(&mut host).collect();
        let mut world = World {
            scenario,
            bug,
            now: Moment::ZERO,
            random,
            network: Network::new(hosts.len(), scenario.weather),
            links: Links::new(hosts.len()),
            judge: Judge::new(scenario),
            wakes: vec![None; hosts.len()],
            hosts,
            timeline,
            queue: BinaryHeap::new(),
            sequence: 0,
        };
        for (number, (at, _)) in scenario.events.iter().enumerate() {
            world.later(Moment::ZERO + *at, Happening::Event(number));
        }
        world
    }

    /// Lets it all happen.
    pub fn run(&mut self) -> Result<(), Violation> {
        let end = Moment::ZERO + self.scenario.length;
        let (mut turns, mut last) = (0, Moment::ZERO);
        loop {
            let queued = self.queue.peek().map(|Reverse(due)| due.at);
            let wakes = self.wakes.iter().enumerate();
            let woken = wakes.filter_map(|(id, at)| Some(((*at)?, id))).min();
            let settles = self.judge.settles();
            let moments = [queued, woken.map(|(at, _)| at), settles];
            let Some(next) = moments.into_iter().flatten().min() else { break };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            turns = if self.now == last { turns + 1 } else { 0 };
            last = self.now;
            match (queued, woken) {
                (Some(at), _) if at <= next => self.happen(),
                (_, Some((at, host))) if at <= next => {
                    if turns > MOST_TURNS {
                        let what = format!("host {host} wakes at {} again and again", self.now);
                        return Err(self.violation("a_host_rests", what));
                    }
                    self.turn(host);
                    self.wakes[host] = self.hosts[host].wakes();
                }
                _ => self.settle(),
            }
            if let Some(violation) = self.judge.take() {
                return Err(violation);
            }
        }
        Ok(())
    }

    /// Puts something into the queue.
    pub(super) fn later(&mut self, at: Moment, what: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse(Due { at, sequence: self.sequence, what: Box::new(what) }));
    }

    /// Writes a line into the timeline, if there is one.
    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        self.timeline.note(self.now, line);
    }

    /// Something comes to a host's process, which looks at it at once if it can.
    pub(super) fn give(&mut self, host: HostId, input: Input) {
        self.hosts[host].receive(input);
        self.turn(host);
    }

    fn happen(&mut self) {
        let Some(Reverse(due)) = self.queue.pop() else { return };
        let concerns = match *due.what {
            Happening::Arrival(host, _) => host..host + 1,
            _ => 0..self.hosts.len(),
        };
        match *due.what {
            Happening::Event(number) => {
                let scenario = self.scenario;
                self.befall(&scenario.events[number].1);
                self.look_at_links();
            }
            Happening::Arrival(host, input) => self.give(host, input),
            Happening::Link(step) => self.link_step(step),
            Happening::Resume(host) => self.resume(host),
            Happening::Return(host, states) => self.come_back(host, &states),
        }
        if concerns.len() > 1 {
            // Hosts and cables may be other than before.
            self.no_vip_is_on_two_hosts_longer_than_its_lease();
            self.no_vip_is_on_two_connected_hosts();
        }
        for host in concerns {
            self.wakes[host] = self.hosts[host].wakes();
        }
    }

    fn befall(&mut self, event: &Event) {
        self.note(|| format!("EVENT {event:?}"));
        self.disturbed(event);
        match event {
            Event::Start(host) => self.start(*host),
            Event::Kill(host) if self.hosts[*host].halt != Some(Halt::Machine) => {
                self.end_process(*host);
            }
            Event::Kill(_) => {}
            Event::PowerOff(host) => {
                self.end_process(*host);
                self.hosts[*host].kernel.clear();
                self.hosts[*host].powered = false;
            }
            Event::Stall(host, span) => self.stall(*host, Halt::Process, *span),
            Event::Freeze(host, span) => self.stall(*host, Halt::Machine, *span),
            Event::Restart(host, away) => self.restart(*host, *away),
            Event::Release(host) => {
                if self.hosts[*host].is_awake() {
                    self.hosts[*host].released = true;
                    let now = self.hosts[*host].process_clock(self.now);
                    self.verb(*host, |speaker| speaker.handle_release(now));
                }
            }
            Event::Fault(host, router, fails) => {
                let faults = &mut self.hosts[*host].conditions[*router].faults;
                match fails {
                    true => faults.insert("check web".to_owned()),
                    false => faults.remove("check web"),
                };
                self.give(*host, Input::Condition { router: *router });
            }
            Event::Unplug(host, plugged) => self.plug(*host, *plugged),
            Event::Weigh(host, router, adjust) => self.weigh(*host, *router, *adjust),
            Event::Cut(from, to) => self.network.cut(*from, *to),
            Event::Filter(from, to) => self.network.filter(*from, *to),
            Event::Partition(marked) => self.network.part(marked),
            Event::Heal => self.network.heal(),
            Event::Weather(weather) => self.network.set_weather(*weather),
            Event::Junk(junk, router, count, apart) => {
                for i in 0..*count {
                    let at = self.now + *apart * u32::from(i);
                    self.throw_junk(*junk, *router, at);
                }
            }
            Event::Stranger(router, priority, count, apart) => {
                for i in 0..*count {
                    self.pass_by(*router, *priority, self.now + *apart * u32::from(i));
                }
            }
            Event::Reload(host, router, priority) => self.reload(*host, *router, *priority),
            Event::LoseVips(host, router) => self.give(*host, Input::LostVip { router: *router }),
        }
    }

    fn start(&mut self, host: HostId) {
        if self.hosts[host].process.is_some() {
            return;
        }
        let starts = vec![Start::Fresh; self.hosts[host].routers.len()];
        self.begin(host, &starts);
    }

    fn begin(&mut self, host: HostId, starts: &[Start]) {
        self.hosts[host].released = false;
        let late = self.random.between(Duration::ZERO, LATEST);
        self.hosts[host].late = late;
        self.hosts[host].start(starts, self.bug, self.now);
        let resumed: Vec<bool> = starts.iter().map(|start| *start == Start::Resume).collect();
        self.began(host, &resumed);
        self.turn(host);
        self.look_at_links();
    }

    /// Ends the process in whatever way; the kernel keeps what it has.
    pub(super) fn end_process(&mut self, host: HostId) {
        self.hosts[host].end_process();
        self.ended(host);
        self.look_at_links();
    }

    fn stall(&mut self, host: HostId, halt: Halt, span: Duration) {
        if self.hosts[host].is_awake() {
            (self.hosts[host].halt, self.hosts[host].halted) = (Some(halt), self.now);
            self.later(self.now + span, Happening::Resume(host));
        }
    }

    fn resume(&mut self, host: HostId) {
        let Some(halt) = self.hosts[host].halt else { return };
        let span = self.now.since(self.hosts[host].halted);
        self.note(|| format!("EVENT host {host} goes on"));
        match halt {
            Halt::Machine => self.hosts[host].stood_still(span),
            Halt::Process if self.bug == Some(Bug::ShoutsAfterStall) => {
                self.hosts[host].shift -= i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
            }
            Halt::Process => {}
        }
        self.hosts[host].halt = None;
        self.resumed(host, halt, span);
        self.turn(host);
    }

    fn restart(&mut self, host: HostId, away: Duration) {
        if !self.hosts[host].is_awake() || self.hosts[host].released {
            return;
        }
        let now = self.hosts[host].process_clock(self.now);
        self.verb(host, |speaker| speaker.handle_restart(now));
        let routers = 0..self.hosts[host].routers.len();
        let standing = |r| self.hosts[host].standing(r).map_or(State::Initialize, |(s, _)| s);
        let states: Vec<State> = routers.map(standing).collect();
        for (router, state) in states.iter().enumerate() {
            if *state == State::Active {
                let back = PeerNews::Restarting(super::RESTART);
                self.relay(host, router, &back);
            }
        }
        self.end_process(host);
        self.later(self.now + away, Happening::Return(host, states));
    }

    /// A router goes on where it was only while its VIPs are still there.
    fn come_back(&mut self, host: HostId, states: &[State]) {
        let here = &self.hosts[host];
        if here.process.is_some() || !here.powered {
            return;
        }
        self.note(|| format!("EVENT host {host} is back from its restart"));
        let here = &mut self.hosts[host];
        here.expire(self.now);
        let resumes = |(router, state): (RouterId, &State)| {
            let holds = here.vips(router).all(|vip| here.kernel.contains_key(&vip));
            if *state == State::Active && holds { Start::Resume } else { Start::Fresh }
        };
        let starts: Vec<Start> = states.iter().enumerate().map(resumes).collect();
        self.begin(host, &starts);
    }

    fn plug(&mut self, host: HostId, plugged: bool) {
        self.leaves_unnoticed(host);
        self.network.plug(host, plugged);
        for router in 0..self.hosts[host].routers.len() {
            let condition = &mut self.hosts[host].conditions[router];
            condition.unreachable = !plugged;
            match plugged {
                true => condition.faults.remove("no carrier"),
                false => condition.faults.insert("no carrier".to_owned()),
            };
            self.hosts[host].receive(Input::Condition { router });
        }
        self.turn(host);
    }

    fn weigh(&mut self, host: HostId, router: RouterId, adjust: i16) {
        let members: Vec<RouterId> = self.hosts[host].group(router).collect();
        for router in members {
            self.hosts[host].conditions[router].adjust = adjust;
            self.hosts[host].receive(Input::Condition { router });
        }
        self.turn(host);
    }

    /// Every host reads the same files, so all of them hear of it.
    fn reload(&mut self, host: HostId, router: RouterId, priority: Priority) {
        let name = self.hosts[host].name.clone();
        let members: Vec<RouterId> = self.hosts[host].group(router).collect();
        for id in 0..self.hosts.len() {
            for router in &members {
                let config = &mut self.hosts[id].routers[*router];
                match config.peers.iter_mut().find(|peer| peer.name == name) {
                    Some(peer) => peer.priority = priority,
                    None => config.priority = priority,
                }
            }
            self.hosts[id].receive(Input::Config);
            self.turn(id);
        }
    }

    /// Who has that address.
    pub(super) fn host_at(&self, address: IpAddr) -> Option<HostId> {
        self.hosts.iter().position(|host| host.address == address)
    }
}
