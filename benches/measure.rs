//! Times programs beside each other, and says how much memory the largest process took.
//!
//! A round runs each contestant once, so that whatever disturbs the machine disturbs all of them.
//! Each run has a process of its own that starts the program, waits for it and asks the kernel:
//! the time is from before the start to after the end, and the memory is `ru_maxrss`, which
//! begins at what the starting process has (see the floor that is printed).

use std::collections::BTreeMap;
use std::error::Error;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// The first argument that makes the benchmark run one program and report.
pub const ONE: &str = "measure-one";

/// One run of a program.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Wall time in milliseconds.
    pub ms: f64,
    /// Peak resident memory of the largest process, in megabytes.
    pub mb: f64,
}

/// A program, and how often it runs.
#[derive(Clone, Debug)]
pub struct Contestant {
    /// What it is called in the results.
    pub name: String,
    /// The program and its arguments, which hold no spaces.
    pub command: String,
    /// In how many rounds it takes part.
    pub rounds: usize,
}

/// What came of a contestant's runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Wall times in milliseconds, sorted.
    pub ms: Vec<f64>,
    /// The greatest peak memory, in megabytes.
    pub mb: f64,
}

impl Figures {
    /// The middle one.
    pub fn median(&self) -> f64 {
        self.ms.get(self.ms.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// The figures of one case, by contestant.
pub type Case = BTreeMap<String, Figures>;

/// Runs the program that the arguments name, and prints a [`Sample`] as JSON.
pub fn one(argv: &[String]) -> Result<(), Box<dyn Error>> {
    let (program, arguments) = argv.split_first().ok_or("nothing to measure")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let ms = start.elapsed().as_secs_f64() * 1000.0;
    if !status.success() {
        return Err(format!("{}: {status}", argv.join(" ")).into());
    }
    // This process has waited for one child and for nothing else.
    let kib = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    println!("{}", serde_json::to_string(&Sample { ms, mb: kib as f64 / 1024.0 })?);
    Ok(())
}

/// Runs all contestants in turn, round after round; `run` runs a command line through [`ONE`].
/// All of them have run before, so that caches are warm.
pub fn interleaved(
    contestants: &[Contestant],
    mut run: impl FnMut(&str) -> Result<Sample, Box<dyn Error>>,
) -> Result<Case, Box<dyn Error>> {
    let mut case = Case::new();
    let rounds = contestants.iter().map(|c| c.rounds).max().unwrap_or(0);
    for round in 0..rounds {
        for contestant in contestants.iter().filter(|c| round < c.rounds) {
            let sample = run(&contestant.command)?;
            let figures = case
                .entry(contestant.name.clone())
                .or_insert_with(|| Figures { ms: Vec::new(), mb: 0.0 });
            figures.ms.push(sample.ms);
            figures.mb = figures.mb.max(sample.mb);
        }
    }
    for figures in case.values_mut() {
        figures.ms.sort_by(f64::total_cmp);
    }
    Ok(case)
}

/// A table of one case, with ratios to the contestant called `to`.
pub fn print(title: &str, case: &Case, to: &str) {
    let unit = case.get(to).map_or(f64::NAN, Figures::median);
    println!("\n{title}\n");
    println!("  {:<12}{:>10}{:>20}{:>10}{:>10}", "", "median", "min – max", "ratio", "memory");
    for (name, figures) in case {
        let (low, high) = (figures.ms.first(), figures.ms.last());
        let range = match (low, high) {
            (Some(low), Some(high)) => format!("{} – {}", number(*low), number(*high)),
            _ => String::new(),
        };
        let median = format!("{} ms", number(figures.median()));
        let ratio = format!("{:.1} ×", figures.median() / unit);
        println!("  {name:<12}{median:>10}{range:>20}{ratio:>10}{:>7.1} MB", figures.mb);
    }
}

fn number(ms: f64) -> String {
    if ms < 100.0 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}
