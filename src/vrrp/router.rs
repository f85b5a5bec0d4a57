//! The machine of one virtual router: RFC 9568 6.4 and RFC 3768 6.4, and what we know beyond them.
//!
//! It does no I/O and reads no clock. Whoever drives it gives it one input, drains
//! [`poll_output`](Router::poll_output), makes the VIPs follow [`holds`](Router::holds), and sleeps
//! until [`poll_timeout`](Router::poll_timeout); sockets are read empty before
//! [`handle_timeout`](Router::handle_timeout), so that a late process first hears what it missed.
//! A new router asks for its first timeout at once, and takes part from then on: what is told
//! before that is known at the start.
//!
//! Each state's part of the machine has its own file: `backup`, `active`, `leave` (the ways out of
//! Active that another host should take over from), and `change` for a new configuration.

mod accept;
mod active;
mod announcer;
mod backup;
mod change;
mod input;
mod leave;
mod notice;
mod output;
mod phase;
mod rank;
mod timers;
mod unheard;

use std::collections::VecDeque;
use std::net::IpAddr;

use super::config::{Interval, OWNER, RouterConfig, Version};
use super::packet::{Advert, Auth, Discard, Note};
use crate::clock::Moment;
use notice::Episodes;
use phase::{Active, Backup, Phase, Rival, Waiting};
use rank::Peers;

pub use accept::accepts;
pub use input::{Condition, PeerNews, Start};
pub use notice::Notice;
pub use output::{Output, State, Why};
pub use timers::{RESTART, TOLD_EVERY, keep};

/// A virtual router on this host.
#[derive(Clone, Debug)]
pub struct Router {
    config: RouterConfig,
    condition: Condition,
    peers: Peers,
    /// Who is Active as far as was heard: the best of those who say so and have not resigned.
    heard: Option<Heard>,
    /// Another one, of those who are not the best.
    beside: Option<Heard>,
    /// Another host announced a VIP since the state changed, the start apart.
    claimed: bool,
    phase: Phase,
    episodes: Episodes,
    outputs: VecDeque<Output>,
}

/// The sender of an advertisement, the last of which came at `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heard {
    from: IpAddr,
    priority: u8,
    interval: Interval,
    at: Moment,
}

impl Router {
    /// A router that has not started: the first timeout is due at once, or after the start delay.
    pub fn new(config: RouterConfig, start: Start, now: Moment) -> Self {
        let until = match start {
            Start::Fresh => now + config.start_delay,
            Start::Resume | Start::Leaving => now,
        };
        Router {
            config,
            condition: Condition::default(),
            peers: Peers::default(),
            heard: None,
            beside: None,
            claimed: false,
            phase: Phase::Waiting(Waiting { until, start }),
            episodes: Episodes::default(),
            outputs: VecDeque::new(),
        }
    }

    /// An advertisement came in. What is discarded touches no state and no timer.
    pub fn handle_advert(
        &mut self,
        from: IpAddr,
        advert: &Advert,
        now: Moment,
    ) -> Result<(), Discard> {
        let notes = accepts(&self.config, from, advert).inspect_err(|why| {
            if why.is_misconfiguration() {
                self.notice(Notice::Refused { from, why: why.clone() }, now);
            }
        })?;
        self.handle_notes(from, &notes, now);
        self.notice_stall(now);
        if advert.priority != 0 {
            self.peers.hear_voice(from);
            self.hear_again(from, advert, now);
        }
        match &self.phase {
            Phase::Waiting(_) | Phase::Released => {}
            Phase::Backup(_) => self.backup_hears(from, advert, now),
            Phase::Active(_) => self.active_hears(from, advert, now),
            Phase::Fault(_) | Phase::Leaving(_) => self.bystander_hears(from, advert, now),
        }
        Ok(())
    }

    /// What the codec found odd about a packet that was not discarded.
    pub fn handle_notes(&mut self, from: IpAddr, notes: &[Note], now: Moment) {
        for note in notes {
            self.notice(Notice::Odd { from, note: note.clone() }, now);
        }
    }

    /// What tracking knows now. Only what differs from before does anything.
    pub fn handle_condition(&mut self, condition: Condition, now: Moment) {
        self.notice_stall(now);
        let before = self.priority();
        self.condition = condition;
        let is_fit = self.is_fit();
        match &self.phase {
            Phase::Waiting(_) | Phase::Leaving(_) | Phase::Released => {}
            Phase::Fault(_) if is_fit => self.recover(now),
            Phase::Fault(_) => self.forget_vips_if_unreachable(),
            Phase::Backup(_) if is_fit => self.consider_start(now),
            Phase::Backup(_) | Phase::Active(_) if !is_fit => self.fail(now),
            Phase::Backup(_) => {}
            Phase::Active(_) if self.priority() != before => self.send(),
            Phase::Active(_) => {}
        }
    }

