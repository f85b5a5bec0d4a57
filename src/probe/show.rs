//! The result of a probe for a person: a bar for each server, then what went wrong and how fast.
//!
//! Colours are ANSI sequences; the caller's stream drops them where they are not wanted. Nothing
//! is said by colour alone.

use std::fmt::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::report::{GapReport, Report};
use super::tally::Tally;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const BARS: [Style; 5] = [
    AnsiColor::Cyan.on_default(),
    AnsiColor::Magenta.on_default(),
    AnsiColor::Blue.on_default(),
    AnsiColor::Yellow.on_default(),
    AnsiColor::Green.on_default(),
];

/// Columns of a bar that stands for every answer.
const BAR: usize = 32;

/// Rows of servers shown; `-o json` has them all.
const ROWS: usize = 32;

/// Gaps shown beside the longest.
const GAPS: usize = 5;

/// Servers named in the live line.
const LIVE: usize = 4;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BOLD}{}{BOLD:#}  ", self.url)?;
        let plural = if self.requests == 1 { "" } else { "s" };
        let took = time(self.duration_ms);
        writeln!(f, "{DIM}{} request{plural} in {took}{DIM:#}", self.requests)?;
        writeln!(f)?;
        servers(f, self)?;
        errors(f, self)?;
        gaps(f, self)?;
        latency(f, self)?;
        doubts(f, self)
    }
}

fn servers(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    if report.servers.is_empty() {
        return writeln!(f, "  {RED}nobody answered{RED:#}\n");
    }
    let wide = report.servers.keys().map(|name| width(name)).max().unwrap_or(0);
    for ((name, n), style) in report.servers.iter().take(ROWS).zip(BARS.iter().cycle()) {
        let share = *n as f64 / report.ok as f64;
        let bar = bar(share);
        let (pad, rest) = (wide - width(name), BAR - bar.chars().count());
        write!(f, "  {name}{:pad$}  {style}{bar}{style:#}{:rest$}", "", "")?;
        writeln!(f, "  {n:>7}  {BOLD}{:>5.1} %{BOLD:#}", share * 100.0)?;
    }
    if report.servers.len() > ROWS {
        writeln!(f, "  {DIM}and {} more{DIM:#}", report.servers.len() - ROWS)?;
    }
    writeln!(f)
}

/// A bar of blocks to an eighth of a column; whoever answered at all is seen.
fn bar(share: f64) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = ((share * BAR as f64 * 8.0).round() as usize).clamp(1, BAR * 8);
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}

fn errors(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    if report.error_count == 0 {
        return writeln!(f, "  errors       {GREEN}none{GREEN:#}");
    }
    let (n, all) = (report.error_count, report.requests);
    let share = n as f64 / all as f64 * 100.0;
    writeln!(f, "  errors       {RED}{n} of {all}{RED:#} ({share:.1} %)")?;
    let wide = report.errors.keys().map(|kind| kind.len()).max().unwrap_or(0);
    for (kind, n) in &report.errors {
        let detail = report.error_details.get(kind).map_or("", String::as_str);
        writeln!(f, "    {n:>7}  {RED}{kind:<wide$}{RED:#}  {DIM}{detail}{DIM:#}")?;
    }
    Ok(())
}

fn gaps(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let mut gaps = report.gaps.clone();
    gaps.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    let Some((longest, others)) = gaps.split_first() else {
        let usual = time(report.longest_gap_ms);
        return writeln!(
            f,
            "  longest gap  {GREEN}none{GREEN:#}, an answer every {usual} or sooner"
        );
    };
    // A slow moment is worth a line; only lost requests are worth red, and a list.
    let style = if longest.lost > 0 { RED } else { BOLD };
    writeln!(f, "  longest gap  {style}{}{style:#} {}", time(longest.ms), place(longest))?;
    let others: Vec<&GapReport> = others.iter().filter(|gap| gap.lost > 0).collect();
    for gap in others.iter().take(GAPS) {
        writeln!(f, "               {} {}", time(gap.ms), place(gap))?;
    }
    if others.len() > GAPS {
        writeln!(f, "               {DIM}and {} shorter{DIM:#}", others.len() - GAPS)?;
    }
    Ok(())
}

fn place(gap: &GapReport) -> String {
    let at = gap.at_ms / 1000.0;
    let lost = match gap.lost {
        0 => String::new(),
        1 => ", 1 request lost".to_owned(),
        n => format!(", {n} requests lost"),
    };
    format!("{DIM}at {at:.3} s{lost}{DIM:#}")
}

fn latency(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let Some(times) = report.latency_ms else {
        return Ok(());
    };
    let [min, median, p99, max] = [times.min, times.median, times.p99, times.max].map(time);
    writeln!(f, "  latency      min {min}, median {BOLD}{median}{BOLD:#}, p99 {p99}, max {max}")
}

