//! What the operator said of servers: drain this one, that one is in maintenance.
//!
//! A map in which the last writer wins, so that directors can merge their copies in any order and
//! as often as they like and all come to the same. What is taken back stays for a while as a
//! tombstone; otherwise a director that was away would bring it back. Times are the wall clock's,
//! for a word has to outlive a reboot; one that is said is always later than all that is known, so
//! a clock that is wrong somewhere cannot make it void. A drain whose time is over becomes
//! maintenance for good, by the clock of the host that said it: a clock that is set back, or is
//! another one, does not bring it to life again.

mod json;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use json::Entry;

/// As many words at most: one for each server of the largest cluster.
pub const MOST_WORDS: usize = 10_000;
/// A name is not longer than this: a host name's most, and more than any pool is called.
pub const LONGEST_NAME: usize = 253;
/// A tombstone is kept as long as a director may be away.
const TOMBSTONE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Beyond this a JSON number is not exact everywhere (RFC 8259 §6).
const LATEST: u64 = (1 << 53) - 1;

/// What was said of one host, by pool; without a pool, of all.
type Pools = BTreeMap<Option<String>, Said>;

/// All that was said and still counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Entry>", into = "Vec<Entry>")]
pub struct Words {
    hosts: BTreeMap<String, Pools>,
}

/// Of whom something is said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whom {
    /// The host, as the cluster file has it.
    pub host: String,
    /// In this pool; without, in all.
    pub pool: Option<String>,
}

/// What was said, when, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What.
    pub word: Word,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// On which host.
    pub by: String,
    /// When a drain becomes maintenance, in milliseconds since 1970.
    pub until: Option<u64>,
}

/// What can be said of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// It takes traffic again.
    Ready,
    /// It gets no new connections.
    Drain,
    /// It gets no traffic.
    Maintenance,
}

/// What is to be done with a server now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Drain or maintenance.
    pub word: Word,
    /// When it was said, in milliseconds since 1970.
    pub at: u64,
    /// On which host it was said.
    pub by: String,
    /// When a drain becomes maintenance, in milliseconds since 1970.
    pub until: Option<u64>,
}

/// Why a text is not a list of words.
#[derive(Debug, thiserror::Error)]
pub enum WordsError {
    /// It is no JSON, or other JSON.
    #[error("it is not a list of words")]
    Json(#[source] serde_json::Error),
    /// They are too many.
    #[error("it has {0} words, and {MOST_WORDS} are the most")]
    TooMany(usize),
    /// A name is empty or too long.
    #[error("the name {0:?} is empty or longer than {LONGEST_NAME} bytes")]
    Name(String),
    /// A time is beyond any.
    #[error("the time {0} is not one in milliseconds since 1970")]
    Time(u64),
}

impl Words {
    /// Takes down what is said now. It wins over all that is known of the host, whatever the clock
    /// says. When there is no room, the oldest word makes some, tombstones first.
    pub fn say(&mut self, whom: Whom, mut said: Said) {
        let latest = self.hosts.get(&whom.host).into_iter().flat_map(BTreeMap::values);
        let after = latest.map(|known| known.at.saturating_add(1)).max().unwrap_or(0);
        said.at = said.at.max(after).min(LATEST);
        self.hosts.entry(whom.host).or_default().insert(whom.pool, said);
        while self.len() > MOST_WORDS {
            self.forget_oldest();
        }
    }

    /// Takes in what another director knows. Returns whether that was news.
    pub fn merge(&mut self, other: &Words) -> bool {
        let mut changed = false;
        let mut room = MOST_WORDS.saturating_sub(self.len());
        for (host, pool, theirs) in other.iter() {
            let is_new = self.get(host, pool).is_none();
            if is_new && room == 0 {
                // What was taken back makes room for what holds or keeps another word from it.
                let is_idle = theirs.word == Word::Ready && !self.hides(host, pool, theirs);
                if is_idle || !self.forget_tombstone() {
                    continue;
                }
                room += 1;
            }
            room -= usize::from(is_new);
            changed |= self.take(host, pool, theirs);
        }
        changed
    }

    /// What holds for a host in a pool at this time of the wall clock: the last that was said of
    /// it, in this pool or in all.
    pub fn of(&self, host: &str, pool: &str, wall: u64) -> Option<Effective> {
        let mut holds = self.now(host, pool)?;
        if holds.word == Word::Drain && holds.until.is_some_and(|until| until <= wall) {
            holds.word = Word::Maintenance;
        }
        Some(holds)
    }

    /// The same, where drains whose time is over have been ended by [`Words::expire`].
    pub fn now(&self, host: &str, pool: &str) -> Option<Effective> {
        let said = self.hosts.get(host)?.iter();
        let concerns = said.filter(|(of, _)| of.as_deref().is_none_or(|of| of == pool));
        let (_, said) = concerns.max_by_key(|(of, said)| (said.at, of.is_some()))?;
        let Said { word, at, until, .. } = *said;
        (word != Word::Ready).then(|| Effective { word, at, by: said.by.clone(), until })
    }

