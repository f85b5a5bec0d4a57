//! Backup: watches the Active router and takes over when it is gone (RFC 9568 6.4.2, RFC 3768
//! 6.4.2).
//!
//! Beyond the RFCs: the best-ranked one of the directors in the cluster file need not wait for its
//! skew time when the Active one is known to be gone, and a Backup that was itself not run for
//! longer than the dead time listens once more before it believes the silence.

use std::net::IpAddr;
use std::time::Duration;

use super::rank::Opening;
use super::*;
use crate::vrrp::config::{Preempt, Transport};

impl Router {
    /// Enters Backup from outside, with nothing heard.
    pub(super) fn watch(&mut self, why: Why, now: Moment) {
        let learned = self.learned();
        let span = self.dead(learned);
        let mut backup = self.backup(learned, span, now);
        backup.fresh = true;
        self.enter(Phase::Backup(backup), why);
        self.consider_start(now);
    }

    /// A Backup whose Active_Down_Timer runs for `span`.
    pub(super) fn backup(&self, learned: Interval, span: Duration, now: Moment) -> Backup {
        Backup {
            down: now + span,
            span,
            cause: None,
            learned,
            preempts: None,
            fresh: false,
            listens: false,
            unheard: None,
            keeping: None,
        }
    }

    /// Active_Down_Interval.
    pub(super) fn dead(&self, learned: Interval) -> Duration {
        timers::dead(self.config.version, self.priority(), learned)
    }

    /// RFC 9568 6.4.1: Active_Adver_Interval starts as the own interval; but one who is known to
    /// advertise less often is not taken for dead.
    fn learned(&self) -> Interval {
        let own = self.config.interval;
        self.heard.map_or(own, |heard| heard.interval.max(own))
    }

    /// At the start, when every director is known not to be Active and this one ranks first, there
    /// is nobody to wait for. Multicast may carry the voice of others, and a host that refuses the
    /// connection may run another program: they get one interval.
    pub(super) fn consider_start(&mut self, now: Moment) {
        let opening = self.peers.opening(&self.config, self.priority());
        let listen = timers::listen(self.config.version, self.priority(), self.config.interval);
        let Phase::Backup(backup) = &mut self.phase else { return };
        if !backup.fresh {
            return;
        }
        match (opening, self.config.transport) {
            (Opening::Closed, _) => {}
            (Opening::Free, Transport::Unicast) => backup.hasten(Why::FirstOfAll, now),
            (Opening::Quiet, _) | (Opening::Free, Transport::Multicast) => {
                backup.shorten(listen, now);
            }
        }
    }

    /// RFC 9568 6.4.2, RFC 3768 6.4.2: an advertisement is received.
    pub(super) fn backup_hears(&mut self, from: IpAddr, advert: &Advert, now: Moment) {
        if advert.priority == 0 {
            return self.hear_resignation(from, now);
        }
        let own = self.priority();
        if advert.priority == own {
            self.notice(Notice::EqualPriority { from, priority: own }, now);
        }
        self.let_vips_go(now);
        let dead = self.dead(advert.interval);
        self.heed(from, advert.priority, advert.interval, dead, now);
    }

    /// That one is Active, and will say so again within `dead`.
    pub(super) fn heed(
        &mut self,
        from: IpAddr,
        priority: u8,
        interval: Interval,
        dead: Duration,
        now: Moment,
    ) {
        let own = self.priority();
        let follows = self.follow(from, priority, interval, now);
        let preempt = self.preempt();
        let preempts = self.preempts(from, now);
        let Phase::Backup(backup) = &mut self.phase else { return };
        backup.fresh = false;
        let ranks_below = priority < own;
        match preempt {
            // Discarded: Active_Down_Timer goes on, and preempts it.
            Preempt::Now if ranks_below => {}
            // Beside a better one it puts the takeover off, but hastens nothing.
            Preempt::Now | Preempt::Never | Preempt::After(_) if !follows => {
                backup.lengthen(dead, now);
            }
            Preempt::Now | Preempt::Never | Preempt::After(_) => {
                backup.preempts = if ranks_below { backup.preempts.or(preempts) } else { None };
                backup.learned = interval;
                backup.wait(dead, now);
            }
        }
    }

    /// When one of lower priority that is heard now may be preempted. The best-ranked goes first,
    /// the others only if it does not.
    fn preempts(&self, from: IpAddr, now: Moment) -> Option<Moment> {
        let Preempt::After(delay) = self.preempt() else { return None };
        let (version, own) = (self.config.version, self.priority());
        let is_first = self.peers.this_host_is_first(&self.config, own, Some(from));
        let skew = timers::skew(version, own, self.config.interval);
        Some(now + delay + if is_first { Duration::ZERO } else { skew })
    }

    fn hear_resignation(&mut self, from: IpAddr, now: Moment) {
        if self.heard.is_none_or(|heard| heard.from == from) {
            let peer = self.active_peer().unwrap_or(from);
            return self.lose_active(peer, Why::Resigned { by: from }, now);
        }
        self.beside = self.beside.filter(|other| other.from != from);
        // Not of the one that is followed, which therefore is still there, and advertises itself
        // once in this time. The packet may also have been overtaken by its successor's.
        let (version, own) = (self.config.version, self.priority());
        if let Phase::Backup(backup) = &mut self.phase {
            backup.shorten(timers::listen(version, own, backup.learned), now);
        }
    }

    /// RFC 9568 6.1: the owner of the addresses always preempts.
    fn preempt(&self) -> Preempt {
        if self.config.priority == OWNER { Preempt::Now } else { self.config.preempt }
    }

