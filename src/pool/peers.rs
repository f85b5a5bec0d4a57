//! What the directors tell each other of their pools, over the link between them.
//!
//! A director that sees no real server asks here whether the others do before it believes it. Only
//! sums are told: with the same files, more is not needed. Where there are more pools than fit into
//! what can be told, they are told in turn, and each counts until it was due to be told again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::machine::{Peer, Summary};
use crate::clock::Moment;

/// What was told counts for so long: everybody tells every two seconds.
const FRESH: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_secs(2);
/// What is told in turn counts for a round more, but for no longer than this.
const FRESH_MOST: Duration = Duration::from_secs(60);

/// What one director tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How its pools are, by name.
    pub pools: BTreeMap<String, Summary>,
    /// There are more, which it tells at other times.
    #[serde(default)]
    pub more: bool,
    /// In so many parts, one every two seconds; nought from an older converge.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub parts: u64,
    /// Its virtual routers that are or could be Active.
    pub able: BTreeSet<String>,
    /// Counts on every two seconds.
    #[serde(default)]
    pub beats: u64,
    /// What its wall clock said with the last of them, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<u64>,
}

impl Told {
    /// As many bytes as may be told. If not all pools fit, another part of them with each turn.
    pub fn to_bytes(&self, most: usize, turn: u64) -> Vec<u8> {
        let bytes = |told: &Told| serde_json::to_vec(told).expect("names and numbers");
        let whole = bytes(self);
        if whole.len() <= most {
            return whole;
        }
        // With as many parts as there will never be.
        let most_parts = u64::from(u32::MAX);
        let mut frame =
            Told { pools: BTreeMap::new(), more: true, parts: most_parts, ..self.clone() };
        let room = most.saturating_sub(bytes(&frame).len());
        let mut parts: Vec<BTreeMap<String, Summary>> = Vec::new();
        let mut left = 0;
        for (name, summary) in &self.pools {
            let one = BTreeMap::from([(name.clone(), *summary)]);
            // With braces around it, which are no shorter than the comma behind it.
            let size = serde_json::to_vec(&one).expect("names and numbers").len();
            if size > room {
                continue;
            }
            if size > left {
                parts.push(BTreeMap::new());
                left = room;
            }
            left -= size;
            parts.last_mut().expect("one was pushed").extend(one);
        }
        let count = u64::try_from(parts.len()).unwrap_or(u64::MAX).max(1);
        let part = usize::try_from(turn % count).ok().and_then(|turn| parts.get(turn));
        frame.parts = count;
        bytes(&Told { pools: part.cloned().unwrap_or_default(), ..frame })
    }

    /// Reads what another director told. `Err` says what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Told, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// What one director has told, and when.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    pools: BTreeMap<String, Peer>,
    able: BTreeSet<String>,
    beats: Option<u64>,
    at: Moment,
    /// How long it takes until it told all of its pools.
    round: Duration,
}

impl Heard {
    /// It tells this now. Returns what its wall clock says, if it was read for it.
    pub fn take(&mut self, told: Told, now: Moment) -> Option<u64> {
        if !told.more {
            self.pools.clear();
        }
        let pools = told.pools.into_iter();
        self.pools.extend(pools.map(|(name, sees)| (name, Peer { sees, at: now })));
        let parts = u32::try_from(told.parts).unwrap_or(u32::MAX);
        self.round = EVERY.saturating_mul(parts);
        let counts = self.counts();
        self.pools.retain(|_, peer| now.since(peer.at) < counts);
        let is_beat = self.beats.replace(told.beats) != Some(told.beats);
        (self.able, self.at) = (told.able, now);
        told.wall.filter(|_| is_beat)
    }

    /// Whether it told anything of late. One that has not is stuck, and what it told says nothing
    /// of now.
    pub fn is_fresh(&self, now: Moment) -> bool {
        now.since(self.at) < FRESH
    }

    /// For how long it counts how it sees a pool.
    fn counts(&self) -> Duration {
        FRESH.saturating_add(self.round).min(FRESH_MOST)
    }

    /// How it sees a pool.
    pub fn sees(&self, pool: &str, now: Moment) -> Option<Peer> {
        let peer = self.pools.get(pool).copied().filter(|_| self.is_fresh(now));
        peer.filter(|peer| now.since(peer.at) < self.counts())
    }

