//! What a virtual router does, claim by claim, on a clock that stands until it is moved.

mod accepted;
mod announced;
mod beyond;
mod changed;
mod leaving;
mod properties;
mod rfc;
mod stalled;
mod unheard;

use std::collections::BTreeSet;
use std::num::NonZeroU8;
use std::time::Duration;

use super::*;
use crate::vrrp::config::{Announcing, Checksum, Family, Peer, Preempt, Transport, Vip};

/// Ourselves. The peers are one below and one above in the order of addresses.
const OWN: &str = "192.0.2.20";
const LOW: &str = "192.0.2.10";
const HIGH: &str = "192.0.2.30";
const VIP: &str = "192.0.2.100";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn priority(value: u8) -> NonZeroU8 {
    NonZeroU8::new(value).expect("a priority")
}

fn interval(version: Version, every: Duration) -> Interval {
    Interval::new(version, every).expect("an interval")
}

fn vip(address: &str) -> Vip {
    let address = format!("{address}/24").parse().expect("a prefix");
    Vip { address, interface: "eth0".to_owned(), label: None }
}

/// Priority 100, and a peer of 50 and one of 150.
fn config(version: Version) -> RouterConfig {
    let peer = |name: &str, address, value| Peer {
        name: name.to_owned(),
        address: ip(address),
        priority: priority(value),
    };
    RouterConfig {
        name: "web".to_owned(),
        vrid: priority(51),
        family: Family::Ipv4,
        version,
        interface: "eth0".to_owned(),
        source: ip(OWN),
        transport: Transport::Unicast,
        peers: vec![peer("low", LOW, 50), peer("high", HIGH, 150)],
        priority: priority(100),
        interval: Interval::DEFAULT,
        preempt: Preempt::Now,
        start_delay: Duration::ZERO,
        checksum: Checksum::PseudoHeader,
        password: None,
        sync_group: None,
        vips: vec![vip(VIP)],
        announcing: Announcing { repeat: 2, delay: ms(5000), refresh: ms(60_000) },
    }
}

fn with(version: Version, change: impl FnOnce(&mut RouterConfig)) -> RouterConfig {
    let mut config = config(version);
    change(&mut config);
    config
}

/// A router, the time, and what it has put out since it was last asked.
#[derive(Clone, Debug)]
struct Bench {
    router: Router,
    now: Moment,
}

impl Bench {
    /// Started, and its outputs seen.
    fn new(config: RouterConfig) -> Self {
        let mut bench = Bench::unstarted(config, Start::Fresh);
        bench.timeout();
        bench
    }

    fn unstarted(config: RouterConfig, start: Start) -> Self {
        let now = Moment::after_start(ms(1000));
        Bench { router: Router::new(config, start, now), now }
    }

    /// Active, after nobody was heard.
    fn active(config: RouterConfig) -> Self {
        let mut bench = Bench::new(config);
        bench.run(ms(60_000).min(bench.left()));
        assert_eq!(bench.router.state(), State::Active, "nobody else was heard");
        bench
    }

    /// The outputs since the last time.
    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.router.poll_output()).collect()
    }

    /// The outputs after an input, and after the timeout if that is due: what a driver does once
    /// its sockets are read empty.
    fn settle(&mut self) -> Vec<Output> {
        if self.router.poll_timeout().is_some_and(|due| due <= self.now) {
            self.router.handle_timeout(self.now);
        }
        self.drain()
    }

    fn timeout(&mut self) -> Vec<Output> {
        self.router.handle_timeout(self.now);
        self.drain()
    }

    /// Time passes, and every timer fires when it should.
    fn run(&mut self, span: Duration) -> Vec<Output> {
        let end = self.now + span;
        let mut seen = Vec::new();
        while let Some(due) = self.router.poll_timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            seen.extend(self.timeout());
        }
        self.now = end;
        seen
    }

    /// Time passes, and this process is not run.
    fn stall(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// Until the next timer fires.
    fn left(&self) -> Duration {
        self.router.poll_timeout().map_or(Duration::MAX, |due| due.since(self.now))
    }

    fn advert(&self, value: u8) -> Advert {
        let mut advert = self.router.advert(value);
        advert.interval = self.router.config().interval;
        advert
    }

    fn hear(&mut self, from: &str, value: u8) -> Vec<Output> {
        let advert = self.advert(value);
        self.hear_this(from, &advert)
    }

    fn hear_this(&mut self, from: &str, advert: &Advert) -> Vec<Output> {
        let verdict = self.router.handle_advert(ip(from), advert, self.now);
        assert_eq!(verdict, Ok(()), "{advert:?}");
        self.settle()
    }

    fn tell(&mut self, peer: &str, news: PeerNews) -> Vec<Output> {
        self.router.handle_peer(ip(peer), news, self.now);
        self.settle()
    }

    fn present(&mut self, peer: &str, state: State, value: u8) -> Vec<Output> {
        self.tell(peer, PeerNews::Present { state, priority: value })
    }

    /// It was heard on the connection, and its process has ended.
    fn gone(&mut self, peer: &str) -> Vec<Output> {
        let told = self.present(peer, State::Backup, 150);
        assert_eq!(told, []);
        self.tell(peer, PeerNews::Gone)
    }

    fn fault(&mut self, reasons: &[&str]) -> Vec<Output> {
        let faults: BTreeSet<String> = reasons.iter().map(|&reason| reason.to_owned()).collect();
        let condition = Condition { faults, ..Condition::default() };
        self.router.handle_condition(condition, self.now);
        self.settle()
    }

    fn adjust(&mut self, adjust: i16) -> Vec<Output> {
        let condition = Condition { adjust, ..Condition::default() };
        self.router.handle_condition(condition, self.now);
        self.settle()
    }

    /// State and whether the VIPs are here.
    fn is(&self) -> (State, bool) {
        (self.router.state(), self.router.holds())
    }
}

/// The priorities of the advertisements.
fn sent(outputs: &[Output]) -> Vec<u8> {
    let adverts = outputs.iter().filter_map(|output| match output {
        Output::Send(advert) => Some(advert.priority),
        Output::Announce | Output::Changed { .. } | Output::Noticed(_) | Output::Done => None,
    });
    adverts.collect()
}

fn announced(outputs: &[Output]) -> usize {
    outputs.iter().filter(|output| **output == Output::Announce).count()
}

/// The states that were entered, each with the cause.
fn entered(outputs: &[Output]) -> Vec<(State, Why)> {
    let changes = outputs.iter().filter_map(|output| match output {
        Output::Changed { to, why, .. } => Some((*to, why.clone())),
        Output::Send(_) | Output::Announce | Output::Noticed(_) | Output::Done => None,
    });
    changes.collect()
}

fn noticed(outputs: &[Output]) -> Vec<Notice> {
    let notices = outputs.iter().filter_map(|output| match output {
        Output::Noticed(notice) => Some(notice.clone()),
        Output::Send(_) | Output::Announce | Output::Changed { .. } | Output::Done => None,
    });
    notices.collect()
}

/// Active_Down_Interval of priority 100 at an interval of one second, in both versions.
const DEAD: Duration = Duration::from_nanos(3_609_375_000);
/// Its skew time.
const SKEW: Duration = Duration::from_nanos(609_375_000);
/// Of priority 255.
const OWNER_SKEW: Duration = Duration::from_nanos(3_906_250);
const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Version; 2] = [Version::V2, Version::V3];
/// Nothing was sent.
const SILENT: [u8; 0] = [];
