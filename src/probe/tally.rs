//! Adds samples up: who answered how often, what failed, and when nobody answered.
//!
//! A stretch is the time from one good answer to the next, whichever request they belong to, so a
//! request that waits for a second on a lost packet hides nothing that others saw. The stretch is
//! a gap when a request sent in it was lost, or when it is long beside the usual one. A request
//! is counted in the stretch that it was sent in, however late its failure became known.
//!
//! Memory is bounded for a run of any length: durations are counted in buckets, and only the
//! longest stretches are kept.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::histogram::Histogram;

/// Stretches kept; more gaps than anyone reads.
pub const GAPS: usize = 20;

/// Servers told apart. A page that says the time would otherwise fill the memory.
pub const SERVERS: usize = 1000;

/// Stands for all servers after the first [`SERVERS`].
pub const OTHERS: &str = "(others)";

/// A stretch without a lost request is a gap when it is this many times the usual one…
const UNUSUAL: u32 = 3;

/// …and longer than this, below which a busy machine makes gaps of its own.
const NOTICEABLE: Duration = Duration::from_millis(10);

/// What became of one request.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was sent, since the start of the run.
    pub sent: Duration,
    /// When the answer was complete or the failure known.
    pub done: Duration,
    /// Which of the two.
    pub outcome: Outcome,
}

/// An answer or a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A good answer.
    Answered {
        /// The server's name.
        by: String,
    },
    /// None.
    Failed(Failure),
}

/// Why a request had no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What the machine said.
    pub detail: String,
}

/// The kinds of failure that a person would act on differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureKind {
    /// Nobody listens there.
    Refused,
    /// The connection was torn down.
    Reset,
    /// The connection ended before the answer did.
    Closed,
    /// No complete answer in time.
    Timeout,
    /// No way to the host.
    Unreachable,
    /// The name has no address.
    Unresolved,
    /// No trusted encrypted connection.
    Tls,
    /// Something answered, but not in HTTP.
    Garbage,
    /// An HTTP status of 400 or more.
    Status(u16),
    /// This machine is out of ports, descriptors or permission: no fault of the VIP.
    Local,
    /// Anything else.
    Other,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            FailureKind::Refused => "refused",
            FailureKind::Reset => "reset",
            FailureKind::Closed => "closed",
            FailureKind::Timeout => "timeout",
            FailureKind::Unreachable => "unreachable",
            FailureKind::Unresolved => "unresolved",
            FailureKind::Tls => "tls",
            FailureKind::Garbage => "garbage",
            FailureKind::Status(code) => return write!(f, "status_{code}"),
            FailureKind::Local => "local",
            FailureKind::Other => "other",
        };
        f.write_str(word)
    }
}

/// A stretch without a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The good answer before it, or the start of the run.
    pub start: Duration,
    /// The good answer after it, or the end of the run.
    pub end: Duration,
    /// Requests sent in it that failed.
    pub lost: u64,
}

impl Gap {
    /// How long nobody answered.
    pub fn length(&self) -> Duration {
        self.end.saturating_sub(self.start)
    }
}

/// How many failed in one way, and what the first of them said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: u64,
    /// What the machine said first.
    pub detail: String,
}

/// All samples of a run, added up.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    ok: u64,
    failed: u64,
    skipped: u64,
    lateness: Duration,
    servers: BTreeMap<String, u64>,
    errors: BTreeMap<FailureKind, Failures>,
    latencies: Histogram,
    stretches: Histogram,
    longest: Vec<Gap>,
    /// The stretch that the next good answer ends.
    open: Option<Gap>,
    last_good: Duration,
    stopped: Option<Duration>,
}

