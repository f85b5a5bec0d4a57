//! The segment between the hosts: what comes through, how often and when.
//!
//! Each direction between two hosts can be cut by itself, or only the advertisements filtered. A
//! cable that is pulled cuts all of a host's directions. A packet that is under way when a
//! direction is cut still arrives.

use std::time::Duration;

use super::random::Random;
use super::scenario::{HostId, Weather};
use crate::clock::Moment;

/// The segment.
#[derive(Clone, Debug)]
pub struct Network {
    cut: Vec<Vec<bool>>,
    filtered: Vec<Vec<bool>>,
    unplugged: Vec<bool>,
    weather: Weather,
    /// When the last packet of each direction arrives.
    last: Vec<Vec<Moment>>,
}

impl Network {
    /// A segment on which everybody hears everybody.
    pub fn new(hosts: usize, weather: Weather) -> Self {
        let cut = vec![vec![false; hosts]; hosts];
        let last = vec![vec![Moment::ZERO; hosts]; hosts];
        Network { filtered: cut.clone(), cut, unplugged: vec![false; hosts], weather, last }
    }

    /// Whether something from the first host can come to the second.
    pub fn passes(&self, from: HostId, to: HostId) -> bool {
        !self.cut[from][to] && !self.unplugged[from] && !self.unplugged[to]
    }

    /// Whether advertisements come from the first host to the second.
    pub fn speaks(&self, from: HostId, to: HostId) -> bool {
        self.passes(from, to) && !self.filtered[from][to]
    }

    /// Whether both can come to each other.
    pub fn joins(&self, a: HostId, b: HostId) -> bool {
        self.passes(a, b) && self.passes(b, a)
    }

    /// Whether everybody hears everybody and nothing is lost.
    pub fn is_whole(&self) -> bool {
        let whole = |row: &Vec<bool>| !row.contains(&true);
        let mut rows = self.cut.iter().chain(&self.filtered);
        self.weather.lost == 0 && whole(&self.unplugged) && rows.all(whole)
    }

    /// What the network does at present.
    pub fn weather(&self) -> Weather {
        self.weather
    }

    /// From now on it does this.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Cuts one direction.
    pub fn cut(&mut self, from: HostId, to: HostId) {
        self.cut[from][to] = true;
    }

    /// Filters the advertisements of one direction.
    pub fn filter(&mut self, from: HostId, to: HostId) {
        self.filtered[from][to] = true;
    }

    /// Cuts both directions between every host that is marked and every one that is not.
    pub fn part(&mut self, marked: &[bool]) {
        for (from, row) in self.cut.iter_mut().enumerate() {
            for (to, cut) in row.iter_mut().enumerate() {
                *cut |= marked[from] != marked[to];
            }
        }
    }

    /// Heals every cut, and takes every filter away.
    pub fn heal(&mut self) {
        for row in self.cut.iter_mut().chain(&mut self.filtered) {
            row.fill(false);
        }
    }

    /// Pulls a host's cable, or puts it in again.
    pub fn plug(&mut self, host: HostId, plugged: bool) {
        self.unplugged[host] = !plugged;
    }

    /// When a packet that is sent now arrives: never if it is lost, and maybe a second time.
    pub fn carry(
        &mut self,
        (from, to): (HostId, HostId),
        now: Moment,
        random: &mut Random,
    ) -> [Option<Moment>; 2] {
        if !self.passes(from, to) || random.chance(self.weather.lost) {
            return [None; 2];
        }
        let first = self.arrival((from, to), now, random);
        let doubled = random.chance(self.weather.doubled);
        [Some(first), doubled.then(|| self.arrival((from, to), now, random))]
    }

    fn arrival(&mut self, way: (HostId, HostId), now: Moment, random: &mut Random) -> Moment {
        let at = now + self.delay(random);
        if self.weather.reorders {
            return at;
        }
        let last = &mut self.last[way.0][way.1];
        *last = at.max(*last);
        *last
    }

    /// How long one packet takes.
    pub fn delay(&self, random: &mut Random) -> Duration {
        self.weather.delay + random.between(Duration::ZERO, self.weather.jitter)
    }

    /// The most that one packet takes.
    pub fn slowest(&self) -> Duration {
        self.weather.delay + self.weather.jitter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Weather = Weather {
        lost: 0,
        doubled: 0,
        delay: Duration::from_millis(1),
        jitter: Duration::ZERO,
        reorders: false,
    };

    #[test]
    fn a_cut_has_a_direction_and_a_partition_has_none() {
        let mut network = Network::new(3, CALM);
        network.cut(0, 1);
        assert!(!network.passes(0, 1) && network.passes(1, 0) && !network.joins(0, 1));
        network.part(&[true, false, false]);
        assert!(!network.passes(1, 0) && network.joins(1, 2));
        network.heal();
        assert!(network.is_whole());
        network.plug(2, false);
        assert!(!network.passes(2, 0) && !network.passes(0, 2) && !network.is_whole());
    }

    #[test]
    fn a_packet_is_lost_delayed_or_doubled() {
        let mut random = Random::new(1);
        let mut carry = |weather| Network::new(2, weather).carry((0, 1), Moment::ZERO, &mut random);
        let then = Some(Moment::ZERO + CALM.delay);
        assert_eq!(carry(CALM), [then, None]);
        assert_eq!(carry(Weather { doubled: 1000, ..CALM }), [then, then]);
        assert_eq!(carry(Weather { lost: 1000, ..CALM }), [None, None]);
    }
}
