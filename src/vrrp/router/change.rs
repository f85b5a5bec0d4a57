//! A new configuration of a running router.
//!
//! What did not change does not move. What did takes effect in the state that the router is in:
//! an Active one says at once what is new about it, and a Backup goes by it from the next
//! advertisement on.

use super::*;

impl Router {
    pub(super) fn change(&mut self, config: RouterConfig, now: Moment) {
        if config == self.config {
            return;
        }
        let priority = self.priority();
        let old = std::mem::replace(&mut self.config, config);
        self.peers.keep_only(&self.config);
        match &self.phase {
            Phase::Active(_) => self.change_active(&old, priority, now),
            Phase::Backup(_) => self.change_backup(&old, now),
            Phase::Waiting(_) | Phase::Fault(_) | Phase::Leaving(_) | Phase::Released => {}
        }
    }

    fn change_active(&mut self, old: &RouterConfig, priority: u8, now: Moment) {
        let new = &self.config;
        let plan = new.announcing;
        let says_something_new = self.priority() != priority
            || (new.interval, new.password, new.checksum, new.transport, new.source)
                != (old.interval, old.password, old.checksum, old.transport, old.source)
            || new.advertised() != old.advertised()
            || new.peers.iter().any(|peer| !old.peers.contains(peer));
        let has_new_vips = new.vips.iter().any(|vip| !old.vips.contains(vip));
        let has_new_interval = new.interval != old.interval;
        if let Phase::Active(active) = &mut self.phase
            && plan != old.announcing
        {
            active.announcer.replan(plan, now);
        }
        if says_something_new {
            self.send();
        }
        if has_new_interval {
            self.restart_adver_timer(now);
        }
        if has_new_vips {
            self.announce_again(now);
        }
    }

    fn change_backup(&mut self, old: &RouterConfig, now: Moment) {
        let (own, before) = (self.config.interval, old.interval);
        let dead = self.dead(own);
        let has_new_preempt = self.config.preempt != old.preempt;
        let Phase::Backup(backup) = &mut self.phase else { return };
        if has_new_preempt {
            backup.preempts = None;
        }
        // Where no interval was learned from another, the own one is what is waited for.
        if own != before && backup.learned == before && !backup.listens {
            backup.learned = own;
            backup.wait(dead, now);
        }
        self.consider_start(now);
    }
}
