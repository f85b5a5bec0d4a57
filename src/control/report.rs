//! What the resident converge makes of its pools, in a file that everybody may read.
//!
//! It is written when something in it changes. Whether its writer lives cannot be told from its
//! age, so the writer holds a lock as long as it lives. What a pool's servers get is
//! [`crate::pool::standing`]; here hosts, full weights and what fails are put beside it, for
//! people.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::wall;
use crate::check::config::CheckConfig;
use crate::check::outcome::{Health, State};
use crate::host::FileError;
use crate::host::files::Files;
use crate::pool::config::Member;
use crate::pool::standing::{Shares, Standing};
use crate::pool::{Pool, Summary};

/// The file.
pub const POOLS: &str = "/run/converge/pools.json";
/// Held by its writer.
const LOCK: &str = "/run/converge/pools.lock";
/// Whoever looks whether the writer lives holds the lock for microseconds.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// What a converge makes of its pools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When it was written, in milliseconds since 1970.
    pub at: u64,
    /// On which host.
    pub host: String,
    /// Each pool, by its name.
    pub pools: BTreeMap<String, PoolReport>,
}

/// What it makes of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolReport {
    /// What its servers get.
    pub shares: Shares,
    /// The servers themselves.
    pub members: BTreeMap<SocketAddr, MemberReport>,
    /// Who answers instead of them.
    pub spare: Option<String>,
    /// The fault is taken to be here, and the last good set is kept.
    pub held: bool,
    /// Another director sees servers that are well, and this one none.
    pub blind: bool,
    /// What the other directors see, by host.
    pub peers: BTreeMap<String, Summary>,
    /// Who may answer instead, in order.
    #[serde(default)]
    pub fallback: Vec<String>,
    /// The sum of full weights that keeps the quorum, of servers with new connections.
    #[serde(default)]
    pub keeps: u64,
}

/// What is known of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Its host.
    pub host: String,
    /// Its weight while all is well.
    pub weight: u32,
    /// What its checks that fail say.
    pub failing: Vec<String>,
    /// Since when it stands so, in milliseconds since 1970.
    pub since: u64,
}

impl PoolReport {
    /// What is to be said of a pool.
    pub fn new(
        pool: &Pool,
        health: &BTreeMap<Arc<CheckConfig>, Health>,
        peers: BTreeMap<String, Summary>,
    ) -> Self {
        let shares = Shares::clone(pool.shares());
        let config = pool.config();
        let member = |member: &Member| {
            let report = MemberReport {
                host: member.host.clone(),
                weight: pool.full_weight(member),
                failing: failing(member, health),
                since: 0,
            };
            (member.server, report)
        };
        let spare = shares.spare.and_then(|spare| config.spares.get(spare));
        PoolReport {
            members: config.members.iter().map(member).collect(),
            spare: spare.map(|spare| spare.name.clone()),
            fallback: config.spares.iter().map(|spare| spare.name.clone()).collect(),
            keeps: pool.keeps(),
            held: pool.summary().held,
            blind: pool.is_blind(),
            peers,
            shares,
        }
    }

    /// How a server stands.
    pub fn standing(&self, server: &SocketAddr) -> Option<Standing> {
        self.shares.members.get(server).map(|share| share.standing)
    }
}

/// What those of a server's checks say that do not find it well.
fn failing(member: &Member, health: &BTreeMap<Arc<CheckConfig>, Health>) -> Vec<String> {
    let bad = member.checks.iter().filter_map(|check| {
        let health = health.get(check)?;
        let failing = health.failing.as_ref()?;
        (health.state != State::Up).then(|| failing.failure.to_string())
    });
    bad.collect()
}

/// Writes the report, and is known to live while it is there.
#[derive(Debug)]
pub struct Reporter {
    /// None, if somebody has it who does not give it back; then the reports go on all the same.
    _lock: Option<File>,
    dates: Dates,
    /// A digest of what the file says, if it was written by this one.
    written: Option<u64>,
}

/// How each server of each pool stands, and since when: all that is needed of the last report.
type Dates = BTreeMap<String, Vec<(SocketAddr, Standing, u64)>>;

impl Reporter {
    /// Begins. What a converge before this one wrote is heeded as far as servers stand as they did.
    pub async fn start(files: &Files) -> Result<Self, FileError> {
        let mut lock = files.lock(LOCK)?;
        for _ in 0..LOCK_TRIES {
            if lock.is_some() {
                break;
            }
            sleep(LOCK_PAUSE).await;
            lock = files.lock(LOCK)?;
        }
        let before = files.read_text(POOLS).unwrap_or_else(|error| {
            tracing::warn!(%error, "since when servers stand as they do is not known");
            None
        });
        let before: Option<Report> = before.and_then(|text| serde_json::from_str(&text).ok());
        let pools = before.map(|report| report.pools).unwrap_or_default();
        let dates = pools.into_iter().map(|(name, pool)| (name, pool.dates())).collect();
        Ok(Reporter { _lock: lock, dates, written: None })
    }

    /// Writes how things are now, unless the file says just that. Of thousands of servers only one
    /// pool's are there at a time.
    pub fn write(
        &mut self,
        files: &Files,
        host: &str,
        pools: impl IntoIterator<Item = (String, PoolReport)>,
    ) -> Result<(), FileError> {
        let at = wall();
        let mut now = Dates::new();
        let mut said = format!("\"host\":{},\"pools\":{{", json(host));
        for (name, mut pool) in pools {
            pool.date(self.dates.get(&name).map_or(&[], Vec::as_slice), at);
            let comma = if now.is_empty() { "" } else { "," };
            write!(said, "{comma}{}:{}", json(&name), json(&pool)).expect("a text takes all");
            now.insert(name, pool.dates());
        }
        let mut hasher = DefaultHasher::new();
        said.hash(&mut hasher);
        let digest = Some(hasher.finish());
        if self.written == digest {
            return Ok(());
        }
        let text = format!("{{\"at\":{at},{said}}}}}");
        files.replace(POOLS, text.as_bytes(), Some(0o644), None)?;
        (self.dates, self.written) = (now, digest);
        Ok(())
    }
}

