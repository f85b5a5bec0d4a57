//! What was measured, as tables and as one line of JSON.

use std::collections::BTreeMap;

use serde_json::json;

use super::contestant::Contestant;
use super::trial::{Idle, Takeover};

/// Figures of one case, by contestant.
type By<T> = BTreeMap<Contestant, T>;

/// A case: its name, what the protocol alone allows, and every run.
type Case = (String, f64, By<Vec<Takeover>>);

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Report {
    takeovers: Vec<Case>,
    idle: BTreeMap<u8, By<Idle>>,
    busy: By<usize>,
    /// What could not be measured.
    pub(crate) failures: usize,
}

impl Report {
    /// Takes a run in, or tells why there is none.
    pub(crate) fn takeover(
        &mut self,
        case: &str,
        bound: f64,
        who: Contestant,
        run: Result<Takeover, String>,
    ) {
        let run = self.checked(case, run);
        let at = self.takeovers.iter().position(|(name, ..)| name == case).unwrap_or_else(|| {
            self.takeovers.push((case.to_owned(), bound, By::new()));
            self.takeovers.len() - 1
        });
        self.takeovers[at].2.entry(who).or_default().extend(run);
    }

    /// What an idle director takes.
    pub(crate) fn idle(&mut self, instances: u8, who: Contestant, idle: Result<Idle, String>) {
        if let Some(idle) = self.checked("idle", idle) {
            self.idle.entry(instances).or_default().insert(who, idle);
        }
    }

    /// How often a busy one moved the VIP.
    pub(crate) fn busy(&mut self, who: Contestant, moves: Result<usize, String>) {
        if let Some(moves) = self.checked("busy", moves) {
            self.busy.insert(who, moves);
        }
    }

    fn checked<T>(&mut self, case: &str, result: Result<T, String>) -> Option<T> {
        result
            .map_err(|error| {
                self.failures += 1;
                eprintln!("\n{case}: {error}\n");
            })
            .ok()
    }

    /// All of it.
    pub(crate) fn print(&self) {
        self.print_takeovers("Event to VIP on the other director, ms", true, |t| t.vip);
        self.print_takeovers("What the client loses, ms", false, |t| t.lost);
        self.print_starts();
        self.print_idle();
        let moves: BTreeMap<_, _> = self.busy.iter().map(|(who, n)| (who.name(), n)).collect();
        println!("\nVIPs moved for no reason at 10 ms, every processor busy: {moves:?}\n");
        let idle: BTreeMap<String, _> =
            self.idle.iter().map(|(n, by)| (n.to_string(), named(by, figures))).collect();
        let cases = |of: fn(&Takeover) -> f64| -> BTreeMap<&str, _> {
            let medians = |by| named(by, |runs: &Vec<Takeover>| spread(runs, of).1);
            self.takeovers.iter().map(|(case, _, by)| (case.as_str(), medians(by))).collect()
        };
        let start = self.starts();
        let start: BTreeMap<_, _> =
            start.iter().map(|(i, by)| (*i, named(by, |all| median(all)))).collect();
        let (ms, lost_ms) = (cases(|t| t.vip), cases(|t| t.lost));
        println!(
            "{}",
            json!({
                "bench": "failover", "ms": ms, "lost_ms": lost_ms, "start_ms": start,
                "idle": idle, "false_takeovers": moves,
            })
        );
    }

    fn print_takeovers(&self, title: &str, bounded: bool, of: fn(&Takeover) -> f64) {
        println!("\n{title}: min / median / max\n");
        let bound = if bounded { "bound" } else { "" };
        println!("  {:<18}{bound:>8}{:>28}{:>28}", "", "converge", "keepalived");
        for (case, limit, by) in &self.takeovers {
            let limit = if bounded { format!("{limit:.0}") } else { String::new() };
            let shown = |who| by.get(&who).map(|runs| three(spread(runs, of))).unwrap_or_default();
            let (ours, theirs) = (shown(Contestant::Converge), shown(Contestant::Keepalived));
            println!("  {case:<18}{limit:>8}{ours:>28}{theirs:>28}");
        }
    }

    /// By interval, which a case's name begins with.
    fn starts(&self) -> BTreeMap<&str, By<Vec<f64>>> {
        let mut starts: BTreeMap<&str, By<Vec<f64>>> = BTreeMap::new();
        for (case, _, by) in &self.takeovers {
            let interval = case.split(',').next().unwrap_or_default();
            for (who, runs) in by {
                let all = starts.entry(interval).or_default().entry(*who).or_default();
                all.extend(runs.iter().map(|run| run.start));
            }
        }
        starts
    }

    fn print_starts(&self) {
        println!("\nStart, with nobody else there, to VIP, ms: median\n");
        println!("  {:<26}{:>28}{:>28}", "", "converge", "keepalived");
        for (interval, by) in &self.starts() {
            let shown = |who| by.get(&who).map(|all| number(median(all))).unwrap_or_default();
            let (ours, theirs) = (shown(Contestant::Converge), shown(Contestant::Keepalived));
            println!("  {interval:<26}{ours:>28}{theirs:>28}");
        }
    }

    fn print_idle(&self) {
        println!("\nAn idle Active at 1 s\n");
        println!("  {:<26}{:>12}{:>10}{:>10}{:>14}", "", "cores", "RSS MB", "PSS MB", "start ms");
        for (instances, by) in &self.idle {
            for (who, Idle { cores, rss, pss, start }) in by {
                let what = format!("{} × {instances}", who.name());
                println!("  {what:<26}{cores:>12.5}{rss:>10.1}{pss:>10.1}{start:>14.0}");
            }
        }
    }
}

fn named<T, U>(by: &By<T>, of: impl Fn(&T) -> U) -> BTreeMap<&'static str, U> {
    by.iter().map(|(who, value)| (who.name(), of(value))).collect()
}

fn figures(idle: &Idle) -> serde_json::Value {
    let Idle { cores, rss, pss, start } = idle;
    json!({ "cores": cores, "rss_mb": rss, "pss_mb": pss, "start_ms": start })
}

/// The least, the middle one, the greatest.
fn spread(runs: &[Takeover], of: fn(&Takeover) -> f64) -> (f64, f64, f64) {
    let mut all: Vec<f64> = runs.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    let at = |i: usize| all.get(i).copied().unwrap_or(f64::NAN);
    (at(0), median(&all), at(all.len().wrapping_sub(1)))
}

fn median(all: &[f64]) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    (middle * 1000.0).round() / 1000.0
}

fn three((least, middle, greatest): (f64, f64, f64)) -> String {
    format!("{} / {} / {}", number(least), number(middle), number(greatest))
}

fn number(ms: f64) -> String {
    if ms < 100.0 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}
