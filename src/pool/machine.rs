//! The machine of one pool: from what is known of its servers to their shares of the traffic.
//!
//! Told the whole truth each time ([`View`]), it works the shares out anew. What it remembers is
//! little: who was in, who climbs to its full weight, whether the quorum was had, and whether
//! [`guard`] holds the last good set because the fault is likely here. It reads no clock.

mod claim;
mod guard;
mod look;
mod memory;
mod notice;
mod quorum;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

pub use notice::{Notice, Server, Severity, What};
pub use view::{Peer, Summary, View, Witness};

use self::guard::{Blindness, Guard};
use self::look::{Look, look};
use self::memory::{Memory, Spans, Stage};
use self::notice::Queue;
use self::quorum::Quorum;
use crate::check::made::Made;
use crate::check::outcome::State;
use crate::clock::Moment;
use crate::pool::config::{Member, PoolConfig};
use crate::pool::standing::{Share, Shares, Standing};

/// A pool, with its past.
#[derive(Debug)]
pub struct Pool {
    config: Arc<PoolConfig>,
    spans: Spans,
    /// Of each member, in the same order.
    memories: Vec<Memory>,
    guard: Guard,
    blindness: Blindness,
    /// Since when nobody is seen up.
    lost: Option<Moment>,
    quorum: Quorum,
    /// The same one as long as nothing in it changes.
    shares: Arc<Shares>,
    summary: Summary,
    /// All servers were judged at least once.
    was_judged: bool,
    /// The spare that was told to answer.
    told_spare: Option<String>,
    notices: Queue,
    /// Since when the checks are made without a break, as was told last.
    since: Moment,
    timeout: Option<Moment>,
}

impl Pool {
    /// A pool that nothing is known of yet. `kept` is who has traffic in the kernel now: its
    /// servers keep it until they are judged; and if there is somebody but none of its servers, a
    /// spare answers, so the quorum counts as lost.
    pub fn new(
        config: impl Into<Arc<PoolConfig>>,
        kept: BTreeSet<SocketAddr>,
        now: Moment,
    ) -> Self {
        let config = config.into();
        let spans = Spans::of(&config);
        let begin = |member: &Member| Memory::begin(member, &spans, kept.contains(&member.server));
        let memories: Vec<Memory> = config.members.iter().map(begin).collect();
        let spare_answers =
            !kept.is_empty() && !memories.iter().any(|memory| memory.stage == Stage::In);
        let mut pool = Pool {
            quorum: Quorum::at_start(spare_answers, now + spans.start),
            timeout: Some(now),
            config,
            spans,
            memories,
            guard: Guard::Open,
            blindness: Blindness::default(),
            lost: None,
            shares: Arc::default(),
            summary: Summary::default(),
            was_judged: false,
            told_spare: None,
            notices: Queue::default(),
            since: Moment::ZERO,
        };
        pool.shares = Arc::new(pool.shares_at_first());
        pool.summary.unknown = u32::try_from(pool.memories.len()).unwrap_or(u32::MAX);
        pool
    }

    /// The same, where these servers are in the kernel without getting new connections: they stay
    /// so until they are judged, for what they have begun is to end well.
    pub fn with_quiet(mut self, quiet: &BTreeSet<SocketAddr>) -> Self {
        for (member, memory) in self.config.members.iter().zip(&mut self.memories) {
            memory.quiet = quiet.contains(&member.server);
        }
        self.shares = Arc::new(self.shares_at_first());
        self
    }

    fn shares_at_first(&self) -> Shares {
        let members = self.config.members.iter().zip(&self.memories);
        Shares { members: members.map(at_first).collect(), spare: None }
    }

    /// Is this from now on, and keeps what it knows of the servers that stay. The shares are worked
    /// out with the next view.
    pub fn configure(&mut self, config: impl Into<Arc<PoolConfig>>, now: Moment) {
        let config = config.into();
        let spans = Spans::of(&config);
        let old = std::mem::replace(&mut self.config, config);
        let servers = old.members.iter().map(|member| (member.server, member.weight));
        let memories = std::mem::take(&mut self.memories);
        let mut known: BTreeMap<SocketAddr, _> =
            servers.zip(memories).map(|((server, weight), m)| (server, (weight, m))).collect();
        let rescaled = spans.scale != self.spans.scale;
        for member in &self.config.members {
            self.memories.push(match known.remove(&member.server) {
                Some((weight, memory)) if weight == member.weight && !rescaled => memory,
                Some((_, memory)) => memory.reweighed(member, &spans),
                None => Memory::added(member, &spans),
            });
        }
        let before = std::mem::take(&mut self.shares);
        let shares = self.config.members.iter().zip(&self.memories).map(|(member, memory)| {
            let share = before.members.get(&member.server).cloned();
            share.map_or_else(|| at_first((member, memory)), |share| (member.server, share))
        });
        let members = shares.collect();
        let answering = before.spare.and_then(|spare| old.spares.get(spare));
        let spare = self.config.spares.iter().position(|spare| Some(spare) == answering);
        self.shares = Arc::new(Shares { members, spare });
        self.spans = spans;
        if old != self.config {
            self.guard.renew(now);
        }
        self.timeout = Some(now);
    }