    /// The Active one is gone and said so, or was seen to be. The best-ranked one takes over at
    /// once, the others after their skew time; unless somebody already has.
    pub(super) fn lose_active(&mut self, active: IpAddr, why: Why, now: Moment) {
        self.heard = self.successor(now);
        self.beside = None;
        let is_first = self.peers.this_host_is_first(&self.config, self.priority(), Some(active));
        let (version, own, heard) = (self.config.version, self.priority(), self.heard);
        let Phase::Backup(backup) = &mut self.phase else { return };
        match heard {
            Some(heard) => {
                backup.learned = heard.interval;
                backup.wait(timers::listen(version, own, heard.interval), now);
            }
            // After a stall, what comes in may be old; and it does not listen for long.
            None if backup.listens => {}
            None if is_first => backup.hasten(why, now),
            None => self.wait_skew_time(now),
        }
    }

    /// Another one that is Active beside the followed one, and is not to be preempted: what it
    /// said may have come before the resignation that made it so. If it has yielded instead, one
    /// interval shows that.
    fn successor(&self, now: Moment) -> Option<Heard> {
        let other = self.beside.filter(|other| self.is_alive(other, now))?;
        (!self.is_discarded(other.priority)).then_some(other)
    }

    /// Whether an advertisement of this priority puts no takeover off.
    fn is_discarded(&self, priority: u8) -> bool {
        priority < self.priority() && self.preempt() == Preempt::Now
    }

    /// RFC 9568 6.4.2: Active_Down_Timer becomes Skew_Time. It is only ever shortened, so that
    /// nobody keeps a Backup waiting by resigning again and again.
    fn wait_skew_time(&mut self, now: Moment) {
        let (version, priority) = (self.config.version, self.priority());
        if let Phase::Backup(backup) = &mut self.phase {
            backup.fresh = false;
            backup.preempts = None;
            backup.shorten(timers::skew(version, priority, backup.learned), now);
        }
    }

    /// The Active one's process is being replaced, and is not to be taken for dead before that
    /// can have happened.
    pub(super) fn wait_for_restart(&mut self, peer: IpAddr, now: Moment) {
        let until = self.peers.restarting(peer, now);
        if let (Phase::Backup(backup), Some(until)) = (&mut self.phase, until)
            && backup.down < until
        {
            backup.wait(until.since(now), now);
        }
    }

    /// Until when a Backup watches an Active router that it would not preempt.
    pub(crate) fn watches_until(&self, now: Moment) -> Option<Moment> {
        let Phase::Backup(backup) = &self.phase else { return None };
        let until = backup.preempts.unwrap_or(backup.down).min(backup.down);
        let is_discarded = self.is_discarded(self.heard?.priority);
        (until > now && !is_discarded).then_some(until)
    }

    /// A Backup that would take over now does not before `until`: its sync group cannot.
    pub(crate) fn put_off(&mut self, until: Moment, now: Moment) {
        let Phase::Backup(backup) = &mut self.phase else { return };
        if backup.down <= now {
            backup.lengthen(until.since(now), now);
        }
        backup.preempts = backup.preempts.map(|when| if when <= now { until } else { when });
    }

    pub(super) fn backup_timeout(&mut self, now: Moment) {
        let Phase::Backup(backup) = &self.phase else { return };
        if backup.down <= now && backup.fresh && self.doubts_silence(now) {
            return;
        }
        let Phase::Backup(backup) = &self.phase else { return };
        let why = match self.heard {
            // RFC 9568 6.4.2: Active_Down_Timer fires.
            _ if backup.down <= now && backup.listens && backup.keeping.is_some() => {
                Why::StillFirst
            }
            Some(heard) if backup.down <= now && self.is_lower_and_alive(&heard, now) => {
                Why::Preempted { from: heard.from }
            }
            _ if backup.down <= now => {
                let silence = Why::Silence { after: backup.span };
                backup.cause.clone().unwrap_or(silence)
            }
            Some(heard) if backup.preempts.is_some_and(|when| when <= now) => {
                Why::Preempted { from: heard.from }
            }
            Some(_) | None => return,
        };
        self.take_over(why, now);
    }

    fn is_lower_and_alive(&self, heard: &Heard, now: Moment) -> bool {
        heard.priority < self.priority() && now.since(heard.at) < self.dead(heard.interval)
    }

    /// What was sent while this process did not run may be lost. The Active one is given the time
    /// to say that it is there.
    pub(super) fn listen_once_more(&mut self, now: Moment) {
        let (version, priority) = (self.config.version, self.priority());
        let told_span = self.told_span();
        if let Phase::Backup(backup) = &mut self.phase {
            let listen = timers::listen(version, priority, backup.learned);
            let span = if backup.unheard.is_some() { told_span } else { listen };
            backup.preempts = None;
            backup.wait(span, now);
            backup.listens = true;
        }
    }
}

impl Backup {
    /// Active_Down_Timer starts anew.
    pub(super) fn wait(&mut self, span: Duration, now: Moment) {
        (self.down, self.span, self.listens) = (now + span, span, false);
        self.cause = None;
    }

    /// Active_Down_Timer is due. The takeover waits for the timeout to be handled, before which the
    /// sockets are read empty: after a stall, an old resignation may have a younger advertisement
    /// behind it.
    pub(super) fn hasten(&mut self, why: Why, now: Moment) {
        (self.down, self.fresh, self.preempts) = (self.down.min(now), false, None);
        self.cause = Some(why);
    }

    /// Active_Down_Timer fires at the earliest then.
    pub(super) fn lengthen(&mut self, span: Duration, now: Moment) {
        if now + span > self.down {
            (self.down, self.span, self.cause) = (now + span, span, None);
        }
    }

    /// Active_Down_Timer fires at the latest then.
    pub(super) fn shorten(&mut self, span: Duration, now: Moment) {
        if now + span < self.down {
            (self.down, self.span) = (now + span, span);
        }
    }
}
