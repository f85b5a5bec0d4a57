//! `converge`: make this host be what its role says.
//!
//! It takes the lock, converges, prints each change as it is made, and says how it ended. Whatever
//! failed is named with its cause and, where there is one, with the way out.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde_json::json;

use super::load::{self, Failure, Loaded};
use super::{Exit, Format, Global};
pub(super) use crate::host::chain;
use crate::host::{Host, HostError};
use crate::plan::{Change, Shown};
use crate::reconcile::{self, Outcome, Report};
use crate::resource::{Desired, Kinds};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const MILD: Style = AnsiColor::Yellow.on_default();

/// Runs it.
pub fn run(global: &Global) -> Exit {
    load::with_runtime(async {
        let host = Host::this();
        load::must_be_root()?;
        let _lock = load::lock(&host)?;
        let loaded = load::this_host(global, &host).await?;
        let situation = loaded.situation(&host).await?;
        let desired = loaded.role.desired(&situation)?;
        loaded.print_warnings(&host);
        let report = converge(global, &host, &desired).await?;
        let note = loaded.vips_note(&situation);
        load::print_missing(&loaded.role);
        Ok(conclude(global, &loaded, &report, note.as_deref()))
    })
}

async fn converge(global: &Global, host: &Host, desired: &Desired) -> Result<Report, Failure> {
    let quiet = global.quiet || global.output == Format::Json;
    let report = reconcile::reconcile(host, desired, Kinds::All, |change, outcome| {
        if !quiet {
            tell(desired, change, outcome);
        }
    });
    Ok(report.await?)
}

fn tell(desired: &Desired, change: &Change, outcome: &Outcome) {
    let origin = desired.origin.get(&change.id()).map(String::as_str);
    let mut out = anstream::stdout().lock();
    let shown = Shown { change, origin };
    // A closed standard output must not keep a host from converging.
    match outcome {
        Outcome::Done => write!(out, "{shown}").ok(),
        Outcome::Failed(error) => write!(out, "{shown}{}", failure(error)).ok(),
        Outcome::Held { by } => {
            writeln!(out, "{shown}    {MILD}left alone: it needs {by}, which failed{MILD:#}").ok()
        }
    };
}

/// An error with its causes and what can be done about it.
pub(super) fn failure(error: &HostError) -> String {
    let mut text = format!("    {BAD}failed: {}{BAD:#}\n", chain(error));
    if let Some(hint) = error.hint() {
        text.push_str(&format!("    help: {hint}\n"));
    }
    text
}

fn conclude(global: &Global, loaded: &Loaded, report: &Report, note: Option<&str>) -> Exit {
    let missing = &loaded.role.missing;
    match global.output {
        Format::Json => super::print(&json(report, missing).to_string()),
        Format::Text => text(global, loaded, report, note),
    }
    let failed = report.changes.iter().filter_map(|(_, o)| match o {
        Outcome::Failed(error) => Some(error),
        Outcome::Done | Outcome::Held { .. } => None,
    });
    let errors: Vec<&HostError> = failed.chain(report.unknown.iter().map(|(_, e)| e)).collect();
    match (report.converged(), missing.is_empty()) {
        (true, true) => Exit::Done,
        (true, false) => Exit::NeedsPackage,
        (false, _) if !errors.is_empty() && errors.iter().all(|e| e.is_missing_package()) => {
            Exit::NeedsPackage
        }
        (false, _) => Exit::Failed,
    }
}

fn text(global: &Global, loaded: &Loaded, report: &Report, note: Option<&str>) {
    for (kind, error) in &report.unknown {
        let said = failure(error);
        anstream::eprint!("{BAD}cannot look at any {kind}{BAD:#}\n{said}");
    }
    if !report.unsettled.is_empty() {
        anstream::eprint!("{MILD}still different after the change:{MILD:#}\n{}", report.unsettled);
    }
    if global.quiet {
        return;
    }
    super::print(&last_line(&loaded.heading(), &loaded.role.missing, report));
    if let Some(note) = note {
        super::print(&format!("  {note}"));
    }
}

fn last_line(heading: &str, missing: &[String], report: &Report) -> String {
    let count = |wanted: fn(&Outcome) -> bool| {
        report.changes.iter().filter(|(_, outcome)| wanted(outcome)).count()
    };
    let done = count(|o| matches!(o, Outcome::Done));
    let failed = count(|o| matches!(o, Outcome::Failed(_)));
    let held = count(|o| matches!(o, Outcome::Held { .. }));
    match (report.converged(), missing, done) {
        (true, [], 0) => format!("{GOOD}{heading}: nothing to do{GOOD:#}"),
        (true, [], n) => format!("{GOOD}{heading}: {} made{GOOD:#}", changes(n)),
        (true, [..], n) => format!(
            "{BAD}{heading}: not converged; {} made, {} not installed{BAD:#}",
            changes(n),
            missing.join(", ")
        ),
        (false, _, n) => format!(
            "{BAD}{heading}: not converged; {} made, {failed} failed, {held} left alone{BAD:#}",
            changes(n)
        ),
    }
}

/// `1 change`, `2 changes`.
pub(super) fn changes(n: usize) -> String {
    format!("{n} change{}", if n == 1 { "" } else { "s" })
}

fn json(report: &Report, missing: &[String]) -> serde_json::Value {
    let changes: Vec<_> = report
        .changes
        .iter()
        .map(|(change, outcome)| {
            let (word, detail) = match outcome {
                Outcome::Done => ("done", None),
                Outcome::Failed(error) => ("failed", Some(chain(error))),
                Outcome::Held { by } => ("held", Some(format!("needs {by}"))),
            };
            json!({"resource": change.id(), "change": change, "outcome": word, "detail": detail})
        })
        .collect();
    let unknown: Vec<_> = report
        .unknown
        .iter()
        .map(|(kind, error)| json!({"kind": kind, "error": chain(error)}))
        .collect();
    let unsettled: Vec<_> = report.unsettled.changes.iter().map(Change::id).collect();
    json!({
        "schema": "converge.apply/1",
        "converged": report.converged() && missing.is_empty(),
        "changes": changes,
        "unknown": unknown,
        "unsettled": unsettled,
        "missing": missing,
    })
}
