//! The VIPs on the side of the advertising thread: which it wants, and which it may announce.
//!
//! The wish goes to the other thread as a letter with a number, again and again, for a lease is
//! renewed only while somebody asks for it. A VIP may be announced when a letter back, no older
//! than the wish, says that it stands; what was to be announced before that waits here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::addresses::{News, Order};
use super::vips::{Wanted, lease};
use crate::clock::Moment;
use crate::vrrp::config::{RouterConfig, Vip};
use crate::vrrp::router::RESTART;
use crate::vrrp::speaker::Speaker;

/// Without a VIP, how often the other thread hears that there is none.
const IDLE: Duration = Duration::from_secs(60);

/// How soon a letter that found no room is written anew.
const BUSY: Duration = Duration::from_millis(50);

/// After a planned restart, how long the VIPs wait for the next process beyond the time that the
/// other directors were asked for.
const OVERLAP: Duration = Duration::from_secs(2);

/// What is wanted.
#[derive(Default)]
pub(super) struct Holding {
    generation: u64,
    leases: BTreeMap<Vip, u32>,
    /// The letter in which each VIP was first wanted.
    since: BTreeMap<Vip, u64>,
    /// Announcements of VIPs that do not stand yet.
    waiting: BTreeMap<Vip, u8>,
    /// For each router whether it holds, as it was in the last letter.
    holds: Vec<bool>,
    /// When the next letter is due.
    renew: Moment,
}

impl Holding {
    /// Whether the other thread has to hear of it.
    pub(super) fn is_due(&self, speaker: &Speaker, now: Moment) -> bool {
        let holds = speaker.routers().map(|(_, router)| router.holds());
        now >= self.renew || !holds.eq(self.holds.iter().copied())
    }

    /// When it has to in any case.
    pub(super) fn poll_timeout(&self) -> Moment {
        self.renew
    }

    /// It has to, for something else has changed.
    pub(super) fn hurry(&mut self) {
        self.renew = Moment::ZERO;
    }

    /// The letter could not be sent.
    pub(super) fn put_off(&mut self, now: Moment) {
        self.renew = now + BUSY;
    }

    /// The letter. `soon`: routers that there will be; `restarting`: it is for the next process.
    pub(super) fn order(
        &mut self,
        speaker: &Speaker,
        soon: &[RouterConfig],
        restarting: bool,
        now: Moment,
    ) -> Order {
        self.generation += 1;
        let configs = || speaker.routers().map(|(_, router)| router.config());
        let held = speaker.routers().filter(|(_, router)| router.holds());
        let mut leases = BTreeMap::new();
        for config in held.map(|(_, router)| router.config()) {
            let own = if restarting { lease(config).max(restart_lease()) } else { lease(config) };
            for vip in &config.vips {
                let longest = leases.entry(vip.clone()).or_insert(own);
                *longest = own.max(*longest);
            }
        }
        self.waiting.retain(|vip, _| leases.contains_key(vip));
        self.since.retain(|vip, _| leases.contains_key(vip));
        for vip in leases.keys() {
            self.since.entry(vip.clone()).or_insert(self.generation);
        }
        let shortest = leases.values().min().map(|s| Duration::from_secs((*s).into()));
        self.renew = now + shortest.map_or(IDLE, |shortest| shortest / 3);
        self.holds = speaker.routers().map(|(_, router)| router.holds()).collect();
        self.leases.clone_from(&leases);
        let places =
            configs().flat_map(|c| c.vips.iter().map(|v| (v.interface.clone(), v.address)));
        let wanted = Wanted {
            generation: self.generation,
            vips: leases,
            known: places.collect(),
            until: now + shortest.map_or(IDLE, |shortest| shortest * 2 / 3),
        };
        let interfaces = configs().chain(soon).flat_map(interfaces).collect();
        Order { wanted, interfaces }
    }

    /// The number of the last letter.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a VIP may be announced.
    pub(super) fn stands(&self, vip: &Vip, news: &News) -> bool {
        let since = self.since.get(vip);
        news.standing.contains(vip) && since.is_some_and(|since| news.generation >= *since)
    }

    /// To be announced once more, as soon as it stands.
    pub(super) fn wait(&mut self, vip: &Vip) {
        let times = self.waiting.entry(vip.clone()).or_default();
        *times = times.saturating_add(1);
    }

    /// What waited and stands now, with how often it is to be announced.
    pub(super) fn ready(&mut self, news: &News) -> BTreeMap<Vip, u8> {
        let waiting = std::mem::take(&mut self.waiting);
        let (ready, waiting) = waiting.into_iter().partition(|(vip, _)| self.stands(vip, news));
        self.waiting = waiting;
        ready
    }
}

/// The interfaces that a router has to do with.
pub(super) fn interfaces(config: &RouterConfig) -> BTreeSet<String> {
    let vips = config.vips.iter().map(|vip| vip.interface.clone());
    vips.chain([config.interface.clone()]).collect()
}

fn restart_lease() -> u32 {
    u32::try_from((RESTART + OVERLAP).as_secs()).expect("seconds")
}