    /// Works the shares out anew.
    pub fn handle(&mut self, view: &View<'_>, now: Moment) {
        self.bridge(view.made);
        let members = self.config.members.iter();
        let looks: Vec<Look<'_>> =
            members.map(|member| look(member, self.spans.scale, view)).collect();
        let fell = self.advance(&looks, view, now);
        self.summarise(&looks);
        self.watch_over(&looks, view, &fell, now);
        let claims = self.claims(&looks, view, now);
        self.decide(claims, &looks, view, now);
        self.timeout = self.next_timeout(view, now);
    }

    /// When the view has to be told again, if nothing changes before. The operator's deadlines are
    /// the wall clock's and not among it: [`super::words::Words::next_end`].
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.timeout
    }

    /// The next thing that somebody should read.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop(&self.config.name)
    }

    /// What becomes of the servers now.
    pub fn shares(&self) -> &Arc<Shares> {
        &self.shares
    }

    /// What this director sees, for the others.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// Whether all servers were judged.
    pub fn is_judged(&self) -> bool {
        self.summary.unknown == 0
    }

    /// Whether another director sees servers that are well and we see none, and it said so after
    /// the time that it can take to see what we see.
    pub fn is_blind(&self) -> bool {
        self.blindness.is_believed()
    }

    /// Whether servers answer us, as far as it can be set beside what another director said then:
    /// what it said before it had the time to lose them as well says nothing of now.
    pub fn answers(&self, said: Moment) -> bool {
        self.lost.is_none_or(|lost| said < lost + self.spans.window)
    }

    /// The weight of one of its servers while all is well, as shares have it.
    pub fn full_weight(&self, member: &Member) -> u32 {
        member.weight.saturating_mul(self.spans.scale)
    }

    /// The sum of full weights that keeps the quorum.
    pub fn keeps(&self) -> u64 {
        let least = self.config.quorum.saturating_sub(self.config.hysteresis).max(1);
        u64::from(least) * u64::from(self.spans.scale)
    }

    /// What it is.
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// After a break in the checks, what failed just before it and what fails just after it may
    /// have done so in one moment: nobody looked in between.
    fn bridge(&mut self, made: Made) {
        if std::mem::replace(&mut self.since, made.since) == made.since {
            return;
        }
        for memory in &mut self.memories {
            if let Stage::Fell(since) = &mut memory.stage
                && *since + self.spans.window >= made.before
            {
                *since = made.since.max(*since);
            }
        }
    }

    /// Every server's past moves on by what is seen of it. Returns when each of those that failed
    /// just now did so first, in order.
    fn advance(&mut self, looks: &[Look<'_>], view: &View<'_>, now: Moment) -> Vec<Moment> {
        let climbs = !self.config.slow_start.is_zero();
        let steps = self.memories.iter_mut().zip(looks);
        let fell = steps.filter_map(|(memory, look)| {
            let since = look.since.max(view.made.since);
            memory.advance((look.state, since), climbs, now).then_some(since)
        });
        let mut fell: Vec<Moment> = fell.collect();
        fell.sort_unstable();
        fell
    }

    fn summarise(&mut self, looks: &[Look<'_>]) {
        let count = |state: State| {
            let n = looks.iter().filter(|look| look.state == state).count();
            u32::try_from(n).unwrap_or(u32::MAX)
        };
        self.summary.up = count(State::Up);
        self.summary.down = count(State::Down);
        self.summary.unknown = count(State::Unknown);
    }

    fn next_timeout(&self, view: &View<'_>, now: Moment) -> Option<Moment> {
        let climbs =
            self.memories.iter().filter_map(|memory| memory.next_step(self.config.slow_start, now));
        let guard = self.guard.timeout(&self.spans, view.made, now);
        let others = [guard, self.quorum.timeout(now)];
        climbs.chain(others.into_iter().flatten()).min()
    }
}

/// What becomes of a server before anything is known.
fn at_first((member, memory): (&Member, &Memory)) -> (SocketAddr, Share) {
    let (weight, standing) = match (memory.stage == Stage::In, memory.quiet) {
        (true, _) => (Some(memory.weight), Standing::Kept),
        (false, true) => (Some(0), Standing::Unknown),
        (false, false) => (None, Standing::Unknown),
    };
    (member.server, Share { weight, standing, why: String::new() })
}

#[cfg(test)]
mod tests;