    /// News of another director, by its address in the configuration.
    pub fn handle_peer(&mut self, peer: IpAddr, news: PeerNews, now: Moment) {
        if !self.config.peers.iter().any(|known| known.address == peer) {
            return;
        }
        self.notice_stall(now);
        let was_active = self.active_peer() == Some(peer);
        let returns = self.peers.is_out_of_touch(peer);
        self.peers.hear(peer, news, now);
        if returns && matches!(news, PeerNews::Present { .. }) {
            // There may have been a partition, and somebody Active on the other side of it who has
            // left without a word.
            self.announce_again(now);
        }
        match news {
            PeerNews::Gone if was_active && self.peers.is_gone(peer) => {
                self.lose_active(peer, Why::Gone { peer }, now);
            }
            PeerNews::Resigned if was_active => {
                self.lose_active(peer, Why::Resigned { by: peer }, now);
            }
            PeerNews::Restarting(_) if was_active => self.wait_for_restart(peer, now),
            PeerNews::Present { state: State::Active, priority } => {
                self.hear_of_active(peer, priority, now);
            }
            PeerNews::Resigned | PeerNews::Present { .. } => {
                self.hear_no_more_of_active(peer, true, now);
            }
            PeerNews::Gone | PeerNews::Unknown => self.hear_no_more_of_active(peer, false, now),
            PeerNews::Restarting(_) => {}
        }
        self.consider_start(now);
    }

    /// Another host announced by ARP or NA that one of the VIPs is its own.
    pub fn handle_claim(&mut self, now: Moment) {
        self.notice_stall(now);
        self.claimed = true;
        self.contradict(now);
        self.let_vips_go(now);
    }

    /// Another host asks the link in the name of a VIP, as a real server does that has it too and
    /// is not told to be silent. It leads neighbours astray like an announcement, but it is no word
    /// of a director.
    pub fn handle_use(&mut self, now: Moment) {
        self.notice_stall(now);
        self.contradict(now);
    }

    /// Whoever heard the other one is to hear this one again.
    fn contradict(&mut self, now: Moment) {
        if let Phase::Active(active) = &self.phase {
            // At a takeover, the host that had the VIPs answers the first announcement, which is a
            // question, before it lets them go.
            if now.since(active.since) >= self.config.interval.get().min(timers::CROSSING) {
                self.notice(Notice::Claimed, now);
            }
            self.announce_again(now);
        }
    }

    /// Somebody deleted a VIP, and it was put back.
    pub fn handle_lost_vip(&mut self, now: Moment) {
        self.notice_stall(now);
        if matches!(self.phase, Phase::Active(_)) {
            self.notice(Notice::VipLost, now);
            self.announce_again(now);
        }
    }

    /// Another configuration of the same router. What did not change does not move.
    ///
    /// # Panics
    ///
    /// If it is another router: see [`is_same_router`](Router::is_same_router).
    pub fn handle_config(&mut self, config: RouterConfig, now: Moment) {
        assert!(self.is_same_router(&config), "another router is released and started anew");
        self.notice_stall(now);
        self.change(config, now);
    }

    /// The service stops: resigns, and keeps the VIPs until another host has announced itself or
    /// a bound is over. [`Output::Done`] comes then, once; nothing happens after it.
    pub fn handle_release(&mut self, now: Moment) {
        self.notice_stall(now);
        self.release(now);
    }

    /// This process is about to be replaced by another that resumes. An Active router tells the
    /// others to be patient for [`RESTART`], and goes on if that does not happen.
    pub fn handle_restart(&mut self, now: Moment) {
        self.notice_stall(now);
        self.announce_restart(now);
    }

    /// Time has passed. What is not due does not happen.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.notice_stall(now);
        if let Phase::Waiting(Waiting { until, start }) = self.phase
            && until <= now
        {
            self.start(start, now);
        }
        self.keeping_timeout(now);
        match &self.phase {
            Phase::Backup(_) => self.backup_timeout(now),
            Phase::Active(_) => self.active_timeout(now),
            Phase::Waiting(_) | Phase::Fault(_) | Phase::Leaving(_) | Phase::Released => {}
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Router::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.phase.next()
    }

