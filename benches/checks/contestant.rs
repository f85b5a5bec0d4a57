//! The programs that are compared, each told the same: whom to ask, what, and how often.
//!
//! Every second, with a timeout of one, and a single failure takes a server out. The targets are
//! spread over ten pools, for ldirectord has one process for each pool, if it has more than one.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeWriter, Read};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::peer::Standby;
use super::{converge, ground, keepalived, ldirectord, processes};

/// Pools that the targets are spread over.
pub(crate) const POOLS: usize = 10;
/// As many lines of a log are kept: more than any that is quiet has.
const MOST_LINES: usize = 100_000;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// This program.
    Converge,
    /// keepalived as the distribution has it.
    Keepalived,
    /// ldirectord, one process for all.
    Ldirectord,
    /// ldirectord with a process for each pool.
    LdirectordForks,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A connection.
    Tcp,
    /// A page.
    Http,
}

/// A case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Plan {
    /// It is Active as a VRRP router besides, with another director on the cable.
    pub(crate) elects: bool,
    pub(crate) kind: Kind,
    pub(crate) targets: usize,
}

impl Who {
    pub(crate) const ALL: [Who; 4] =
        [Who::Converge, Who::Keepalived, Who::Ldirectord, Who::LdirectordForks];

    /// The name in the results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Who::Converge => "converge",
            Who::Keepalived => "keepalived",
            Who::Ldirectord => "ldirectord",
            Who::LdirectordForks => "ldirectord-fork",
        }
    }

    /// Why it cannot be measured, if so.
    pub(crate) fn is_missing(self) -> Option<String> {
        match self {
            Who::Converge => None,
            Who::Keepalived => keepalived::is_missing(),
            Who::Ldirectord | Who::LdirectordForks => ldirectord::is_missing(),
        }
    }

    /// With more targets it takes minutes to begin.
    pub(crate) fn most(self) -> usize {
        match self {
            Who::Converge | Who::Keepalived => usize::MAX,
            Who::Ldirectord | Who::LdirectordForks => 1000,
        }
    }

    /// Starts it.
    pub(crate) fn start(self, plan: Plan) -> io::Result<Running> {
        ground::clear()?;
        match self {
            Who::Converge => converge::start(plan),
            Who::Keepalived => keepalived::start(plan),
            Who::Ldirectord => ldirectord::start(plan, false),
            Who::LdirectordForks => ldirectord::start(plan, true),
        }
    }

    /// Whether it speaks VRRP.
    pub(crate) fn elects(self) -> bool {
        matches!(self, Who::Converge | Who::Keepalived)
    }

    /// Starts the other one of two directors.
    pub(crate) fn stand_by(self) -> io::Result<Standby> {
        match self {
            Who::Converge => converge::stand_by(),
            Who::Keepalived => keepalived::stand_by(),
            Who::Ldirectord | Who::LdirectordForks => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether a line says that this target gets no traffic any more.
    pub(crate) fn takes_out(self, line: &str, target: Ipv4Addr) -> bool {
        let at = format!("{target}:{}", ground::PORT);
        match self {
            Who::Converge => line.contains(&format!("({at}) is out")),
            Who::Keepalived => line.contains(&format!("Removing service [{target}]")),
            Who::Ldirectord | Who::LdirectordForks => {
                line.contains(&format!("-r {at} ")) && line.ends_with("-w 0")
            }
        }
    }
}

impl Plan {
    /// The targets of a pool, by number.
    pub(crate) fn of_pool(self, pool: usize) -> impl Iterator<Item = usize> {
        (pool..self.targets).step_by(POOLS)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Tcp => "tcp",
            Kind::Http => "http",
        };
        write!(f, "{kind} {}{}", self.targets, if self.elects { " vrrp" } else { "" })
    }
}

/// Lines, and when each of them came.
type Lines = Arc<Mutex<Vec<(Instant, String)>>>;

/// A program that runs; it and all that it started is killed when this goes.
pub(crate) struct Running {
    child: Child,
    lines: Lines,
}

impl Running {
    /// Starts a program and reads what it says.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let running = Running::spawn(command, writer)?;
        running.read(reader);
        Ok(running)
    }

    /// Starts a program and reads, beside what it says, what comes out of this file.
    pub(crate) fn start_with(command: &mut Command, more: File) -> io::Result<Self> {
        let running = Running::start(command)?;
        running.read(more);
        Ok(running)
    }

    fn spawn(command: &mut Command, writer: PipeWriter) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        Ok(Running { child: command.spawn()?, lines: Lines::default() })
    }

    fn read(&self, from: impl Read + Send + 'static) {
        let lines = Arc::clone(&self.lines);
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                if lines.len() < MOST_LINES {
                    lines.push((Instant::now(), line));
                }
            }
        });
    }

    /// How long after this moment the first line of this sort came.
    pub(crate) fn until(&self, since: Instant, is_it: impl Fn(&str) -> bool) -> Option<Duration> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let first = lines.iter().find(|(at, line)| *at >= since && is_it(line));
        first.map(|(at, _)| *at - since)
    }

    /// The last of what it said, for when it does not what it should.
    pub(crate) fn log(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let last = lines.iter().rev().take(20).rev();
        last.map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("our own child");
        processes::kill_contestants();
    }
}
