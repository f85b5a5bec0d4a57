//! What becomes of a pool's servers now, and why.
//!
//! It is all that the rest of converge knows of health: the situation has it, the role makes the
//! IPVS table and nginx's upstream of it, and commands show it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::config::PoolConfig;
use super::words::{Word, Words};

/// The shares of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// Of each server of the pool.
    pub members: BTreeMap<SocketAddr, Share>,
    /// The number of the spare that answers instead, among the pool's.
    pub spare: Option<usize>,
}

impl Shares {
    /// What is to become of a pool that nobody checks: what the operator said of its servers holds,
    /// and all others count as well. `wall` is in milliseconds since 1970. None: nothing was said
    /// of any of them.
    pub fn unchecked(pool: &PoolConfig, words: &Words, wall: u64) -> Option<Shares> {
        let mut said = false;
        let mut share = |host: &str, weight| {
            let Some(holds) = words.of(host, &pool.name, wall) else {
                return Share {
                    weight: Some(weight),
                    standing: Standing::Kept,
                    why: String::new(),
                };
            };
            said = true;
            let why = format!("said on {}", holds.by);
            match holds.word {
                Word::Drain => Share { weight: Some(0), standing: Standing::Draining, why },
                Word::Maintenance => Share { weight: None, standing: Standing::Maintenance, why },
                Word::Ready => Share { weight: Some(weight), standing: Standing::Kept, why },
            }
        };
        let members = pool.members.iter().map(|m| (m.server, share(&m.host, m.weight))).collect();
        said.then_some(Shares { members, spare: None })
    }
}

/// What becomes of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Its weight; 0 gets no new connections. `None`: it gets no traffic at all.
    pub weight: Option<u32>,
    /// How it stands.
    pub standing: Standing,
    /// Why, in plain words; empty where the standing says all.
    pub why: String,
}

/// How a server of a pool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is well.
    Up,
    /// It is well, and on its way to its full weight.
    Starting,
    /// It failed.
    Down,
    /// It was not judged yet, and gets no traffic.
    Unknown,
    /// It was not judged yet, and keeps what it had.
    Kept,
    /// It seems to have failed, but the fault is likely here: it keeps what it had.
    Held,
    /// It gets no new connections, as it was told or as it asked.
    Draining,
    /// It gets no traffic, as it was told or as it asked.
    Maintenance,
    /// It is well, but the pool has lost its quorum.
    Spared,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Standing::Up => "up",
            Standing::Starting => "starting",
            Standing::Down => "down",
            Standing::Unknown => "unknown",
            Standing::Kept => "kept",
            Standing::Held => "held",
            Standing::Draining => "draining",
            Standing::Maintenance => "maintenance",
            Standing::Spared => "spared",
        })
    }
}