    /// The state.
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// The priority with what tracking adds. Nothing moves an owner, and nothing makes one.
    pub fn priority(&self) -> u8 {
        if self.config.priority == OWNER {
            return OWNER.get();
        }
        let moved = i32::from(self.config.priority.get()) + i32::from(self.condition.adjust);
        u8::try_from(moved.clamp(1, i32::from(OWNER.get()) - 1)).expect("clamped to 1..=254")
    }

    /// Whether the VIPs belong on this host now.
    pub fn holds(&self) -> bool {
        self.phase.holds()
    }

    /// Who is Active, as far as is known.
    pub fn active(&self) -> Option<IpAddr> {
        match self.phase {
            Phase::Active(_) => Some(self.config.source),
            Phase::Waiting(_)
            | Phase::Backup(_)
            | Phase::Fault(_)
            | Phase::Leaving(_)
            | Phase::Released => self.heard.map(|heard| heard.from),
        }
    }

    /// What it is told.
    pub fn config(&self) -> &RouterConfig {
        &self.config
    }

    /// Whether that is this router with other settings. Another identifier, family, interface or
    /// version makes another router.
    pub fn is_same_router(&self, config: &RouterConfig) -> bool {
        let identity = |c: &RouterConfig| (c.vrid, c.family, c.version, c.interface.clone());
        identity(&self.config) == identity(config)
    }

    /// RFC 9568 6.4.1 and RFC 3768 6.4.1: the event Startup.
    fn start(&mut self, start: Start, now: Moment) {
        match start {
            Start::Leaving => self.release(now),
            Start::Fresh | Start::Resume if !self.is_fit() => self.fail(now),
            Start::Resume => self.take_over(Why::Resumed, now),
            Start::Fresh if self.config.priority == OWNER => self.take_over(Why::Owner, now),
            Start::Fresh => self.watch(Why::Started, now),
        }
    }

    /// Whether it may be Active.
    fn is_fit(&self) -> bool {
        self.condition.faults.is_empty()
    }

    /// Notes who is Active. While two are, it is the better one that counts, for the other is about
    /// to yield: says whether it is this one.
    fn follow(&mut self, from: IpAddr, priority: u8, interval: Interval, now: Moment) -> bool {
        let heard = Heard { from, priority, interval, at: now };
        let has_better = self.heard.is_some_and(|known| {
            let ranks_above = (known.priority, known.from) > (priority, from);
            known.from != from && ranks_above && self.is_alive(&known, now)
        });
        if has_better {
            self.beside = Some(heard);
        } else {
            self.beside = self.beside.filter(|other| other.from != from);
            self.heard = Some(heard);
        }
        !has_better
    }

    /// Whether it was heard within its dead time.
    fn is_alive(&self, heard: &Heard, now: Moment) -> bool {
        now.since(heard.at) < self.dead(heard.interval)
    }

    /// The director that is Active, by its address in the configuration.
    fn active_peer(&self) -> Option<IpAddr> {
        self.heard.and_then(|heard| self.peers.sender(&self.config, &heard))
    }

    fn enter(&mut self, phase: Phase, why: Why) {
        let from = self.state();
        self.phase = phase;
        let to = self.state();
        if from == State::Active && to != State::Active {
            self.outputs.retain(Output::outlives_active);
        }
        if from != to {
            self.claimed &= from == State::Initialize;
            self.outputs.push_back(Output::Changed { from, to, why });
        }
    }

    fn notice(&mut self, notice: Notice, now: Moment) {
        if !matches!(self.phase, Phase::Released) && self.episodes.begins(&notice, now) {
            self.outputs.push_back(Output::Noticed(notice));
        }
    }

    /// Advertises itself as it is.
    fn send(&mut self) {
        let advert = self.advert(self.priority());
        self.outputs.push_back(Output::Send(advert));
    }

    /// RFC 9568 6.4.3: priority 0 says that the Active router has stopped participating.
    fn resign(&mut self) {
        let advert = self.advert(0);
        self.outputs.push_back(Output::Send(advert));
    }

    fn advert(&self, priority: u8) -> Advert {
        let config = &self.config;
        let restarts = matches!(self.phase, Phase::Active(Active { restarts: true, .. }));
        let interval = match restarts {
            true => timers::restart_interval(config.interval),
            false => config.interval,
        };
        let auth = match (config.version, config.password) {
            (Version::V2, Some(password)) => Auth::Pass(password),
            (Version::V2, None) | (Version::V3, _) => Auth::None,
        };
        Advert {
            version: config.version,
            vrid: config.vrid.get(),
            priority,
            interval,
            addresses: config.advertised(),
            auth,
        }
    }
}

#[cfg(test)]
mod tests;
