//! Two peerings against each other on a network that is cut, and in processes that die.
//!
//! TCP is modelled as far as it matters here: bytes arrive in order or not at all, are held while
//! the cable is cut, and a dead process's ends are closed. One clock for all; every run is made
//! from its seed, which a failure names.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::super::telling::HEARD_EVERY;
use super::super::{
    Alarm, ConnectionId, Contact, Dialled, Ends, News, Output, Peering, Standing, Topic,
};
use super::Chance;
use crate::clock::Moment;
use crate::vrrp::fingerprint::Digests;
use crate::vrrp::key::Key;
use crate::vrrp::router::State;

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
/// One way.
pub(super) const DELAY: Duration = Duration::from_micros(200);
/// A port outlives the connections of its process by so much.
pub(super) const PORT_LINGERS: Duration = Duration::from_micros(50);
const RETRANSMIT: Duration = Duration::from_millis(200);

#[derive(Clone, Debug)]
enum Segment {
    Bytes(Vec<u8>),
    Fin,
}

/// What a process gets to see.
#[derive(Clone, Debug)]
enum Input {
    Accepted(usize),
    Dialled(ConnectionId, Verdict),
    Arrived(usize, Segment),
}

#[derive(Clone, Copy, Debug)]
enum Verdict {
    Connected,
    Refused,
    Unreachable,
}

#[derive(Clone, Debug)]
enum Event {
    /// A SYN reaches this host.
    Syn(usize, u64, ConnectionId),
    /// The answer reaches the process that asked.
    Answer(usize, u64, ConnectionId, Verdict),
    /// The first segment to this end is due.
    Due(usize, usize),
}

#[derive(Debug, Default)]
struct Tcp {
    /// Host, process and number there; `None` once that end is closed.
    ends: [Option<(usize, u64, ConnectionId)>; 2],
    under_way: [VecDeque<Segment>; 2],
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) number: u64,
    pub(super) started: Moment,
    pub(super) peering: Peering,
    pub(super) stalled: bool,
    waiting: VecDeque<Input>,
    pub(super) open: BTreeMap<ConnectionId, usize>,
    /// Which process of the other it last knew to be there.
    pub(super) knows: Option<u64>,
    pub(super) heard: Vec<News>,
    pub(super) alarms: Vec<Alarm>,
    pub(super) dials: u32,
    /// What it wants known.
    pub(super) told: BTreeMap<Topic, Vec<u8>>,
    /// What it knows of the other, and when it was handed that.
    pub(super) said: BTreeMap<Topic, (Vec<u8>, Moment)>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) now: Moment,
    pub(super) chance: Chance,
    pub(super) hosts: [Option<Process>; 2],
    pub(super) ports_close: [Moment; 2],
    pub(super) cut: [bool; 2],
    /// Connections overtake each other; bytes of one never do.
    pub(super) jitter: bool,
    tcps: Vec<Tcp>,
    events: BTreeMap<(Moment, u64), Event>,
    pub(super) number: u64,
    pub(super) starts: [u32; 2],
    pub(super) files: [&'static str; 2],
    pub(super) keys: [Key; 2],
    pub(super) bug: Option<Bug>,
}

/// A bug that is planted to see that it would be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// Of words that come too fast the first is said and not the last.
    OldestOfABurst,
    /// What was said still counts when who said it is gone.
    OutlivesItsSpeaker,
}

pub(super) fn address(host: usize) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, 1 + host as u8).into()
}