/// What this machine itself did to the measurement.
fn doubts(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    /// Less than this is the timer's own resolution and a scheduler's turn.
    const LATE_MS: f64 = 5.0;
    if report.skipped > 0 {
        let n = report.skipped;
        writeln!(f, "  not sent     {n} requests, too many were waiting (--concurrency)")?;
    }
    if report.late_ms > LATE_MS {
        let late = time(report.late_ms);
        writeln!(
            f,
            "  {DIM}this machine was up to {late} late: gaps may be off by as much{DIM:#}"
        )?;
    }
    Ok(())
}

/// One line of progress, without its end.
pub fn live(tally: &Tally, elapsed: Duration) -> String {
    let mut line = format!("{:>7} requests", tally.requests());
    let servers = tally.servers();
    for ((name, n), style) in servers.iter().take(LIVE).zip(BARS.iter().cycle()) {
        let name: String = name.chars().take(16).collect();
        let share = *n as f64 / tally.ok().max(1) as f64 * 100.0;
        put(&mut line, format_args!("  {style}{name}{style:#} {share:.0} %"));
    }
    if servers.len() > LIVE {
        put(&mut line, format_args!("  {DIM}+{}{DIM:#}", servers.len() - LIVE));
    }
    if tally.failed() > 0 {
        put(&mut line, format_args!("  {RED}{} errors{RED:#}", tally.failed()));
    }
    let silent = elapsed.saturating_sub(tally.last_good());
    if silent > Duration::from_secs(1) {
        let silent = silent.as_secs_f64();
        put(&mut line, format_args!("  {RED}no answer for {silent:.1} s{RED:#}"));
    }
    line
}

fn put(line: &mut String, part: fmt::Arguments<'_>) {
    line.write_fmt(part).expect("a String takes any text");
}

/// A duration in three or four digits and its unit.
fn time(ms: f64) -> String {
    match ms {
        _ if ms < 10.0 => format!("{ms:.2} ms"),
        _ if ms < 100.0 => format!("{ms:.1} ms"),
        _ if ms < 10_000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1000.0),
    }
}

/// Columns of a name on a terminal: CJK and full-width letters take two.
fn width(text: &str) -> usize {
    let wide = |c: char| {
        matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}')
    };
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::super::tally::{Failure, FailureKind, Outcome, Sample};
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn plain(report: &Report) -> String {
        anstream::adapter::strip_str(&report.to_string()).to_string()
    }

    fn report(samples: &[(u64, Outcome)]) -> Report {
        let mut tally = Tally::default();
        for (sent, outcome) in samples {
            let (sent, done) = (ms(*sent), ms(sent + 1));
            tally.record(&Sample { sent, done, outcome: outcome.clone() });
        }
        let end = samples.last().map_or(Duration::ZERO, |(sent, _)| ms(sent + 1));
        tally.stop(end);
        Report::new("http://192.0.2.10/".to_owned(), &tally, end)
    }

    fn answered(by: &str) -> Outcome {
        Outcome::Answered { by: by.to_owned() }
    }

    fn refused() -> Outcome {
        let detail = "connection refused".to_owned();
        Outcome::Failed(Failure { kind: FailureKind::Refused, detail })
    }

    #[test]
    fn a_person_sees_shares_errors_gaps_and_times() {
        let mut samples: Vec<(u64, Outcome)> = Vec::new();
        for at in 0..100 {
            samples.push((at, answered(if at % 4 == 0 { "网页一" } else { "web2" })));
        }
        samples.extend((100..150).map(|at| (at, refused())));
        samples.push((150, answered("web2")));
        let expected = "\
http://192.0.2.10/  151 requests in 151 ms

  web2    ████████████████████████▏              76   75.2 %
  网页一  ███████▉                               25   24.8 %

  errors       50 of 151 (33.1 %)
         50  refused  connection refused
  longest gap  51.0 ms at 0.100 s, 50 requests lost
  latency      min 1.00 ms, median 1.00 ms, p99 1.00 ms, max 1.00 ms
";
        assert_eq!(plain(&report(&samples)), expected);
    }

    #[test]
    fn a_dead_vip_is_said_to_be_dead() {
        let text = plain(&report(&[(0, refused()), (1, refused())]));
        assert!(text.contains("nobody answered"), "{text}");
        assert!(text.contains("2 of 2 (100.0 %)"), "{text}");
        assert!(!text.contains("latency"), "{text}");
    }

    #[test]
    fn a_bar_is_never_longer_than_its_columns_nor_empty() {
        assert_eq!(bar(1.0), "█".repeat(BAR));
        assert_eq!(bar(0.5), "█".repeat(BAR / 2));
        assert_eq!(bar(0.000_1), "▏");
    }

    #[test]
    fn the_live_line_names_shares_errors_and_silence() {
        let mut tally = Tally::default();
        tally.record(&Sample { sent: ms(0), done: ms(1), outcome: answered("web1") });
        tally.record(&Sample { sent: ms(1), done: ms(2), outcome: refused() });
        let line = anstream::adapter::strip_str(&live(&tally, ms(2_001))).to_string();
        assert_eq!(line, "      2 requests  web1 100 %  1 errors  no answer for 2.0 s");
    }
}
