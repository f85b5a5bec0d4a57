//! The ways out of Active that another host should take over from: a fault, the release, and a
//! sync group that goes.
//!
//! The router resigns at once, and the VIPs stay until another host has them: its own kernel goes
//! on answering and forwarding meanwhile, so no client sees a hole. A bound keeps them from staying
//! for good. Only when the link is lost do they go at once, for then nobody is served by them.

use std::net::IpAddr;

use super::phase::Keeping;
use super::*;
use crate::vrrp::config::Transport;

impl Router {
    /// Tracking found a fault.
    pub(super) fn fail(&mut self, now: Moment) {
        let why = Why::Faults(self.condition.faults.clone());
        if self.condition.unreachable || !self.holds() {
            return self.enter(Phase::Fault(None), why);
        }
        self.resign();
        let keeping = self.keep(now);
        self.enter(Phase::Fault(Some(keeping)), why);
    }

    /// The faults are gone. As after a start, but whoever still has the VIPs first hears whether
    /// anybody took over.
    pub(super) fn recover(&mut self, now: Moment) {
        match &self.phase {
            _ if self.config.priority == OWNER => self.take_over(Why::Recovered, now),
            Phase::Fault(Some(_)) => self.listen(Why::Recovered, now),
            _ => self.watch(Why::Recovered, now),
        }
    }

    pub(super) fn forget_vips_if_unreachable(&mut self) {
        if let (true, Phase::Fault(keeping)) = (self.condition.unreachable, &mut self.phase) {
            *keeping = None;
        }
    }

    /// RFC 9568 6.4.2 and 6.4.3: the event Shutdown.
    pub(super) fn release(&mut self, now: Moment) {
        match &self.phase {
            Phase::Leaving(_) | Phase::Released => {}
            phase if phase.holds() => {
                self.resign();
                let keeping = self.keep(now);
                self.enter(Phase::Leaving(keeping), Why::Released);
            }
            Phase::Waiting(_) | Phase::Backup(_) | Phase::Active(_) | Phase::Fault(_) => {
                self.finish();
            }
        }
    }

    fn finish(&mut self) {
        self.enter(Phase::Released, Why::Released);
        self.outputs.push_back(Output::Done);
    }

    /// Routers that are in no file may hear multicast, and could take over.
    fn keep(&self, now: Moment) -> Keeping {
        let heard = self.config.transport == Transport::Multicast
            || self.peers.anybody_could_take_over(&self.config);
        match heard {
            true => Keeping::resigning(now, timers::keep(&self.config)),
            false => Keeping::silent(now, timers::NOBODY),
        }
    }

    /// In Fault and while leaving, advertisements only tell that somebody has taken over.
    pub(super) fn bystander_hears(&mut self, from: IpAddr, advert: &Advert, now: Moment) {
        if advert.priority == 0 {
            self.heard = self.heard.filter(|heard| heard.from != from);
            return;
        }
        self.follow(from, advert.priority, advert.interval, now);
        self.let_vips_go(now);
    }

    /// Another host has the VIPs: those that are kept here go.
    pub(super) fn let_vips_go(&mut self, now: Moment) {
        let span = self.dead(self.config.interval);
        match &mut self.phase {
            Phase::Backup(backup) => {
                backup.keeping = None;
                // It listened for whether there is another one. There is; from now on it is
                // watched as any other.
                if backup.listens {
                    backup.wait(span, now);
                }
            }
            Phase::Fault(keeping) => *keeping = None,
            Phase::Leaving(_) => self.finish(),
            Phase::Waiting(_) | Phase::Active(_) | Phase::Released => {}
        }
    }

    pub(super) fn keeping_timeout(&mut self, now: Moment) {
        let Some(keeping) = self.phase.keeping() else { return };
        let is_over = keeping.until <= now;
        let resigns_again = keeping.again.is_some_and(|when| when <= now);
        if resigns_again {
            keeping.again = None;
        }
        if resigns_again && !is_over {
            self.resign();
        }
        if !is_over {
            return;
        }
        match &mut self.phase {
            // The VIPs of one who heard nobody stay: it is Active again within the same call.
            Phase::Backup(backup) if backup.listens && backup.down <= now => {}
            Phase::Backup(Backup { keeping, .. }) | Phase::Fault(keeping) => *keeping = None,
            Phase::Leaving(_) => self.finish(),
            Phase::Waiting(_) | Phase::Active(_) | Phase::Released => {}
        }
    }

    /// Another router of the sync group became Active: so does this one.
    pub(crate) fn handle_group_active(&mut self, member: &str, now: Moment) {
        match &self.phase {
            Phase::Waiting(Waiting { start: Start::Leaving, .. }) => {}
            Phase::Waiting(_) | Phase::Backup(_) if self.is_fit() => {
                self.take_over(Why::Group { member: member.to_owned() }, now);
            }
            Phase::Waiting(_)
            | Phase::Backup(_)
            | Phase::Active(_)
            | Phase::Fault(_)
            | Phase::Leaving(_)
            | Phase::Released => {}
        }
    }

    /// Another router of the sync group yielded: so does this one, and the host that won there
    /// will take over here.
    pub(crate) fn handle_group_yield(&mut self, member: &str, now: Moment) {
        self.notice_stall(now);
        let has_them = match &self.phase {
            Phase::Active(_) => true,
            Phase::Backup(backup) => backup.listens && backup.keeping.is_some(),
            Phase::Waiting(_) | Phase::Fault(_) | Phase::Leaving(_) | Phase::Released => false,
        };
        if !has_them {
            return;
        }
        self.resign();
        let own = self.config.interval;
        let mut backup = self.backup(own, self.dead(own), now);
        if let Some((peer, priority)) = self.first_rival() {
            self.follow_unheard(&mut backup, peer, priority, now);
        }
        backup.keeping = Some(self.keep(now));
        self.enter(Phase::Backup(backup), Why::Group { member: member.to_owned() });
    }
}
