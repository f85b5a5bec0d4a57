//! A director that is Active, but whose advertisements do not come: protocol 112 is filtered on the
//! way, as a firewall or a security group does it, while the connection between the two lives.
//!
//! The connection is then a second path. Its word counts only with evidence that can be had of
//! nobody who stalls: both are Active, and the other says so again and again. Its announcements of
//! the VIPs have to come, too; where they do not, the segment itself is parted, and a host that
//! only the connection reaches would serve nobody on this side. Whoever yielded so heeds what it
//! is told like advertisements, until it hears one.

use std::net::IpAddr;
use std::time::Duration;

use super::timers::{BELIEVED, DOUBTED};
use super::*;

impl Router {
    /// Another director says that it is Active. It says so once a second for as long as it is.
    pub(super) fn hear_of_active(&mut self, peer: IpAddr, priority: u8, now: Moment) {
        self.let_vips_go(now);
        match &self.phase {
            Phase::Active(_) => self.active_is_told(peer, priority, now),
            Phase::Backup(Backup { unheard, .. }) if *unheard == Some(peer) => {
                self.notice(Notice::Unheard { peer }, now);
                self.heed(peer, priority, self.told_interval(), self.told_span(), now);
            }
            Phase::Waiting(_)
            | Phase::Backup(_)
            | Phase::Fault(_)
            | Phase::Leaving(_)
            | Phase::Released => {}
        }
    }

    /// What was said once may be older than what was heard, and a stalled process may have said
    /// it. Said again later, it is true.
    fn active_is_told(&mut self, peer: IpAddr, priority: u8, now: Moment) {
        self.notice(Notice::AlsoActive { peer }, now);
        let Phase::Active(active) = &mut self.phase else { return };
        let rival = active.rivals.entry(peer).or_insert(Rival { since: now, priority });
        rival.priority = priority;
        if now.since(rival.since) < BELIEVED {
            return;
        }
        let ranks_above = (priority, peer) > (self.priority(), self.config.source);
        match ranks_above {
            true if self.claimed => self.yield_unheard(peer, priority, now),
            true => {}
            // The other yields when it knows that the segment is one.
            false => self.announce_again(now),
        }
    }

    /// The best of those who say that they are Active, if it ranks above this host. What ties this
    /// router to its group has yielded already.
    pub(super) fn first_rival(&self) -> Option<(IpAddr, u8)> {
        let Phase::Active(active) = &self.phase else { return None };
        let ranks = active.rivals.iter().map(|(peer, rival)| (rival.priority, *peer));
        let best = ranks.max().filter(|best| *best > (self.priority(), self.config.source));
        best.map(|(priority, peer)| (peer, priority))
    }

    fn yield_unheard(&mut self, peer: IpAddr, priority: u8, now: Moment) {
        let mut backup = self.backup(self.config.interval, self.told_span(), now);
        self.follow_unheard(&mut backup, peer, priority, now);
        self.enter(Phase::Backup(backup), Why::Unheard { to: peer, priority });
        // One direction may be open: as with any that yields.
        self.send();
        self.notice(Notice::Unheard { peer }, now);
    }

    /// From now on what that director says counts like its advertisements.
    pub(super) fn follow_unheard(
        &mut self,
        backup: &mut Backup,
        from: IpAddr,
        priority: u8,
        now: Moment,
    ) {
        let interval = self.told_interval();
        (self.heard, self.beside) = (Some(Heard { from, priority, interval, at: now }), None);
        backup.unheard = Some(from);
        backup.wait(self.told_span(), now);
    }

    /// The director says anything else than that it is Active, or its connection is lost: what
    /// remains is silence, and the protocol's time for it.
    pub(super) fn hear_no_more_of_active(&mut self, peer: IpAddr, is_there: bool, now: Moment) {
        let (dead, restarts) = (self.dead(self.config.interval), self.peers.restarting(peer, now));
        match &mut self.phase {
            Phase::Backup(backup) if backup.unheard == Some(peer) && restarts.is_none() => {
                backup.shorten(dead, now);
            }
            Phase::Active(active) => {
                let was_rival = active.rivals.remove(&peer).is_some();
                if was_rival && is_there {
                    // Its neighbours may still send to it.
                    self.announce_again(now);
                }
            }
            Phase::Backup(_)
            | Phase::Waiting(_)
            | Phase::Fault(_)
            | Phase::Leaving(_)
            | Phase::Released => {}
        }
    }

    /// An advertisement came through.
    pub(super) fn hear_again(&mut self, from: IpAddr, advert: &Advert, now: Moment) {
        let (priority, interval) = (advert.priority, advert.interval);
        let heard = Heard { from, priority, interval, at: now };
        let sender = self.peers.sender(&self.config, &heard);
        match &mut self.phase {
            Phase::Backup(backup) => {
                backup.unheard = backup.unheard.filter(|peer| Some(*peer) != sender);
            }
            Phase::Active(active) => active.rivals.retain(|peer, _| Some(*peer) != sender),
            Phase::Waiting(_) | Phase::Fault(_) | Phase::Leaving(_) | Phase::Released => {}
        }
    }

    /// The first silence after a start may be a filter's, if a director that ranks above says that
    /// it is Active and its announcement was seen. Whether it says so again is waited for, once.
    pub(super) fn doubts_silence(&mut self, now: Moment) -> bool {
        let own = (self.priority(), self.config.source);
        let rivals = self.config.peers.iter().filter_map(|peer| {
            let priority = self.peers.says_active(peer.address)?;
            Some((priority, peer.address))
        });
        let best = rivals.max().filter(|best| *best > own && self.claimed);
        let Phase::Backup(backup) = &mut self.phase else { return false };
        let (Some((_, peer)), true, None) = (best, backup.fresh, &backup.cause) else {
            return false;
        };
        (backup.fresh, backup.unheard) = (false, Some(peer));
        backup.wait(DOUBTED, now);
        true
    }

    /// How often it is said over the connection, as an interval.
    fn told_interval(&self) -> Interval {
        let own = self.config.interval;
        own.max(Interval::new(self.config.version, timers::TOLD_EVERY).unwrap_or(own))
    }

    /// How long a host that is only heard over the connection may say nothing: as long as the
    /// connection lives without a word.
    pub(super) fn told_span(&self) -> Duration {
        let own = self.config.interval;
        let skew = timers::skew(self.config.version, self.priority(), own);
        self.dead(own).max(timers::TOLD_EVERY * 3 + skew)
    }
}
