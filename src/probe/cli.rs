//! `converge probe URL`: what a person types, and where the result goes.
//!
//! The result goes to standard output, as text or JSON; while it runs, a line of progress to
//! standard error, if that is a terminal. Ctrl-C or SIGTERM end the run early and the result is
//! still printed. Exit status 0 means every request had a good answer, 1 that one had none or
//! that fewer servers answered than expected.

use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::beat::{self, Beat};
use super::client::{Client, Manner, SetupError};
use super::report::Report;
use super::show;
use super::tally::Tally;
use super::target::Target;
use crate::document::span;

/// Requests in a run that nothing else limits: enough to see a share, over in a moment.
const COUNT: u64 = 100;

/// Clears the line of progress.
const CLEAR: &str = "\r\x1b[2K";

/// Measure a virtual address as a client sees it.
#[derive(Clone, Debug, Args)]
pub struct ProbeArgs {
    /// What to ask: http://, https:// or tcp://HOST:PORT; a bare address means http://
    #[arg(value_name = "URL")]
    pub target: Target,
    /// Requests to send [default: 100, or no limit with --for]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Time between two requests, such as 10ms; 0 sends the next when an answer has come
    #[arg(short, long, value_name = "DURATION", default_value = "0")]
    pub interval: Span,
    /// How long to send requests, such as 30s
    #[arg(long = "for", value_name = "DURATION")]
    pub length: Option<Span>,
    /// How long an answer may take
    #[arg(long, value_name = "DURATION", default_value = "2s")]
    pub timeout: Span,
    /// Requests waiting for an answer at once [default: 1, or 2048 with --interval]
    #[arg(long, value_name = "N")]
    pub concurrency: Option<NonZeroUsize>,
    /// How to print the result; an option of every command
    #[arg(skip = Form::Text)]
    pub output: Form,
    /// Fail unless at least this many servers answered
    #[arg(long, value_name = "N")]
    pub expect_servers: Option<usize>,
    /// Take any certificate
    #[arg(short = 'k', long)]
    pub insecure: bool,
    /// Ask over one connection again and again, instead of a new one for each request
    #[arg(long)]
    pub keep_alive: bool,
    /// Follow redirects
    #[arg(short = 'L', long)]
    pub follow: bool,
}

/// The form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// More than anyone measures or waits, and far from what a clock cannot add.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// A duration as people write it, the same as in files: `500us`, `10ms`, `2s`, `1.5s`, `5m`, `1h`,
/// `2d`; and a bare 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// It is none.
    #[error("{0}")]
    Wrong(String),
    /// It is longer than anybody means.
    #[error("`{0}` is longer than a year")]
    Long(String),
}

/// Why a probe could not be made or shown.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No HTTP client.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Signals cannot be caught.
    #[error("cannot listen for signals")]
    Signals {
        /// Why.
        source: io::Error,
    },
    /// The result cannot be printed.
    #[error("cannot print the result")]
    Print {
        /// Why.
        source: io::Error,
    },
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        if text == "0" {
            return Ok(Span(Duration::ZERO));
        }
        match span(text).map_err(SpanError::Wrong)? {
            long if long > LONGEST => Err(SpanError::Long(text.to_owned())),
            span => Ok(Span(span)),
        }
    }
}

impl ProbeArgs {
    fn beat(&self) -> Beat {
        let length = self.length.map(|span| span.0);
        Beat {
            interval: Some(self.interval.0).filter(|interval| !interval.is_zero()),
            count: self.count.or(if length.is_none() { Some(COUNT) } else { None }),
            length,
            concurrency: self.concurrency,
        }
    }

    fn manner(&self) -> Manner {
        Manner {
            timeout: self.timeout.0,
            insecure: self.insecure,
            keep_alive: self.keep_alive,
            follow: self.follow,
        }
    }

    /// Whether the report is what was hoped for.
    pub fn is_met_by(&self, report: &Report) -> bool {
        report.all_ok() && self.expect_servers.is_none_or(|n| report.servers.len() >= n)
    }
}

/// Probes and prints; returns the exit status.
pub async fn run(args: &ProbeArgs) -> Result<u8, ProbeError> {
    let client = Arc::new(Client::new(&args.target, &args.manner())?);
    let stop = stopped().map_err(|source| ProbeError::Signals { source })?;
    allow_many_connections();
    let live = io::stderr().is_terminal();
    let run = beat::run(client, args.beat(), stop, |tally, elapsed| {
        if live {
            progress(tally, elapsed);
        }
    })
    .await;
    if live {
        anstream::eprint!("{CLEAR}");
    }
    let report = Report::new(args.target.to_string(), &run.tally, run.duration);
    print(args, &report).map_err(|source| ProbeError::Print { source })?;
    Ok(if args.is_met_by(&report) { 0 } else { 1 })
}

fn progress(tally: &Tally, elapsed: Duration) {
    anstream::eprint!("{CLEAR}{}", show::live(tally, elapsed));
}

fn print(args: &ProbeArgs, report: &Report) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    match args.output {
        Form::Text => {
            write!(out, "{report}")?;
            if let Some(n) = args.expect_servers.filter(|n| report.servers.len() < *n) {
                writeln!(out, "  expected     {n} servers, {} answered", report.servers.len())?;
            }
        }
        Form::Json => writeln!(out, "{}", serde_json::to_string(report)?)?,
    }
    out.flush()
}

/// Ends at the first Ctrl-C or SIGTERM.
fn stopped() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _signal = interrupt.recv() => {}
            _signal = terminate.recv() => {}
        }
    })
}

/// Raises the soft limit of descriptors to the hard one; a beat holds one for each request.
fn allow_many_connections() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        // Requests beyond the limit will be reported as failures of this machine.
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        probe: ProbeArgs,
    }

    fn parse(line: &str) -> Result<ProbeArgs, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.probe)
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, micros) in [("0", 0), ("250us", 250), ("10ms", 10_000), ("1.5s", 1_500_000)] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_micros(micros))), "{text}");
        }
        assert_eq!("2d".parse(), Ok(Span(Duration::from_hours(48))));
        for text in ["", "10", "ms", "-1s", "1e9s", "999999h", "367d", "1 week"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bare_probe_sends_a_hundred_requests_and_a_timed_one_as_many_as_fit() {
        let bare = parse("probe 192.0.2.1").expect("valid").beat();
        assert_eq!((bare.count, bare.interval, bare.length), (Some(COUNT), None, None));
        let timed = parse("probe 192.0.2.1 --for 2s -i 1ms").expect("valid").beat();
        assert_eq!(timed.count, None);
        assert_eq!(timed.interval, Some(Duration::from_millis(1)));
    }

    #[test]
    fn a_wrong_word_is_a_usage_error() {
        for line in
            ["probe", "probe ftp://web", "probe web -n 0", "probe web -i 5", "probe web -o x"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
