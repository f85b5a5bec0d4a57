//! What was measured, as a table and as one line of JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::aims::{self, Aim, median, middle};
use super::contestant::{Plan, Who};
use super::peer::Heard;
use super::trial::Figures;

/// Everything that was measured: of each case, the runs of each contestant.
#[derive(Default)]
pub(crate) struct Report {
    cases: BTreeMap<Plan, BTreeMap<Who, Vec<Figures>>>,
    /// What could not be measured.
    pub(crate) failures: usize,
}

/// A column: its head, its unit, how many digits, and its value of one run.
type Column = (&'static str, &'static str, usize, fn(&Figures) -> f64);

const COLUMNS: [Column; 11] = [
    ("idle", "% of it all", 0, |f| f.idle),
    ("start", "s to all", 1, |f| f.begins),
    ("rate", "% of asked", 1, |f| f.rate),
    ("cpu", "cores", 3, |f| f.cores),
    ("each", "us CPU", 1, |f| f.micros),
    ("rss", "MB", 1, |f| f.rss),
    ("pss", "MB", 1, |f| f.pss),
    ("off", "ms, 99 %", 0, |f| f.off),
    ("most off", "ms", 0, |f| f.most_off),
    ("refusal", "ms to out", 0, |f| median(&f.refused)),
    ("silence", "ms to out", 0, |f| median(&f.dropped)),
];

impl Report {
    /// Takes a run in, or tells why there is none.
    pub(crate) fn add(&mut self, plan: Plan, who: Who, run: Result<Figures, String>) {
        match run {
            Ok(figures) => {
                eprintln!("{plan} {}: {:.1} %, {:.1} us", who.name(), figures.rate, figures.micros);
                self.cases.entry(plan).or_default().entry(who).or_default().push(figures);
            }
            Err(error) => {
                self.failures += 1;
                eprintln!("\n{plan} {}: {error}\n", who.name());
            }
        }
    }

    pub(crate) fn print(&self) {
        println!(
            "\nChecks every second with a timeout of one; a single failure takes a server out."
        );
        println!("idle: what nobody used of the machine; where it is little, others disturbed.");
        println!("off: how far from a second the time between two checks of a target was.");
        print!("{:<17}{:<17}", "targets", "");
        COLUMNS.iter().for_each(|(head, ..)| print!("{head:>11}"));
        print!("\n{:<34}", "");
        COLUMNS.iter().for_each(|(_, unit, ..)| print!("{unit:>11}"));
        println!();
        for (plan, by) in &self.cases {
            for (who, runs) in by {
                print!("{:<17}{:<17}", plan.to_string(), who.name());
                for (_, _, digits, of) in COLUMNS {
                    print!("{:>11.*}", digits, middle(runs, of));
                }
                println!();
            }
        }
        self.print_heard();
        self.print_ratios();
        let aims = self.aims();
        println!("\nAims of converge:");
        for (plan, aims) in &aims {
            aims.iter().for_each(|aim| println!("{:<17}{}", plan.to_string(), aim.line()));
        }
        let json_of = |(plan, aims): &(Plan, Vec<Aim>)| {
            (plan.to_string(), aims.iter().map(Aim::json).collect::<Value>())
        };
        let aims: BTreeMap<_, _> = aims.iter().map(json_of).collect();
        println!("{}", json!({ "bench": "checks", "cases": self.json(), "aims": aims }));
    }

    /// What came of the elections.
    fn print_heard(&self) {
        for (plan, by) in self.cases.iter().filter(|(plan, _)| plan.elects) {
            println!("\n{plan}: how much later than 10 ms advertisements came after each other");
            for (who, runs) in by {
                let heard = || runs.iter().filter_map(|run| run.heard.as_ref());
                let all = |of: fn(&Heard) -> f64| heard().map(of).collect::<Vec<_>>();
                println!(
                    "{:<17}{:>7} advertisements, 99 % by {:.2} ms, at most {:.2} ms; Active \
                     changed {} times",
                    who.name(),
                    heard().map(|heard| heard.adverts).sum::<usize>(),
                    median(&all(|heard| heard.late)),
                    all(|heard| heard.most_late).into_iter().fold(f64::NAN, f64::max),
                    heard().map(|heard| heard.turns).sum::<usize>(),
                );
            }
        }
    }

    /// Of each case that this program took part in.
    fn aims(&self) -> Vec<(Plan, Vec<Aim>)> {
        let aims = |(plan, by): (&Plan, &BTreeMap<Who, Vec<Figures>>)| {
            let theirs = by.get(&Who::Keepalived).map_or(&[][..], Vec::as_slice);
            Some((*plan, aims::of(*plan, by.get(&Who::Converge)?, theirs)))
        };
        self.cases.iter().filter_map(aims).collect()
    }

    /// How many times as much the others need for a check.
    fn print_ratios(&self) {
        println!();
        for (plan, by) in &self.cases {
            let Some(ours) = by.get(&Who::Converge) else { continue };
            for (who, runs) in by.iter().filter(|(who, _)| **who != Who::Converge) {
                let ratio = |of: fn(&Figures) -> f64| middle(runs, of) / middle(ours, of);
                println!(
                    "{plan}: {} needs {:.2} times the CPU for a check and {:.2} times the memory",
                    who.name(),
                    ratio(|f| f.micros),
                    ratio(|f| f.pss),
                );
            }
        }
    }

    fn json(&self) -> BTreeMap<String, BTreeMap<&'static str, Value>> {
        let figures = |runs: &Vec<Figures>| {
            let all = |of: fn(&Figures) -> &Vec<f64>| -> Vec<f64> {
                runs.iter().flat_map(|run| of(run).iter().copied()).collect()
            };
            let worst = |all: Vec<f64>| all.into_iter().fold(0.0, f64::max);
            let missed = |all: Vec<f64>| all.iter().filter(|ms| ms.is_nan()).count();
            let heard = |of: fn(&Heard) -> f64| -> Vec<f64> {
                runs.iter().filter_map(|run| run.heard.as_ref().map(of)).collect()
            };
            json!({
                "start_s": middle(runs, |f| f.begins),
                "idle_percent": middle(runs, |f| f.idle),
                "rate_percent": middle(runs, |f| f.rate),
                "cores": middle(runs, |f| f.cores),
                "us_per_check": middle(runs, |f| f.micros),
                "rss_mb": middle(runs, |f| f.rss),
                "pss_mb": middle(runs, |f| f.pss),
                "off_p99_ms": middle(runs, |f| f.off),
                "off_most_ms": worst(runs.iter().map(|f| f.most_off).collect()),
                "left_out": worst(runs.iter().map(|f| f.skipped).collect()),
                "refused_ms": median(&all(|f| &f.refused)),
                "refused_worst_ms": worst(all(|f| &f.refused)),
                "silent_ms": median(&all(|f| &f.dropped)),
                "silent_worst_ms": worst(all(|f| &f.dropped)),
                "unnoticed": missed(all(|f| &f.refused)) + missed(all(|f| &f.dropped)),
                "vrrp_adverts": heard(|h| h.adverts as f64).iter().sum::<f64>(),
                "vrrp_turns": heard(|h| h.turns as f64).iter().sum::<f64>(),
                "vrrp_late_p99_ms": median(&heard(|h| h.late)),
                "vrrp_late_most_ms": worst(heard(|h| h.most_late)),
            })
        };
        let by = |by: &BTreeMap<Who, Vec<Figures>>| {
            by.iter().map(|(who, runs)| (who.name(), figures(runs))).collect()
        };
        self.cases.iter().map(|(plan, of)| (plan.to_string(), by(of))).collect()
    }
}