impl Tally {
    /// Adds one sample. Samples come in the order in which they are done.
    pub fn record(&mut self, sample: &Sample) {
        match &sample.outcome {
            Outcome::Answered { by } => {
                self.ok += 1;
                self.latencies.record(sample.done.saturating_sub(sample.sent));
                let known = self.servers.contains_key(by) || self.servers.len() < SERVERS;
                let name = if known { by.as_str() } else { OTHERS };
                *self.servers.entry(name.to_owned()).or_default() += 1;
                if self.stopped.is_none() {
                    self.end_stretch(sample.done);
                }
            }
            Outcome::Failed(failure) => {
                self.failed += 1;
                let failures = self
                    .errors
                    .entry(failure.kind)
                    .or_insert_with(|| Failures { count: 0, detail: failure.detail.clone() });
                failures.count += 1;
                self.lose(sample.sent);
            }
        }
    }

    /// A request that was due was not sent: too many were still waiting.
    pub fn skip(&mut self) {
        self.skipped += 1;
    }

    /// A request went out this much after it was due.
    pub fn late(&mut self, by: Duration) {
        self.lateness = self.lateness.max(by);
    }

    /// No further request will be sent: the last stretch ends here, for want of anyone asking.
    pub fn stop(&mut self, at: Duration) {
        if self.stopped.is_none() {
            self.end_stretch(at);
            self.stopped = Some(at);
        }
    }

    fn end_stretch(&mut self, at: Duration) {
        let lost = self.open.take().map_or(0, |gap| gap.lost);
        // Two answers may change places on their way here; time does not run back.
        let end = at.max(self.last_good);
        let stretch = Gap { start: self.last_good, end, lost };
        self.last_good = end;
        self.stretches.record(stretch.length());
        self.keep(stretch);
    }

    fn keep(&mut self, stretch: Gap) {
        if self.longest.len() < GAPS {
            self.longest.push(stretch);
            return;
        }
        let shortest = self.longest.iter_mut().min_by_key(|gap| gap.length());
        if let Some(shortest) = shortest.filter(|gap| gap.length() < stretch.length()) {
            *shortest = stretch;
        }
    }

    fn lose(&mut self, sent: Duration) {
        if sent >= self.last_good && self.stopped.is_none() {
            let open = self.open.get_or_insert(Gap {
                start: self.last_good,
                end: self.last_good,
                lost: 0,
            });
            open.lost += 1;
        } else if let Some(gap) =
            self.longest.iter_mut().find(|gap| (gap.start..=gap.end).contains(&sent))
        {
            gap.lost += 1;
        }
    }

    /// Requests with an outcome.
    pub fn requests(&self) -> u64 {
        self.ok + self.failed
    }

    /// Good answers.
    pub fn ok(&self) -> u64 {
        self.ok
    }

    /// Requests without a good answer.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Requests that were due and never sent.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The most that a request went out after it was due.
    pub fn lateness(&self) -> Duration {
        self.lateness
    }

    /// Good answers by server, in the order of the names.
    pub fn servers(&self) -> &BTreeMap<String, u64> {
        &self.servers
    }

    /// Failures by kind.
    pub fn errors(&self) -> &BTreeMap<FailureKind, Failures> {
        &self.errors
    }

    /// When the last good answer came.
    pub fn last_good(&self) -> Duration {
        self.last_good
    }

    /// Least, median, 99th percentile and greatest time to a good answer.
    pub fn latency(&self) -> Option<[Duration; 4]> {
        let times = &self.latencies;
        Some([times.min()?, times.quantile(500)?, times.quantile(990)?, times.max()?])
    }

    /// The longest stretch without a good answer, gap or not.
    pub fn longest(&self) -> Duration {
        self.stretches.max().unwrap_or_default()
    }

    /// The longest gaps, in the order of time.
    pub fn gaps(&self) -> Vec<Gap> {
        let usual = self.stretches.quantile(500).unwrap_or_default();
        let long = (usual * UNUSUAL).max(NOTICEABLE);
        let is_gap = |gap: &&Gap| gap.lost > 0 || gap.length() > long;
        let mut gaps: Vec<Gap> = self.longest.iter().filter(is_gap).copied().collect();
        gaps.sort_by_key(|gap| (gap.start, gap.end));
        gaps
    }
}

#[cfg(test)]
mod tests;