    /// Whether its virtual router is or could be Active.
    pub fn is_able(&self, router: &str) -> bool {
        self.able.contains(router)
    }
}

/// As serde asks for it.
fn is_nought(parts: &u64) -> bool {
    *parts == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: usize) -> String {
        format!("tcp 192.0.2.1:{n}")
    }

    fn told(pools: usize) -> Told {
        let summary = Summary { up: 1, down: 2, unknown: 0, held: false };
        let pools = (0..pools).map(|n| (name(n), summary)).collect();
        let able = BTreeSet::from(["main".to_owned()]);
        Told { pools, able, beats: 7, wall: Some(1 << 41), ..Told::default() }
    }

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn what_is_told_is_understood_and_never_longer_than_it_may_be() {
        let few = told(3);
        let read = |bytes: &[u8]| Told::from_bytes(bytes).expect("our own");
        assert_eq!(read(&few.to_bytes(60_000, 5)), few);
        let many = told(5000).to_bytes(60_000, 1);
        assert!(many.len() <= 60_000, "{}", many.len());
        let read = read(&many);
        assert!(read.pools.len() > 500, "{}", read.pools.len());
        assert_eq!((read.able, read.more, few.more), (few.able, true, false));
        assert!(Told::from_bytes(b"{\"pools\": 3}").is_err());
        let older = b"{\"pools\":{},\"able\":[]}";
        assert_eq!(Told::from_bytes(older).expect("of an older converge"), Told::default());
    }

    #[test]
    fn a_thousand_pools_are_told_in_turn_and_all_are_known() {
        let mut heard = Heard::default();
        for turn in 0..4 {
            let bytes = told(1000).to_bytes(32 * 1024, turn);
            assert!(bytes.len() <= 32 * 1024, "{}", bytes.len());
            heard.take(Told::from_bytes(&bytes).expect("our own"), at(2 * turn));
        }
        assert!((0..1000).all(|n| heard.sees(&name(n), at(7)).is_some()));
        assert!((0..1000).any(|n| heard.sees(&name(n), at(20)).is_none()), "not for ever");
        heard.take(told(3), at(8));
        assert_eq!((0..1000).filter(|n| heard.sees(&name(*n), at(8)).is_some()).count(), 3);
    }

    #[test]
    fn pools_that_are_told_in_many_parts_are_known_all_the_time_but_not_for_ever() {
        let mut heard = Heard::default();
        let told_at = |turn: u64, heard: &mut Heard| {
            let bytes = told(2000).to_bytes(16 * 1024, turn);
            assert!(bytes.len() <= 16 * 1024, "{}", bytes.len());
            let told = Told::from_bytes(&bytes).expect("our own");
            let parts = told.parts;
            heard.take(told, at(2 * turn));
            parts
        };
        let parts = told_at(0, &mut heard);
        assert!((6..=20).contains(&parts), "{parts}");
        for turn in 1..parts {
            told_at(turn, &mut heard);
        }
        for turn in parts..2 * parts {
            let now = at(2 * turn);
            assert!((0..2000).all(|n| heard.sees(&name(n), now).is_some()), "{turn}");
            told_at(turn, &mut heard);
        }
        let last = 2 * (2 * parts - 1);
        assert!(heard.sees(&name(0), at(last + 10)).is_none(), "it says nothing any more");
        // Whatever is told, nothing counts for ever.
        let endless = Told { more: true, parts: u64::MAX, ..Told::default() };
        for n in 0..=40 {
            heard.take(endless.clone(), at(last + 2 * n));
        }
        assert!((0..2000).all(|n| heard.sees(&name(n), at(last + 80)).is_none()));
    }

    #[test]
    fn a_clock_is_read_with_a_beat_and_what_is_old_says_nothing() {
        let mut heard = Heard::default();
        assert_eq!(heard.take(told(1), at(1)), Some(1 << 41));
        assert_eq!(heard.take(told(1), at(2)), None, "it was read before that");
        assert!(heard.is_fresh(at(11)) && !heard.is_fresh(at(12)));
        assert_eq!(heard.sees(&name(0), at(12)), None);
        assert!(heard.is_able("main") && !heard.is_able("other"));
    }
}
