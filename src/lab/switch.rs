//! The switch between the machines: what it does with a frame, and when.
//!
//! An Ethernet switch that learns addresses, and whose links can be damaged per direction: cut,
//! delayed, lossy, duplicating. It does no I/O and reads no clock: frames and the time come in by
//! `handle_*`, frames go out by `poll_output`, and the same seed loses the same frames.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Destination, source, type.
const ETHERNET_HEADER: usize = 14;
/// More addresses than a lab's hosts and their VIPs, VRRP and macvlan addresses come to; a frame
/// to an address that was not learnt goes everywhere, so the bound costs only traffic.
const MAX_ADDRESSES: usize = 4096;
/// Frames that wait for their delay: 2 s at 100 Mbit/s of full frames. A longer queue loses.
const MAX_WAITING: usize = 16 * 1024;

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A socket of the switch: the number of the host in the lab.
pub type Port = usize;

/// Which way on a host's link, as the host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// What the host sends.
    Out,
    /// What the host would receive.
    In,
    /// Either way.
    Both,
}

/// What a direction of a link does to frames.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Impairment {
    /// Nothing passes.
    #[serde(default)]
    pub cut: bool,
    /// What passes does so this much later.
    #[serde(default)]
    pub delay: Duration,
    /// This share of the frames, 0 to 1, is lost.
    #[serde(default)]
    pub loss: f64,
    /// This share of the frames, 0 to 1, arrives twice.
    #[serde(default)]
    pub duplicate: f64,
}

/// A change to an [`Impairment`]; the rest of it stays.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// Nothing passes any more.
    Cut,
    /// See [`Impairment::delay`].
    Delay(Duration),
    /// See [`Impairment::loss`].
    Loss(f64),
    /// See [`Impairment::duplicate`].
    Duplicate(f64),
    /// As good as new.
    Heal,
}

#[derive(Debug, Clone, Copy, Default)]
struct Link {
    outward: Impairment,
    inward: Impairment,
}

/// A frame on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// To this port.
    pub port: Port,
    /// As it was sent.
    pub frame: Vec<u8>,
}

/// The switch; see the module.
#[derive(Debug)]
pub struct Switch {
    links: Vec<Link>,
    addresses: BTreeMap<Mac, Port>,
    /// By the time of arrival; the number keeps frames of one time in order.
    waiting: BTreeMap<(Instant, u64), Waiting>,
    next_number: u64,
    random: Random,
    now: Instant,
    lost: u64,
}

#[derive(Debug)]
enum Waiting {
    /// Has the sender's link still behind it.
    AtSwitch { from: Port, frame: Vec<u8> },
    /// Has passed the receiver's link.
    AtPort(Delivery),
}

impl Switch {
    /// A switch with undamaged links to this many ports.
    pub fn new(ports: usize, seed: u64, now: Instant) -> Switch {
        Switch {
            links: vec![Link::default(); ports],
            addresses: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next_number: 0,
            random: Random(seed),
            now,
            lost: 0,
        }
    }

    /// Changes what a host's link does to the frames that are sent from now on.
    pub fn damage(&mut self, port: Port, direction: Direction, damage: Damage) {
        let Some(link) = self.links.get_mut(port) else {
            return;
        };
        if matches!(direction, Direction::Out | Direction::Both) {
            link.outward.apply(damage);
        }
        if matches!(direction, Direction::In | Direction::Both) {
            link.inward.apply(damage);
        }
    }

    /// What a host's link does: outward and inward.
    pub fn impairments(&self, port: Port) -> Option<(Impairment, Impairment)> {
        self.links.get(port).map(|link| (link.outward, link.inward))
    }

    /// A host has sent a frame.
    pub fn handle_frame(&mut self, from: Port, frame: Vec<u8>, now: Instant) {
        self.now = now;
        let Some(link) = self.links.get(from).copied() else {
            return;
        };
        if frame.len() < ETHERNET_HEADER {
            return;
        }
        for _ in 0..self.copies(link.outward) {
            let frame = frame.clone();
            self.wait(link.outward.delay, Waiting::AtSwitch { from, frame });
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
    }

    /// The next frame that has reached its port.
    pub fn poll_output(&mut self) -> Option<Delivery> {
        loop {
            let entry = self.waiting.first_entry()?;
            if entry.key().0 > self.now {
                return None;
            }
            match entry.remove() {
                Waiting::AtSwitch { from, frame } => self.forward(from, &frame),
                Waiting::AtPort(delivery) => return Some(delivery),
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// How many frames the links have lost so far, by whatever damage.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn forward(&mut self, from: Port, frame: &[u8]) {
        let (Some(to), Some(source)) = (mac_at(frame, 0), mac_at(frame, 6)) else {
            return;
        };
        let known = self.addresses.contains_key(&source);
        if !source.is_group() && (known || self.addresses.len() < MAX_ADDRESSES) {
            self.addresses.insert(source, from);
        }
        match self.addresses.get(&to) {
            Some(port) if !to.is_group() => self.pass(*port, from, frame),
            Some(_) | None => (0..self.links.len()).for_each(|port| self.pass(port, from, frame)),
        }
    }

    fn pass(&mut self, port: Port, from: Port, frame: &[u8]) {
        let Some(link) = self.links.get(port).copied() else {
            return;
        };
        if port == from {
            return;
        }
        for _ in 0..self.copies(link.inward) {
            let delivery = Delivery { port, frame: frame.to_vec() };
            self.wait(link.inward.delay, Waiting::AtPort(delivery));
        }
    }

    /// How often a frame gets through. A link without loss or duplication draws no random number,
    /// so that damage to one link does not change the fate of frames on another.
    fn copies(&mut self, impairment: Impairment) -> usize {
        let lost = impairment.cut || (impairment.loss > 0.0 && self.random.hit(impairment.loss));
        if lost {
            self.lost += 1;
            return 0;
        }
        let twice = impairment.duplicate > 0.0 && self.random.hit(impairment.duplicate);
        if twice { 2 } else { 1 }
    }

    fn wait(&mut self, delay: Duration, waiting: Waiting) {
        if self.waiting.len() >= MAX_WAITING {
            self.lost += 1;
            return;
        }
        self.waiting.insert((self.now + delay, self.next_number), waiting);
        self.next_number += 1;
    }
}

impl Impairment {
    fn apply(&mut self, damage: Damage) {
        match damage {
            Damage::Cut => self.cut = true,
            Damage::Delay(delay) => self.delay = delay,
            Damage::Loss(share) => self.loss = share,
            Damage::Duplicate(share) => self.duplicate = share,
            Damage::Heal => *self = Impairment::default(),
        }
    }
}

fn mac_at(frame: &[u8], at: usize) -> Option<Mac> {
    Some(Mac(frame.get(at..at + 6)?.try_into().ok()?))
}

/// SplitMix64: small, and the same everywhere.
#[derive(Debug)]
struct Random(u64);

impl Random {
    /// True with this probability.
    fn hit(&mut self, probability: f64) -> bool {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let high = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(u32::MAX);
        f64::from(high) < probability * 4_294_967_296.0
    }
}

#[cfg(test)]
#[path = "switch_tests.rs"]
mod tests;