    /// Forgets tombstones that have stood long enough. One that keeps an older word of its host
    /// from holding stays as long as that does: without, it would hold again.
    pub fn prune(&mut self, wall: u64) {
        let age = u64::try_from(TOMBSTONE.as_millis()).unwrap_or(u64::MAX);
        let is_over = |said: &Said| said.word == Word::Ready && said.at.saturating_add(age) < wall;
        for pools in self.hosts.values_mut() {
            let over = pools.iter().filter(|(of, said)| is_over(said) && !hides(pools, of, said));
            let over: Vec<Option<String>> = over.map(|(of, _)| of.clone()).collect();
            over.iter().for_each(|of| drop(pools.remove(of)));
        }
        self.hosts.retain(|_, pools| !pools.is_empty());
    }

    /// Turns drains whose time is over into maintenance. `clock` is the wall clock of the host on
    /// which a word was said. Returns whether there was one; it then wins over the drain wherever
    /// it is merged.
    pub fn expire(&mut self, clock: impl Fn(&str) -> u64) -> bool {
        let mut is_any = false;
        for said in self.hosts.values_mut().flat_map(BTreeMap::values_mut) {
            let is_drain = said.word == Word::Drain;
            if is_drain && said.until.is_some_and(|until| until <= clock(&said.by)) {
                said.word = Word::Maintenance;
                is_any = true;
            }
        }
        is_any
    }

    /// How long it is until the next drain ends; nothing if it is over.
    pub fn next_end(&self, clock: impl Fn(&str) -> u64) -> Option<Duration> {
        let drains = self.iter().filter(|(_, _, said)| said.word == Word::Drain);
        let left = |said: &Said| Some(said.until?.saturating_sub(clock(&said.by)));
        drains.filter_map(|(_, _, said)| left(said)).min().map(Duration::from_millis)
    }

    /// Every word: host, pool (none is all) and what was said.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>, &Said)> {
        self.hosts.iter().flat_map(|(host, pools)| {
            pools.iter().map(move |(pool, said)| (host.as_str(), pool.as_deref(), said))
        })
    }

    /// How many words there are, tombstones included.
    pub fn len(&self) -> usize {
        self.hosts.values().map(BTreeMap::len).sum()
    }

    /// Whether nothing was ever said.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    fn get(&self, host: &str, pool: Option<&str>) -> Option<&Said> {
        self.hosts.get(host)?.get(&pool.map(str::to_owned))
    }

    /// Takes one word over if it wins. Returns whether it does.
    fn take(&mut self, host: &str, pool: Option<&str>, said: &Said) -> bool {
        if self.get(host, pool).is_some_and(|known| known.rank() >= said.rank()) {
            return false;
        }
        let pools = self.hosts.entry(host.to_owned()).or_default();
        pools.insert(pool.map(str::to_owned), said.clone());
        true
    }

    /// Whether this tombstone keeps another word of the host from holding.
    fn hides(&self, host: &str, pool: Option<&str>, ready: &Said) -> bool {
        self.hosts.get(host).is_some_and(|pools| hides(pools, &pool.map(str::to_owned), ready))
    }

    /// Forgets one: a tombstone, or else a word of a pool that a later one of all pools overrides,
    /// or else whatever was said first. So nothing that was overridden holds again.
    fn forget_oldest(&mut self) {
        if self.forget_tombstone() {
            return;
        }
        let all = self.hosts.iter().flat_map(|(host, pools)| {
            let of_all = pools.get(&None).map_or(0, |said| said.at);
            pools.iter().map(move |(of, said)| (of.is_none() || said.at >= of_all, host, of, said))
        });
        let said = all.filter(|(.., said)| said.word != Word::Ready);
        let oldest = said.min_by_key(|(counts, .., said)| (*counts, said.at));
        if let Some((host, pool)) = oldest.map(|(_, host, of, _)| (host.clone(), of.clone())) {
            self.forget(&host, &pool);
        }
    }

    /// Forgets the oldest tombstone that may be; whether there was one.
    fn forget_tombstone(&mut self) -> bool {
        let tombstones = self.hosts.iter().flat_map(|(host, pools)| {
            let ready = pools.iter().filter(|(_, said)| said.word == Word::Ready);
            let idle = ready.filter(|(of, said)| !hides(pools, of, said));
            idle.map(move |(of, said)| (host, of, said.at))
        });
        let oldest = tombstones.min_by_key(|(.., at)| *at);
        let oldest = oldest.map(|(host, of, _)| (host.clone(), of.clone()));
        oldest.is_some_and(|(host, pool)| {
            self.forget(&host, &pool);
            true
        })
    }

    fn forget(&mut self, host: &str, pool: &Option<String>) {
        if let Some(pools) = self.hosts.get_mut(host) {
            pools.remove(pool);
        }
        self.hosts.retain(|_, pools| !pools.is_empty());
    }
}

/// Whether a word of this host would hold again without this tombstone.
fn hides(pools: &Pools, pool: &Option<String>, ready: &Said) -> bool {
    let meets = |of: &Option<String>| of.is_none() || pool.is_none();
    let is_older =
        |of: &Option<String>, said: &Said| (said.at, of.is_some()) < (ready.at, pool.is_some());
    pools.iter().any(|(of, said)| said.word != Word::Ready && meets(of) && is_older(of, said))
}

impl Said {
    /// Of two words of the same server the larger one holds. All fields have a part in it, so that
    /// two that were said in the same millisecond are not told apart by who merges first.
    fn rank(&self) -> impl Ord + '_ {
        (self.at, &self.by, self.word, self.until)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Word::Ready => "ready",
            Word::Drain => "drain",
            Word::Maintenance => "maintenance",
        })
    }
}

#[cfg(test)]
mod tests;
