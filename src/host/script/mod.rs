//! The administrator's programs: checks and hooks.
//!
//! Each runs as its own user, in a process group of its own and within a time limit; what is late
//! is killed with all of its group, and so is what runs when we end. A program that somebody else
//! could change is not run ([`safety`]). What it prints is kept up to [`OUTPUT`] bytes. One
//! [`Runner`] runs one program at a time.

mod account;
mod running;
pub mod safety;

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::blocking::Blocking;
use super::users::UserError;
use account::Account;
use running::Running;
use safety::UnsafeError;

/// How much of what a program prints is kept: some lines that say what went wrong.
pub const OUTPUT: usize = 4096;
/// How much a program may be given to read: a pipe takes a page at once, whoever reads it when.
pub const INPUT: usize = 4096;

/// The bits by which somebody may run a file (inode(7)).
const RUN: u32 = 0o111;

/// How long a run waits for the end of the one before, if that was killed: twice the time between
/// asking it to end and killing it. Who does not end then waits in the kernel.
const DYING: Duration = Duration::from_secs(2);

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The program and its arguments; no shell is involved.
    pub argv: Vec<String>,
    /// Who it runs as; without, as we do.
    pub user: Option<String>,
    /// Its environment beside `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL` and `LANG`; ours is not
    /// passed on.
    pub environment: Vec<(&'static str, String)>,
    /// What it can read, at most [`INPUT`] bytes; more is cut off.
    pub input: String,
}

/// What becomes of the rest of the process group when the program has ended in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strays {
    /// It is killed: what runs again and again must leave nothing behind.
    Kill,
    /// It goes on.
    Leave,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Exited(i32),
    /// By a signal that we did not send.
    Killed(i32),
    /// It did not, and was killed.
    Late(Duration),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exited(code) => write!(f, "exit code {code}"),
            End::Killed(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "ended by {signal}"),
                Err(_) => write!(f, "ended by signal {number}"),
            },
            End::Late(limit) => write!(f, "did not end within {limit:?} and was killed"),
        }
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// What it printed on both streams, lossy UTF-8, trimmed, at most [`OUTPUT`] bytes of it.
    pub output: String,
}

/// Why a program was not run.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// No program is named.
    #[error("there is no program to run")]
    Empty,
    /// It is not on this host.
    #[error("{program} is not installed on this host")]
    Missing {
        /// Its name.
        program: String,
    },
    /// Its user cannot be found.
    #[error(transparent)]
    User(#[from] UserError),
    /// Somebody else could change it.
    #[error(transparent)]
    Unsafe(#[from] UnsafeError),
    /// User or program were not found out in time.
    #[error("its user or its file could not be looked up within {limit:?}")]
    Slow {
        /// How long it was given.
        limit: Duration,
    },
    /// The run before was killed and is not gone.
    #[error("its last run was killed and has not ended")]
    Unkillable,
    /// It is none.
    #[error("{} is a directory, not a program", program.display())]
    Directory {
        /// Its path.
        program: PathBuf,
    },
    /// Nobody may run it.
    #[error("{} is not executable", program.display())]
    NotExecutable {
        /// Its path.
        program: PathBuf,
    },
    /// The kernel does not start it.
    #[error("cannot run {}", program.display())]
    Start {
        /// Its path.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel has nothing left to run it with.
    #[error("cannot watch over {}", program.display())]
    Watch {
        /// Its path.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Runs programs, one at a time.
#[derive(Debug, Default)]
pub struct Runner {
    blocking: Blocking,
    /// A late run on its way out.
    dying: Option<JoinHandle<()>>,
}

/// A program that may be run.
#[derive(Debug)]
struct Prepared {
    program: PathBuf,
    account: Account,
}

impl Runner {
    /// Runs a program to its end, or to the limit: then it answers, and the group is killed
    /// meanwhile. Cancelled, it kills the group at once.
    pub async fn run(
        &mut self,
        script: &Script,
        limit: Duration,
        strays: Strays,
    ) -> Result<Ran, ScriptError> {
        self.run_keeping((), script, limit, strays).await
    }

    /// The same. What is to be `kept` is dropped when user and program are found out: a look that
    /// hangs keeps it, although nobody waits for that any more.
    pub async fn run_keeping(
        &mut self,
        kept: impl Send + 'static,
        script: &Script,
        limit: Duration,
        strays: Strays,
    ) -> Result<Ran, ScriptError> {
        if let Some(dying) = &mut self.dying {
            let gone = timeout(DYING, dying).await;
            // Its task cannot fail; that it is over is what counts.
            let _over = gone.map_err(|_| ScriptError::Unkillable)?.is_ok();
            self.dying = None;
        }
        let over = Instant::now() + limit;
        let (argv, user) = (script.argv.clone(), script.user.clone());
        let looking = self.blocking.call(move || {
            let _kept = kept;
            prepare(&argv, user.as_deref())
        });
        let looked = timeout_at(over, looking).await;
        let prepared = looked.ok().flatten().ok_or(ScriptError::Slow { limit })??;
        let mut running = Running::start(&prepared, script)?;
        let end = match running.wait(over).await {
            true => running.end(strays).await.map_err(|source| watching(&prepared, source))?,
            false => End::Late(limit),
        };
        let output = running.output();
        if matches!(end, End::Late(_)) {
            self.dying = Some(tokio::spawn(running.kill()));
        }
        Ok(Ran { end, output })
    }
}

fn prepare(argv: &[String], user: Option<&str>) -> Result<Prepared, ScriptError> {
    let name = argv.first().filter(|name| !name.is_empty()).ok_or(ScriptError::Empty)?;
    let account = Account::find(user)?;
    let program = match name.contains('/') {
        true => PathBuf::from("/").join(name),
        false => super::command::find(name)
            .ok_or_else(|| ScriptError::Missing { program: name.clone() })?,
    };
    safety::check(&program, account.uid)?;
    // What cannot be looked at the kernel will refuse in its own words.
    match fs::metadata(&program) {
        Ok(found) if found.is_dir() => Err(ScriptError::Directory { program }),
        Ok(found) if found.permissions().mode() & RUN == 0 => {
            Err(ScriptError::NotExecutable { program })
        }
        Ok(_) | Err(_) => Ok(Prepared { program, account }),
    }
}

/// Whether a program could be run now; its path.
pub fn look(argv: &[String], user: Option<&str>) -> Result<PathBuf, ScriptError> {
    prepare(argv, user).map(|prepared| prepared.program)
}

fn watching(prepared: &Prepared, source: io::Error) -> ScriptError {
    ScriptError::Watch { program: prepared.program.clone(), source }
}

#[cfg(test)]
mod tests;
