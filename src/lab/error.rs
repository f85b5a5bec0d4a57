//! What can go wrong with a lab, said so that a failing test needs no second look.
//!
//! An error has the host, the command, its output, and the end of the machine's console and
//! journal where these can tell why. What came of a command that ran is an [`Output`], whatever
//! its status.

use std::io;
use std::time::Duration;

use super::control::Refusal;
use super::image::ImageError;
use super::rundir::RunDirError;
use super::spec::SpecError;

/// What went wrong with a lab.
#[derive(thiserror::Error)]
pub enum LabError {
    /// The lab cannot be.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// There is nothing to boot.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Where labs keep their files is not to be trusted, or not to be had.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// The run directory or the daemon.
    #[error("cannot {what}: {source}")]
    Start {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The daemon ended at once.
    #[error("the lab's daemon did not start:\n{log}")]
    Daemon {
        /// What it said.
        log: String,
    },
    /// A lab of this name runs.
    #[error("the lab `{name}` is up already: `converge lab down` ends it")]
    AlreadyUp {
        /// Its name.
        name: String,
    },
    /// No lab of this name runs.
    #[error("no lab `{name}` is up: `converge lab up` starts one")]
    NotUp {
        /// The name.
        name: String,
    },
    /// The daemon did not do it.
    #[error("{refusal}{}", indent(.logs))]
    Refused {
        /// Why.
        refusal: Refusal,
        /// The end of the host's console, where that helps.
        logs: String,
    },
    /// The conversation broke off: machine or daemon went away, or time was up.
    #[error("{host}: lost `{command}`: {source}{}", indent(.logs))]
    Lost {
        /// Where it ran.
        host: String,
        /// What.
        command: String,
        /// How.
        #[source]
        source: io::Error,
        /// The end of the host's console.
        logs: String,
    },
    /// It did not shut down.
    #[error("{host}: still up {} s after the order to shut down{}", .patience.as_secs(),
        indent(.logs))]
    NoEnd {
        /// Which.
        host: String,
        /// How long was waited.
        patience: Duration,
        /// The end of the host's console and journal.
        logs: String,
    },
    /// A command that had to succeed did not.
    #[error("{host}: `{command}` gave {}{}{}{}", .output.status, indent(&.output.stdout),
        indent(&.output.stderr), indent(.logs))]
    Failed {
        /// Where it ran.
        host: String,
        /// What.
        command: String,
        /// What came of it.
        output: Box<Output>,
        /// The end of the host's console and journal.
        logs: String,
    },
}

/// `unwrap` in a test prints this, so it has to be readable.
impl std::fmt::Debug for LabError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// 0 is success; 124 a command that was killed for taking too long; 128 + n death by signal n.
    pub status: i32,
    /// Its output.
    pub stdout: String,
    /// Its error output.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Output {
    /// Whether it succeeded.
    pub fn success(&self) -> bool {
        self.status == 0
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("\n    {line}")).collect()
}
