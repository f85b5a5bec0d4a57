//! What this program is to reach, and whether it did.
//!
//! Each aim is about one case, and is met by its measured figures or not; some are in proportion to
//! what keepalived took in the same run.

use serde_json::{Value, json};

use super::contestant::Plan;
use super::trial::Figures;

/// No check is further off its beat, in milliseconds.
const OFF: f64 = 50.0;
/// From here on the processor time of a check matters.
const MANY: usize = 1000;
/// Of keepalived's processor time for a check.
const CPU: f64 = 0.75;
/// Resident memory at any size, in megabytes.
const RSS: f64 = 40.0;
/// From a death to the removal, in milliseconds: once `every`, and the timeout.
const DETECTION: f64 = 2000.0;
/// What the kernel and the log take, in milliseconds, after the moment of a removal.
const TOLD: f64 = 50.0;
/// Made of those asked for, in percent; the window does not begin and end with a beat.
const RATE: f64 = 99.5;

/// An aim in a case.
pub(crate) struct Aim {
    /// What is to be.
    what: String,
    /// What was.
    is: String,
    met: bool,
}

impl Aim {
    /// A line of the report.
    pub(crate) fn line(&self) -> String {
        let verdict = if self.met { "met   " } else { "MISSED" };
        format!("{verdict} {}: {}", self.what, self.is)
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "aim": self.what, "is": self.is, "met": self.met })
    }
}

/// The aims of a case, from all runs of it: ours, and keepalived's.
pub(crate) fn of(plan: Plan, ours: &[Figures], theirs: &[Figures]) -> Vec<Aim> {
    let worst = |of: fn(&Figures) -> f64| ours.iter().map(of).fold(f64::NAN, f64::max);
    let least = ours.iter().map(|f| f.rate).fold(f64::NAN, f64::min);
    let skipped = worst(|f| f.skipped);
    let off = worst(|f| f.most_off);
    let rss = worst(|f| f.rss);
    let mut deaths = ours.iter().flat_map(|f| f.refused.iter().chain(&f.dropped));
    let unnoticed = deaths.clone().filter(|ms| ms.is_nan()).count();
    let latest = deaths.by_ref().copied().fold(f64::NAN, f64::max);
    let aim = |what: String, is: String, met| Aim { what, is, met };
    let mut aims = vec![
        aim(
            "every check asked for is made".into(),
            format!("{skipped:.0} left out, {least:.2} % made"),
            skipped == 0.0 && least >= RATE,
        ),
        aim(format!("none is {OFF:.0} ms off"), format!("at most {off:.0} ms"), off <= OFF),
        aim(
            format!("a death is noticed within {DETECTION:.0} ms"),
            format!("{unnoticed} unnoticed, the others within {latest:.0} ms"),
            unnoticed == 0 && latest <= DETECTION + TOLD,
        ),
        aim(format!("less than {RSS:.0} MB of memory"), format!("{rss:.1} MB"), rss < RSS),
    ];
    if plan.targets >= MANY && !theirs.is_empty() {
        let ratio = middle(ours, |f| f.micros) / middle(theirs, |f| f.micros);
        aims.push(aim(
            format!("at most {CPU} of keepalived's processor time for a check"),
            format!("{ratio:.2}"),
            ratio <= CPU,
        ));
    }
    let turns: Vec<usize> = ours.iter().filter_map(|f| Some(f.heard.as_ref()?.turns)).collect();
    if plan.elects {
        let turns: usize = turns.iter().sum();
        let is = format!("{turns} changes of state");
        aims.push(aim("no VRRP takeover without a reason".into(), is, turns == 0));
    }
    aims
}

/// The middle one of the runs.
pub(crate) fn middle(runs: &[Figures], of: fn(&Figures) -> f64) -> f64 {
    median(&runs.iter().map(of).collect::<Vec<_>>())
}

pub(crate) fn median(all: &[f64]) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
