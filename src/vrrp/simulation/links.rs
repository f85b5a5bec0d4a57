//! The connections between the directors, as far as a machine notices them.
//!
//! Two processes that run and reach each other are connected after a while. A process that dies
//! closes its connections; the peer then looks whether the port refuses, and only then says that
//! the process is gone. When the path is cut, or a host is off, nothing is said until the
//! connection times out, and then only that nothing is known.

use std::time::Duration;

use super::host::Input;
use super::scenario::{HostId, RouterId};
use super::world::{Happening, World};
use crate::clock::Moment;
use crate::vrrp::router::{PeerNews, TOLD_EVERY};

/// How long a dead path goes unnoticed, at least and at most.
const TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));
/// How long it takes until somebody dials again, at most.
const REDIAL: Duration = Duration::from_secs(1);
/// When TCP sends again what was lost.
const RETRANSMIT: Duration = Duration::from_millis(200);

/// What is known of all connections.
#[derive(Clone, Debug)]
pub struct Links {
    pairs: Vec<Pair>,
    /// For each host and each peer of it: until when a planned restart excuses a refused
    /// connection.
    patient: Vec<Vec<Moment>>,
}

#[derive(Clone, Debug)]
struct Pair {
    hosts: (HostId, HostId),
    joined: bool,
    /// Which connection it is; what an earlier one carried is lost.
    connection: u32,
    /// Which look at the pair set the timers that run.
    look: u32,
    truth: Option<Truth>,
    /// When the last message arrives, in each direction: a stream keeps its order.
    last: [Moment; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Truth {
    runs: (bool, bool),
    powered: (bool, bool),
    path: bool,
}

/// Something that a connection has to do.
#[derive(Clone, Debug)]
pub enum LinkStep {
    /// The two shake hands.
    Join { a: HostId, b: HostId, look: u32 },
    /// The connection times out.
    TimeOut { a: HostId, b: HostId, look: u32 },
    /// Both say again which of their routers are Active.
    Repeat { a: HostId, b: HostId, connection: u32 },
    /// The first host looks whether the second one's port refuses.
    Verify { by: HostId, about: HostId },
    /// A message arrives.
    Message { from: HostId, to: HostId, connection: u32, router: RouterId, news: PeerNews },
}

impl Links {
    /// No connection between any two of so many hosts.
    pub fn new(hosts: usize) -> Self {
        let pairs = (0..hosts).flat_map(|a| (a + 1..hosts).map(move |b| (a, b)));
        let pair = |hosts| Pair {
            hosts,
            joined: false,
            connection: 0,
            look: 0,
            truth: None,
            last: [Moment::ZERO; 2],
        };
        let patient = vec![vec![Moment::ZERO; hosts]; hosts];
        Links { pairs: pairs.map(pair).collect(), patient }
    }

    /// Whether the two are connected.
    pub fn joined(&self, a: HostId, b: HostId) -> bool {
        self.pairs.iter().any(|pair| pair.hosts == (a.min(b), a.max(b)) && pair.joined)
    }

    fn pair(&mut self, a: HostId, b: HostId) -> &mut Pair {
        let hosts = (a.min(b), a.max(b));
        self.pairs.iter_mut().find(|pair| pair.hosts == hosts).expect("every pair is listed")
    }
}

impl World<'_> {
    /// Looks at every pair again after something has changed.
    pub(super) fn look_at_links(&mut self) {
        if !self.scenario.linked {
            return;
        }
        for i in 0..self.links.pairs.len() {
            let (a, b) = self.links.pairs[i].hosts;
            let (left, right) = (&self.hosts[a], &self.hosts[b]);
            let truth = Truth {
                runs: (left.process.is_some(), right.process.is_some()),
                powered: (left.powered, right.powered),
                path: self.network.joins(a, b),
            };
            let pair = &mut self.links.pairs[i];
            if pair.truth != Some(truth) {
                pair.truth = Some(truth);
                pair.look += 1;
                self.look_at(a, b, truth);
            }
        }
    }

    fn look_at(&mut self, a: HostId, b: HostId, truth: Truth) {
        let look = self.links.pair(a, b).look;
        let joined = self.links.pair(a, b).joined;
        let both_run = truth.runs == (true, true);
        match (joined, truth.path && truth.powered == (true, true)) {
            (true, true) if both_run => {}
            (true, true) => {
                self.links.pair(a, b).joined = false;
                for (by, about) in [(a, b), (b, a)] {
                    let patient = self.links.patient[by][about];
                    let at = (self.now + self.network.slowest() * 3).max(patient);
                    self.later(at, Happening::Link(LinkStep::Verify { by, about }));
                }
            }
            (true, false) => {
                let at = self.now + self.random.between(TIMEOUT.0, TIMEOUT.1);
                self.later(at, Happening::Link(LinkStep::TimeOut { a, b, look }));
            }
            (false, true) if both_run => {
                let at = self.now + self.random.between(Duration::from_millis(1), REDIAL);
                self.later(at, Happening::Link(LinkStep::Join { a, b, look }));
            }
            (false, true) => {
                for (by, about) in [(a, b), (b, a)] {
                    let dial = self.random.between(Duration::from_millis(1), REDIAL);
                    let at = (self.now + dial).max(self.links.patient[by][about]);
                    self.later(at, Happening::Link(LinkStep::Verify { by, about }));
                }
            }
            (false, false) => {}
        }
    }

    pub(super) fn link_step(&mut self, step: LinkStep) {
        match step {
            LinkStep::Join { a, b, look } => self.join(a, b, look),
            LinkStep::TimeOut { a, b, look } => {
                if self.links.pair(a, b).look == look {
                    self.links.pair(a, b).joined = false;
                    self.links.pair(a, b).truth = None;
                    self.tell_all(a, b, &PeerNews::Unknown);
                    self.tell_all(b, a, &PeerNews::Unknown);
                    self.look_at_links();
                }
            }
            LinkStep::Repeat { a, b, connection } => self.repeat(a, b, connection),
            LinkStep::Verify { by, about } => self.verify(by, about),
            LinkStep::Message { from, to, connection, router, news } => {
                if self.links.pair(from, to).connection != connection {
                    return;
                }
                if self.network.joins(from, to) {
                    self.give(to, Input::News { peer: from, router, news });
                } else if self.links.pair(from, to).joined {
                    let again = LinkStep::Message { from, to, connection, router, news };
                    let at = self.now + RETRANSMIT;
                    // Whatever is written meanwhile comes after it.
                    let last = &mut self.links.pair(from, to).last[usize::from(from > to)];
                    *last = at.max(*last);
                    self.later(at, Happening::Link(again));
                }
            }
        }
    }

    fn join(&mut self, a: HostId, b: HostId, look: u32) {
        let awake = self.hosts[a].is_awake() && self.hosts[b].is_awake();
        let pair = self.links.pair(a, b);
        if pair.look != look || pair.joined {
            return;
        }
        if !awake {
            let at = self.now + REDIAL / 2;
            return self.later(at, Happening::Link(LinkStep::Join { a, b, look }));
        }
        pair.joined = true;
        pair.connection += 1;
        let connection = pair.connection;
        self.note(|| format!("link {a}-{b} is up"));
        let again = LinkStep::Repeat { a, b, connection };
        self.later(self.now + TOLD_EVERY, Happening::Link(again));
        for (from, to) in [(a, b), (b, a)] {
            for router in 0..self.hosts[from].routers.len() {
                if let Some((state, priority)) = self.hosts[from].standing(router) {
                    self.write(from, to, router, PeerNews::Present { state, priority });
                }
            }
        }
    }

    /// Who stands still says nothing.
    fn repeat(&mut self, a: HostId, b: HostId, connection: u32) {
        let pair = self.links.pair(a, b);
        if !pair.joined || pair.connection != connection {
            return;
        }
        for (from, to) in [(a, b), (b, a)] {
            for router in 0..self.hosts[from].routers.len() {
                let standing = self.hosts[from].standing(router);
                if let Some((state, priority)) =
                    standing.filter(|_| self.hosts[from].is_active(router))
                {
                    self.write(from, to, router, PeerNews::Present { state, priority });
                }
            }
        }
        let again = LinkStep::Repeat { a, b, connection };
        self.later(self.now + TOLD_EVERY, Happening::Link(again));
    }

    fn verify(&mut self, by: HostId, about: HostId) {
        if !self.hosts[by].powered || self.links.joined(by, about) {
            return;
        }
        let answers = self.network.joins(by, about) && self.hosts[about].answers();
        let refuses = answers && self.hosts[about].process.is_none();
        let news = if refuses { PeerNews::Gone } else { PeerNews::Unknown };
        self.tell_all(by, about, &news);
    }

    /// Tells a host something about all routers of another.
    fn tell_all(&mut self, to: HostId, about: HostId, news: &PeerNews) {
        for router in 0..self.hosts[about].routers.len() {
            self.give(to, Input::News { peer: about, router, news: *news });
        }
    }

    /// Tells every connected peer something about one router of a host.
    pub(super) fn relay(&mut self, from: HostId, router: RouterId, news: &PeerNews) {
        for to in 0..self.hosts.len() {
            if to != from && self.links.joined(from, to) {
                if let PeerNews::Restarting(away) = news {
                    self.links.patient[to][from] = self.now + *away;
                }
                self.write(from, to, router, *news);
            }
        }
    }

    fn write(&mut self, from: HostId, to: HostId, router: RouterId, news: PeerNews) {
        let lost = self.random.chance(self.network.weather().lost);
        let again = if lost { RETRANSMIT } else { Duration::ZERO };
        let at = self.now + self.network.delay(&mut self.random) + again;
        let pair = self.links.pair(from, to);
        let last = &mut pair.last[usize::from(from > to)];
        *last = at.max(*last);
        let (at, connection) = (*last, pair.connection);
        let message = LinkStep::Message { from, to, connection, router, news };
        self.later(at, Happening::Link(message));
    }
}
