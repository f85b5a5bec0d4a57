//! Active: holds the VIPs and says so (RFC 9568 6.4.3, RFC 3768 6.4.3).
//!
//! Beyond the RFCs: the winner of a conflict announces the VIPs again, for the neighbours may have
//! learnt the loser's address; and a process that was not run for longer than the dead time listens
//! before it says anything, for others have taken over by now.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::announcer::Announcer;
use super::phase::Keeping;
use super::*;

impl Router {
    /// RFC 9568 6.4.2: advertises itself first, then the VIPs are added, then announced.
    pub(super) fn take_over(&mut self, why: Why, now: Moment) {
        (self.heard, self.beside) = (None, None);
        self.send();
        let plan = self.config.announcing;
        let active = Active {
            since: now,
            advert: now + self.config.interval.get(),
            answered: None,
            restarts: false,
            announcer: Announcer::new(plan, now),
            rivals: BTreeMap::new(),
        };
        self.enter(Phase::Active(active), why);
        self.announce(plan.repeat);
    }

    fn announce(&mut self, times: u8) {
        self.outputs.extend((0..times).map(|_| Output::Announce));
    }

    /// Another burst as soon as the rate allows.
    pub(super) fn announce_again(&mut self, now: Moment) {
        let apart = timers::between_bursts(self.config.interval);
        if let Phase::Active(active) = &mut self.phase {
            active.announcer.ask(apart, now);
            let times = active.announcer.due(self.config.announcing, now);
            self.announce(times);
        }
    }

    /// RFC 9568 6.4.3, RFC 3768 6.4.3: an advertisement is received.
    pub(super) fn active_hears(&mut self, from: IpAddr, advert: &Advert, now: Moment) {
        let (own, theirs) = (self.priority(), advert.priority);
        if theirs == 0 {
            // Others may have heard it, too, and are waiting for nothing but their skew time. Who
            // resigns had the VIPs, and its neighbours may still send to it.
            self.send();
            self.restart_adver_timer(now);
            return self.announce_again(now);
        }
        if theirs == own {
            self.notice(Notice::EqualPriority { from, priority: own }, now);
        }
        // Erratum 8298: the owner of the addresses takes part in the election like everyone. The
        // larger address wins a tie, as an unsigned number in network order.
        if (theirs, from) > (own, self.config.source) {
            return self.yield_to(from, advert, now);
        }
        // At a takeover the other one said so before it heard of this one.
        let crosses = self.config.interval.get().min(timers::CROSSING);
        if matches!(&self.phase, Phase::Active(active) if now.since(active.since) >= crosses) {
            self.notice(Notice::Conflict { from, priority: theirs }, now);
        }
        self.answer(now);
        self.announce_again(now);
    }

    /// RFC 9568 6.4.3: one of lower priority is answered at once. RFC 3768 would say nothing, which
    /// prolongs the conflict. Two who both believe that they win do not answer each other's
    /// answers: one answer per interval.
    fn answer(&mut self, now: Moment) {
        let interval = self.config.interval.get();
        let Phase::Active(active) = &mut self.phase else { return };
        if active.answered.is_none_or(|last| now.since(last) >= interval) {
            active.answered = Some(now);
            self.send();
        }
    }

    /// Says once more that it was Active: the winner may not have heard it yet, and announces the
    /// VIPs again when it does. The RFCs say nothing here, and after a partition the neighbours on
    /// this side would go on sending to this host.
    fn yield_to(&mut self, from: IpAddr, advert: &Advert, now: Moment) {
        let (priority, interval) = (advert.priority, advert.interval);
        (self.heard, self.beside) = (Some(Heard { from, priority, interval, at: now }), None);
        let backup = self.backup(interval, self.dead(interval), now);
        self.enter(Phase::Backup(backup), Why::Yielded { to: from, priority });
        self.send();
    }

    pub(super) fn active_timeout(&mut self, now: Moment) {
        let interval = self.config.interval;
        let Phase::Active(active) = &mut self.phase else { return };
        // RFC 9568 6.4.3: Adver_Timer fires.
        if active.advert <= now {
            active.advert = timers::next(active.advert, interval, now);
            active.restarts = false;
            self.send();
        }
        let Phase::Active(active) = &mut self.phase else { return };
        let times = active.announcer.due(self.config.announcing, now);
        self.announce(times);
    }

    /// Adver_Timer starts anew; before a restart it is the patience that the others were asked for.
    pub(super) fn restart_adver_timer(&mut self, now: Moment) {
        let interval = self.config.interval.get();
        if let Phase::Active(active) = &mut self.phase
            && !active.restarts
        {
            active.advert = now + interval;
        }
    }

    /// A longer interval keeps v3 routers waiting while this process is replaced. Version 2 cannot
    /// say so: there the last advertisement is as late as it can be.
    pub(super) fn announce_restart(&mut self, now: Moment) {
        let Phase::Active(active) = &mut self.phase else { return };
        match self.config.version {
            Version::V2 => self.restart_adver_timer(now),
            Version::V3 => (active.restarts, active.advert) = (true, now + RESTART),
        }
        self.send();
    }

    /// Called before anything is done. An Active router that was not run for longer than the dead
    /// time is no longer sure to be the only one: it keeps the VIPs and listens. A Backup that was
    /// not may have missed what was sent meanwhile, and listens once more.
    pub(super) fn notice_stall(&mut self, now: Moment) {
        match &self.phase {
            Phase::Active(active) => {
                // The others have counted since the last advertisement, one interval before.
                let late = now.since(active.advert);
                let silent = late + self.config.interval.get();
                if !late.is_zero() && silent > self.dead(self.config.interval) {
                    self.notice(Notice::Late { by: late }, now);
                    self.listen(Why::Stalled { by: late }, now);
                }
            }
            Phase::Backup(backup) => {
                let late = now.since(backup.preempts.unwrap_or(backup.down).min(backup.down));
                // Once: a process that is always late must still take over.
                if late > self.dead(backup.learned) && !backup.listens {
                    self.notice(Notice::Late { by: late }, now);
                    self.listen_once_more(now);
                }
            }
            Phase::Waiting(_) | Phase::Fault(_) | Phase::Leaving(_) | Phase::Released => {}
        }
    }

    /// Backup with the VIPs, for as long as it takes to hear who is Active.
    pub(super) fn listen(&mut self, why: Why, now: Moment) {
        let own = self.config.interval;
        let span = timers::listen(self.config.version, self.priority(), own);
        let mut backup = self.backup(own, span, now);
        backup.listens = true;
        backup.keeping = Some(Keeping::silent(now, span));
        self.enter(Phase::Backup(backup), why);
    }
}
