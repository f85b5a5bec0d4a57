//! What the directors tell each other of their pools, over the link between them.
//!
//! A director that sees no real server asks here whether the others do before it believes it. Only
//! sums are told: with the same files, more is not needed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::pool::Summary;

/// What one director tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How its pools are, by name.
    pub pools: BTreeMap<String, Summary>,
    /// Its virtual routers that are or could be Active.
    pub able: BTreeSet<String>,
    /// Counts on every two seconds.
    #[serde(default)]
    pub beats: u64,
}

impl Told {
    /// As many bytes as may be told. Pools that do not fit are left out, the last first: of them
    /// the others know nothing then.
    pub fn to_bytes(&self, most: usize) -> Vec<u8> {
        let bytes = |told: &Told| serde_json::to_vec(told).expect("names and numbers");
        let whole = bytes(self);
        if whole.len() <= most {
            return whole;
        }
        let able = self.able.clone();
        let mut fits = Told { able, beats: self.beats, ..Told::default() };
        let mut left = most.saturating_sub(bytes(&fits).len());
        for (name, summary) in &self.pools {
            let one = Told { pools: BTreeMap::from([(name.clone(), *summary)]), ..Told::default() };
            // More than it adds, for it counts the braces around it each time.
            let size = bytes(&one).len();
            if size > left {
                break;
            }
            left -= size;
            fits.pools.insert(name.clone(), *summary);
        }
        bytes(&fits)
    }

    /// Reads what another director told. `Err` says what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Told, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pools: usize) -> Told {
        let summary = Summary { up: 1, down: 2, unknown: 0, held: false };
        let pools = (0..pools).map(|n| (format!("tcp 192.0.2.1:{n}"), summary)).collect();
        Told { pools, able: BTreeSet::from(["main".to_owned()]), beats: 7 }
    }

    #[test]
    fn what_is_told_is_understood_and_never_longer_than_it_may_be() {
        let few = told(3);
        let read = |bytes: &[u8]| Told::from_bytes(bytes).expect("our own");
        assert_eq!(read(&few.to_bytes(60_000)), few);
        let many = told(5000).to_bytes(60_000);
        assert!(many.len() <= 60_000, "{}", many.len());
        let read = read(&many);
        assert!(read.pools.len() > 500, "{}", read.pools.len());
        assert_eq!(read.able, few.able);
        assert!(Told::from_bytes(b"{\"pools\": 3}").is_err());
    }
}
