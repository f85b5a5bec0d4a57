//! The result of a probe as data: what `-o json` prints, and what a test reads back.
//!
//! Durations are milliseconds with up to three decimals. `longest_gap_ms` is the longest stretch
//! between two good answers, even where all is well; `gaps` lists only stretches in which
//! requests were lost or that were unusually long.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::tally::{Gap, Tally};

/// Names the form below; it changes when a field's meaning does.
pub const SCHEMA: &str = "converge.probe/1";

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// What was asked.
    pub url: String,
    /// Requests with an outcome.
    pub requests: u64,
    /// Good answers.
    pub ok: u64,
    /// Failures by kind: `refused`, `timeout`, `status_503`.
    pub errors: BTreeMap<String, u64>,
    /// All failures.
    pub error_count: u64,
    /// What the first failure of each kind said.
    pub error_details: BTreeMap<String, String>,
    /// Good answers by server.
    pub servers: BTreeMap<String, u64>,
    /// The longest time from one good answer to the next.
    pub longest_gap_ms: f64,
    /// The longest stretches that were an outage, in the order of time.
    pub gaps: Vec<GapReport>,
    /// Time to a good answer; none without one.
    pub latency_ms: Option<Latency>,
    /// The whole run.
    pub duration_ms: f64,
    /// Requests that were due but not sent, for too many were waiting.
    pub skipped: u64,
    /// The most that this machine sent a request after it was due: the error of the gaps.
    pub late_ms: f64,
}

/// A stretch without a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GapReport {
    /// When it began, since the start of the run.
    pub at_ms: f64,
    /// How long it was.
    pub ms: f64,
    /// Requests lost in it.
    pub lost: u64,
}

/// How long good answers took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The fastest.
    pub min: f64,
    /// Half were faster.
    pub median: f64,
    /// 99 of 100 were faster.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

impl Report {
    /// The report on a run that took `duration`.
    pub fn new(url: String, tally: &Tally, duration: Duration) -> Report {
        let errors = tally.errors().iter();
        let gap = |gap: Gap| GapReport {
            at_ms: millis(gap.start),
            ms: millis(gap.length()),
            lost: gap.lost,
        };
        Report {
            schema: SCHEMA.to_owned(),
            url,
            requests: tally.requests(),
            ok: tally.ok(),
            errors: errors.clone().map(|(kind, f)| (kind.to_string(), f.count)).collect(),
            error_count: tally.failed(),
            error_details: errors.map(|(kind, f)| (kind.to_string(), f.detail.clone())).collect(),
            servers: tally.servers().clone(),
            longest_gap_ms: millis(tally.longest()),
            gaps: tally.gaps().into_iter().map(gap).collect(),
            latency_ms: tally.latency().map(|times| {
                let [min, median, p99, max] = times.map(millis);
                Latency { min, median, p99, max }
            }),
            duration_ms: millis(duration),
            skipped: tally.skipped(),
            late_ms: millis(tally.lateness()),
        }
    }

    /// Whether every request had a good answer, and there was one.
    pub fn all_ok(&self) -> bool {
        self.error_count == 0 && self.ok > 0
    }
}

/// Milliseconds to the microsecond.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::tally::{Outcome, Sample};
    use super::*;

    #[test]
    fn a_report_reads_back_from_its_json() {
        let mut tally = Tally::default();
        let outcome = Outcome::Answered { by: "web1".to_owned() };
        let done = Duration::from_micros(1_234);
        tally.record(&Sample { sent: Duration::ZERO, done, outcome });
        tally.stop(done);
        let report = Report::new("http://192.0.2.1/".to_owned(), &tally, done);
        let json = serde_json::to_string(&report).expect("plain data");
        assert_eq!(serde_json::from_str::<Report>(&json).expect(&json), report);
        assert!(json.contains(r#""servers":{"web1":1}"#), "{json}");
        assert!(json.contains(r#""longest_gap_ms":1.234"#), "{json}");
    }
}