pub(super) fn digests(key: &Key, text: &str) -> Arc<Digests> {
    let mut digests = Digests::new(key);
    digests.add_cluster(text);
    Arc::new(digests)
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        World {
            seed,
            now: Moment::ZERO + SECOND,
            chance: Chance(seed),
            hosts: [None, None],
            ports_close: [Moment::ZERO; 2],
            cut: [false; 2],
            jitter: false,
            tcps: Vec::new(),
            events: BTreeMap::new(),
            number: 0,
            starts: [0; 2],
            files: ["a = 1"; 2],
            keys: [Key::new(&[1; 32]), Key::new(&[1; 32])],
            bug: None,
        }
    }

    pub(super) fn both_up(seed: u64) -> World {
        let mut world = World::new(seed);
        world.start(0);
        world.start(1);
        world.run(10 * SECOND);
        assert_eq!(world.contacts(), [Some(Contact::Present); 2], "seed {seed}");
        world.forget();
        world
    }

    pub(super) fn start(&mut self, host: usize) {
        self.number += 1;
        self.starts[host] += 1;
        let key = self.keys[host].clone();
        let ends = Ends {
            host: format!("d{host}"),
            address: address(host),
            peer: format!("d{}", 1 - host),
            peer_address: address(1 - host),
            incarnation: self.number,
            key: key.clone(),
        };
        let mut peering = Peering::new(ends, digests(&key, self.files[host]), self.now);
        peering.handle_standing(standing(self.number), self.now);
        self.hosts[host] = Some(Process {
            number: self.number,
            started: self.now,
            peering,
            stalled: false,
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            knows: None,
            heard: Vec::new(),
            alarms: Vec::new(),
            dials: 0,
            told: BTreeMap::new(),
            said: BTreeMap::new(),
        });
        self.drain(host);
    }

    pub(super) fn kill(&mut self, host: usize) {
        let Some(process) = self.hosts[host].take() else { return };
        self.ports_close[host] = self.now + PORT_LINGERS;
        for (_, tcp) in process.open {
            self.close_end(tcp, host);
        }
        // Accepted by the kernel, never by the process.
        for input in process.waiting {
            if let Input::Accepted(tcp) = input {
                self.close_end(tcp, host);
            }
        }
    }

    pub(super) fn stall(&mut self, host: usize, stalled: bool) {
        if let Some(process) = &mut self.hosts[host] {
            process.stalled = stalled;
        }
        // Everything that waits comes first, as a driver drains its sockets.
        while let Some(process) = self.hosts[host].as_mut().filter(|p| !p.stalled)
            && let Some(input) = process.waiting.pop_front()
        {
            self.give(host, input);
        }
    }

    /// A process wants this known from now on.
    pub(super) fn tell(&mut self, host: usize, topic: Topic, bytes: Vec<u8>) {
        let (now, bug) = (self.now, self.bug);
        let Some(process) = self.hosts[host].as_mut().filter(|p| !p.stalled) else { return };
        let burst = process.peering.telling.poll_timeout().is_some();
        if !(bug == Some(Bug::OldestOfABurst) && burst) {
            process.peering.handle_tell(topic, &bytes, now);
        }
        process.told.insert(topic, bytes);
        self.drain(host);
    }

    /// Bytes that are on their way to this host, or wait there.
    pub(super) fn under_way(&self, host: usize) -> usize {
        let length = |segment: &Segment| match segment {
            Segment::Bytes(bytes) => bytes.len(),
            Segment::Fin => 0,
        };
        let waits = |input: &Input| match input {
            Input::Arrived(_, segment) => length(segment),
            Input::Accepted(_) | Input::Dialled(..) => 0,
        };
        let waiting = self.hosts[host].iter().flat_map(|p| &p.waiting).map(waits);
        let way = self.tcps.iter().flat_map(|tcp| &tcp.under_way[host]).map(length);
        waiting.chain(way).sum()
    }

    pub(super) fn set_cut(&mut self, cut: [bool; 2]) {
        self.cut = cut;
    }

    pub(super) fn contacts(&self) -> [Option<Contact>; 2] {
        let contact = |host: &Option<Process>| host.as_ref().map(|p| p.peering.contact());
        [contact(&self.hosts[0]), contact(&self.hosts[1])]
    }

    pub(super) fn forget(&mut self) {
        for process in self.hosts.iter_mut().flatten() {
            process.heard.clear();
            process.alarms.clear();
            process.dials = 0;
        }
    }

    fn at(&mut self, after: Duration, event: Event) {
        self.number += 1;
        self.events.insert((self.now + after, self.number), event);
    }

    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let timer = |p: &Process| if p.stalled { None } else { p.peering.poll_timeout() };
            let timers = self.hosts.iter().enumerate();
            let timer = timers.filter_map(|(i, p)| Some((timer(p.as_ref()?)?, i))).min();
            let event = self.events.first_key_value().map(|(key, _)| *key);
            let event_first = event.is_some_and(|(at, _)| timer.is_none_or(|(due, _)| at <= due));
            match (event, timer) {
                (Some(key), _) if event_first && key.0 <= end => {
                    self.now = self.now.max(key.0);
                    let event = self.events.remove(&key).expect("it is the first");
                    self.happen(event);
                }
                (_, Some((due, host))) if !event_first && due <= end => {
                    self.now = self.now.max(due);
                    let now = self.now;
                    if let Some(process) = &mut self.hosts[host] {
                        process.peering.handle_timeout(now);
                        let next = process.peering.poll_timeout();
                        let idle = next.is_none_or(|next| next > now);
                        assert!(idle, "seed {}: a timer that is never served", self.seed);
                    }
                    self.drain(host);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Syn(to, number, id) => self.syn(to, number, id),
            Event::Answer(to, number, id, verdict) => {
                if self.hosts[to].as_ref().is_some_and(|p| p.number == number) {
                    self.give(to, Input::Dialled(id, verdict));
                }
            }
            Event::Due(tcp, end) => self.due(tcp, end),
        }
    }

    fn syn(&mut self, to: usize, number: u64, id: ConnectionId) {
        let from = 1 - to;
        if self.cut[to] {
            // Some networks say so, most say nothing.
            if self.chance.below(4) == 0 {
                self.at(DELAY, Event::Answer(from, number, id, Verdict::Unreachable));
            }
            return;
        }
        let lingers = self.ports_close[to] > self.now;
        let listens = self.hosts[to].is_some() || lingers;
        let verdict = if listens { Verdict::Connected } else { Verdict::Refused };
        let asks = self.hosts[from].as_ref().is_some_and(|p| p.number == number);
        if self.cut[from] || !asks {
            return;
        }
        if listens {
            let tcp = self.tcps.len();
            let mut ends = [None, None];
            ends[from] = Some((from, number, id));
            self.tcps.push(Tcp { ends, ..Tcp::default() });
            let process = self.hosts[from].as_mut().expect("it asks");
            process.open.insert(id, tcp);
            self.at(DELAY, Event::Answer(from, number, id, verdict));
            match self.hosts[to].is_some() {
                true => self.give(to, Input::Accepted(tcp)),
                false => self.send(tcp, from, Segment::Fin),
            }
        } else {
            self.at(DELAY, Event::Answer(from, number, id, verdict));
        }
    }

    fn send(&mut self, tcp: usize, to: usize, segment: Segment) {
        self.tcps[tcp].under_way[to].push_back(segment);
        let jitter = if self.jitter { self.chance.below(16) as u32 } else { 0 };
        self.at(DELAY * (1 + jitter), Event::Due(tcp, to));
    }

    fn due(&mut self, tcp: usize, to: usize) {
        if self.cut[to] {
            self.at(RETRANSMIT, Event::Due(tcp, to));
            return;
        }
        let Some(segment) = self.tcps[tcp].under_way[to].pop_front() else { return };
        let fin = matches!(segment, Segment::Fin);
        let open = self.hosts[to].as_ref().is_some_and(|p| {
            p.open.values().any(|t| *t == tcp)
                || p.waiting.iter().any(|i| matches!(i, Input::Accepted(t) if *t == tcp))
        });
        match open {
            true => self.give(to, Input::Arrived(tcp, segment)),
            // Nobody has this connection any more: reset.
            false if !fin => self.send(tcp, 1 - to, Segment::Fin),
            false => {}
        }
    }

    fn close_end(&mut self, tcp: usize, host: usize) {
        self.tcps[tcp].ends[host] = None;
        self.send(tcp, 1 - host, Segment::Fin);
    }

    fn give(&mut self, host: usize, input: Input) {
        let now = self.now;
        let nonce = self.chance.nonce();
        let Some(process) = &mut self.hosts[host] else { return };
        if process.stalled {
            process.waiting.push_back(input);
            return;
        }
        match input {
            Input::Accepted(tcp) => {
                let id = process.peering.handle_accepted(nonce, now);
                process.open.insert(id, tcp);
                self.tcps[tcp].ends[host] = Some((host, process.number, id));
            }
            Input::Dialled(id, verdict) => {
                let outcome = match verdict {
                    Verdict::Connected => Dialled::Connected(nonce),
                    Verdict::Refused => Dialled::Refused,
                    Verdict::Unreachable => Dialled::Unreachable,
                };
                process.peering.handle_dialled(id, outcome, now);
            }
            Input::Arrived(tcp, segment) => {
                let Some((_, _, id)) = self.tcps[tcp].ends[host] else { return };
                match segment {
                    Segment::Bytes(bytes) => process.peering.handle_bytes(id, &bytes, now),
                    Segment::Fin => {
                        process.open.remove(&id);
                        self.tcps[tcp].ends[host] = None;
                        process.peering.handle_closed(id, now);
                    }
                }
            }
        }
        self.drain(host);
    }

    pub(super) fn drain(&mut self, host: usize) {
        while let Some(process) = &mut self.hosts[host]
            && let Some(output) = process.peering.poll_output()
        {
            let number = process.number;
            match output {
                Output::Dial(id) => {
                    process.dials += 1;
                    self.at(DELAY, Event::Syn(1 - host, number, id));
                }
                Output::Write(id, bytes) => {
                    if let Some(&tcp) = process.open.get(&id) {
                        self.send(tcp, 1 - host, Segment::Bytes(bytes));
                    }
                }
                Output::Close(id) => {
                    if let Some(tcp) = process.open.remove(&id) {
                        self.close_end(tcp, host);
                    }
                }
                Output::News(news) => self.learn(host, news),
                Output::Alarm(alarm) => process.alarms.push(alarm),
            }
        }
    }

    /// What must never be believed is checked in every run.
    fn learn(&mut self, host: usize, news: News) {
        let other = self.hosts[1 - host].as_ref().map(|p| (p.number, p.started));
        let (seed, now) = (self.seed, self.now);
        let Some(process) = &mut self.hosts[host] else { return };
        if news == News::Gone {
            let alive = other.is_some_and(|(number, started)| {
                process.knows == Some(number)
                    || (self.starts[1 - host] == 1 && started + SECOND < now)
            });
            assert!(!alive, "seed {seed}, {now}: {host} calls a living process gone");
        }
        match &news {
            News::Standing(standings) => {
                let number = |s: &Standing| s.router[1..].parse().expect("a number");
                process.knows = standings.first().map(number);
            }
            News::Said(topic, bytes) => {
                let before = process.said.insert(*topic, (bytes.clone(), now));
                let early = before.is_some_and(|(_, at)| now.since(at) < HEARD_EVERY);
                assert!(!early, "seed {seed}, {now}: {host} is handed words too fast");
                return;
            }
            News::Gone | News::Unknown if self.bug != Some(Bug::OutlivesItsSpeaker) => {
                process.said.clear();
            }
            _ => {}
        }
        process.heard.push(news);
    }
}

/// The number of the process is in the name, so that a test sees whose word it has.
fn standing(process: u64) -> Vec<Standing> {
    vec![Standing { router: format!("r{process}"), state: State::Backup, priority: 100 }]
}