impl PoolReport {
    /// Says since when each server stands as it does. What was before is in order.
    fn date(&mut self, before: &[(SocketAddr, Standing, u64)], at: u64) {
        for (server, member) in &mut self.members {
            let standing = self.shares.members.get(server).map(|share| share.standing);
            let known = before.binary_search_by_key(server, |(known, ..)| *known).ok();
            let same =
                known.map(|known| before[known]).filter(|(_, was, _)| standing == Some(*was));
            member.since = same.map_or(at, |(.., since)| since);
        }
    }

    /// Since when each server stands how.
    fn dates(&self) -> Vec<(SocketAddr, Standing, u64)> {
        let date = |(server, member): (&SocketAddr, &MemberReport)| {
            Some((*server, self.standing(server)?, member.since))
        };
        let mut dates: Vec<_> = self.members.iter().filter_map(date).collect();
        dates.shrink_to_fit();
        dates
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("names, addresses and numbers")
}

/// A report that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it says.
    pub report: Report,
    /// Whether its writer lives: if not, it says how things were.
    pub lives: bool,
}

/// Why there is no report to be seen.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The disk's fault.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another converge wrote it.
    #[error("{POOLS} is not understood; does another version of converge run?")]
    Unknown(#[source] serde_json::Error),
}

impl Seen {
    /// How old it is.
    pub fn age(&self, wall: u64) -> Duration {
        Duration::from_millis(wall.saturating_sub(self.report.at))
    }
}

/// The last report; `None` if none was written since the host was booted.
pub fn read(files: &Files) -> Result<Option<Seen>, ReportError> {
    let Some(text) = files.read_text(POOLS)? else {
        return Ok(None);
    };
    let report = serde_json::from_str(&text).map_err(ReportError::Unknown)?;
    Ok(Some(Seen { report, lives: is_written(files)? }))
}

/// Whether a converge that writes reports runs on this host.
pub fn is_written(files: &Files) -> Result<bool, FileError> {
    files.is_locked(LOCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch::Scratch;
    use crate::pool::standing::Share;

    fn server() -> SocketAddr {
        ([192, 0, 2, 9], 80).into()
    }

    fn pools(standing: Standing) -> BTreeMap<String, PoolReport> {
        let share = Share { weight: Some(1), standing, why: String::new() };
        let member = MemberReport { host: "web1".into(), weight: 1, ..MemberReport::default() };
        let pool = PoolReport {
            shares: Shares { members: [(server(), share)].into(), spare: None },
            members: [(server(), member)].into(),
            ..PoolReport::default()
        };
        [("tcp 192.0.2.1:80".to_owned(), pool)].into()
    }

    fn since(files: &Files) -> u64 {
        let seen = read(files).expect("it can be read").expect("it is there");
        seen.report.pools["tcp 192.0.2.1:80"].members[&server()].since
    }

    #[tokio::test]
    async fn a_report_is_read_back_and_its_writer_is_known_to_live() {
        let scratch = Scratch::new();
        let host = scratch.host();
        assert_eq!(read(host.files()).expect("none is no fault"), None);
        assert!(!is_written(host.files()).expect("it can be told"));
        let mut reporter = Reporter::start(host.files()).await.expect("it begins");
        reporter.write(host.files(), "dr1", pools(Standing::Up)).expect("it is written");
        let seen = read(host.files()).expect("it can be read").expect("it is there");
        assert!(seen.lives && seen.report.host == "dr1");
        assert!(seen.age(wall()) < Duration::from_secs(60));
        drop(reporter);
        let seen = read(host.files()).expect("it can be read").expect("it stays");
        assert!(!seen.lives);
    }

    #[tokio::test]
    async fn since_when_is_kept_while_a_server_stands_as_it_did_even_over_a_restart() {
        let scratch = Scratch::new();
        let host = scratch.host();
        let files = host.files();
        let pause = || std::thread::sleep(Duration::from_millis(2));
        let mut reporter = Reporter::start(files).await.expect("it begins");
        reporter.write(files, "dr1", pools(Standing::Up)).expect("it is written");
        let first = since(files);
        pause();
        drop(reporter);
        let mut reporter = Reporter::start(files).await.expect("it begins");
        reporter.write(files, "dr1", pools(Standing::Up)).expect("it is written");
        assert_eq!(since(files), first);
        pause();
        reporter.write(files, "dr1", pools(Standing::Down)).expect("it is written");
        assert!(since(files) > first);
    }

    #[tokio::test]
    async fn a_report_of_another_making_is_an_error_and_no_hindrance_to_the_next() {
        let scratch = Scratch::new();
        let host = scratch.host();
        scratch.write(POOLS, "{\"at\": \"noon\"}");
        let error = read(host.files()).expect_err("it is not understood");
        assert!(error.to_string().contains("another version"), "{error}");
        let mut reporter = Reporter::start(host.files()).await.expect("it begins");
        reporter.write(host.files(), "dr1", pools(Standing::Up)).expect("it is written");
        assert!(read(host.files()).expect("it can be read").is_some());
    }
}
