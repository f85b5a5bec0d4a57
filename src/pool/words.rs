//! What the operator said of servers: drain this one, that one is in maintenance.
//!
//! A map in which the last writer wins, so that directors can merge their copies in any order and
//! as often as they like and all come to the same. What is taken back stays for a while as a
//! tombstone; otherwise a director that was away would bring it back. Times are the wall clock's,
//! for a word has to outlive a reboot; one that is said is always later than all that is known, so
//! a clock that is wrong somewhere cannot make it void.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// As many words at most: one for each server of the largest cluster.
pub const MOST_WORDS: usize = 10_000;
/// A name is not longer than this: a host name's most, and more than any pool is called.
pub const LONGEST_NAME: usize = 253;
/// A tombstone is kept as long as a director may be away.
const TOMBSTONE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Beyond this a JSON number is not exact everywhere (RFC 8259 §6).
const LATEST: u64 = (1 << 53) - 1;

/// All that was said and still counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Entry>", into = "Vec<Entry>")]
pub struct Words {
    /// By host and pool; without a pool, of all.
    hosts: BTreeMap<String, BTreeMap<Option<String>, Said>>,
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
                continue;
            }
            room -= usize::from(is_new);
            changed |= self.take(host, pool, theirs);
        }
        changed
    }

    /// What holds for a host in a pool at this time of the wall clock: the last that was said of
    /// it, in this pool or in all.
    pub fn of(&self, host: &str, pool: &str, wall: u64) -> Option<Effective> {
        let said = self.hosts.get(host)?.iter();
        let concerns = said.filter(|(of, _)| of.as_deref().is_none_or(|of| of == pool));
        let (_, said) = concerns.max_by_key(|(of, said)| (said.at, of.is_some()))?;
        let word = match said.word {
            Word::Ready => return None,
            Word::Drain if said.until.is_some_and(|until| until <= wall) => Word::Maintenance,
            word @ (Word::Drain | Word::Maintenance) => word,
        };
        Some(Effective { word, at: said.at, by: said.by.clone(), until: said.until })
    }

    /// Forgets tombstones that have stood long enough.
    pub fn prune(&mut self, wall: u64) {
        let age = u64::try_from(TOMBSTONE.as_millis()).unwrap_or(u64::MAX);
        let is_over = |said: &Said| said.word == Word::Ready && said.at.saturating_add(age) < wall;
        for pools in self.hosts.values_mut() {
            pools.retain(|_, said| !is_over(said));
        }
        self.hosts.retain(|_, pools| !pools.is_empty());
    }

    /// When the next drain becomes maintenance, of those that are not yet.
    pub fn next_deadline(&self, wall: u64) -> Option<u64> {
        let drains = self.iter().filter(|(_, _, said)| said.word == Word::Drain);
        drains.filter_map(|(_, _, said)| said.until).filter(|until| *until > wall).min()
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

    /// As JSON, for a file and for the other directors.
    pub fn to_json(&self) -> String {
        let entries: Vec<Entry> = self.clone().into();
        let lines: Vec<String> = entries
            .iter()
            .map(|entry| serde_json::to_string(entry).expect("strings and numbers serialise"))
            .collect();
        match lines.is_empty() {
            true => "[]\n".to_owned(),
            // A line each, for whoever looks at the file.
            false => format!("[\n{}\n]\n", lines.join(",\n")),
        }
    }

    /// As JSON of at most so many bytes, at least those of an empty list: the newest words. Whoever
    /// merges them loses nothing of what it knows.
    pub fn to_json_within(&self, most: usize) -> String {
        let whole = self.to_json();
        if whole.len() <= most {
            return whole;
        }
        let mut newest: Vec<_> = self.iter().collect();
        newest.sort_by_key(|(_, _, said)| std::cmp::Reverse(said.at));
        let mut count = newest.len();
        loop {
            // Fewer by what is too much, and by one in any case.
            count = (count * most / (whole.len() + 1)).min(count.saturating_sub(1));
            let mut words = Words::default();
            for (host, pool, said) in newest.iter().take(count) {
                words.take(host, *pool, said);
            }
            let text = words.to_json();
            if text.len() <= most || count == 0 {
                return text;
            }
        }
    }

    /// Out of JSON.
    pub fn from_json(text: &str) -> Result<Self, WordsError> {
        let entries: Vec<Entry> = serde_json::from_str(text).map_err(WordsError::Json)?;
        Words::try_from(entries)
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

    fn forget_oldest(&mut self) {
        let age = |said: &Said| (said.word != Word::Ready, said.at);
        let oldest = self.iter().min_by_key(|(_, _, said)| age(said));
        let oldest = oldest.map(|(host, pool, _)| (host.to_owned(), pool.map(str::to_owned)));
        let Some((host, pool)) = oldest else { return };
        if let Some(pools) = self.hosts.get_mut(&host) {
            pools.remove(&pool);
        }
        self.hosts.retain(|_, pools| !pools.is_empty());
    }
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

/// A word as it stands in JSON. A field that a newer converge adds is passed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    word: Word,
    at: u64,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

impl From<Words> for Vec<Entry> {
    fn from(words: Words) -> Self {
        let entry = |(host, pool, said): (&str, Option<&str>, &Said)| Entry {
            host: host.to_owned(),
            pool: pool.map(str::to_owned),
            word: said.word,
            at: said.at,
            by: said.by.clone(),
            until: said.until,
        };
        words.iter().map(entry).collect()
    }
}

impl TryFrom<Vec<Entry>> for Words {
    type Error = WordsError;

    fn try_from(entries: Vec<Entry>) -> Result<Self, WordsError> {
        if entries.len() > MOST_WORDS {
            return Err(WordsError::TooMany(entries.len()));
        }
        let mut words = Words::default();
        for entry in entries {
            let names = [Some(&entry.host), entry.pool.as_ref(), Some(&entry.by)];
            let is_wrong = |name: &&&String| name.is_empty() || name.len() > LONGEST_NAME;
            if let Some(name) = names.iter().flatten().find(is_wrong) {
                return Err(WordsError::Name((*name).clone()));
            }
            if let Some(time) = [Some(entry.at), entry.until].into_iter().flatten().max()
                && time > LATEST
            {
                return Err(WordsError::Time(time));
            }
            let Entry { host, pool, word, at, by, until } = entry;
            // One that stands there twice counts as if it came from two directors.
            words.take(&host, pool.as_deref(), &Said { word, at, by, until });
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests;
