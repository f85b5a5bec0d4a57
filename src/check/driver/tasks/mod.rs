//! The station for programs and files: both may block, so they are asked on the runtime, and ring
//! when they have answered.
//!
//! A check that takes too long ends here at once; its program is on its way out meanwhile, with all
//! of its group, and the next run of the same check waits for that, so that what cannot be killed
//! does not gather. So does a file system that hangs, or a user database; whatever checks come and
//! go with the files, no more than [`LOOKS`] and [`FILES`] threads wait for these.

mod file;
mod program;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::errno::Errno;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::station::{Done, Station};
use crate::check::config::{CheckConfig, File, Probe, Script};
use crate::check::machine::Run;
use crate::check::outcome::{Failure, Outcome};
use crate::clock::Moment;
use crate::host::blocking::Blocking;
use crate::host::post::Slot;
use crate::host::script::Runner;

/// Programs that run at the same time: more would take the host from VRRP and from each other.
const PROGRAMS: usize = 128;

/// Files that are read at the same time: a file system that hangs must leave threads to others.
const FILES: usize = 32;

/// Programs whose user and file are looked up at the same time, for the same reason.
const LOOKS: usize = 64;

/// Desks that are kept before those that nobody needs any more are looked for.
const DESKS: usize = 64;

/// Programs and files.
pub(super) struct Tasks {
    runtime: Handle,
    answers: Slot<Done>,
    programs: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    files: Arc<Semaphore>,
    desks: BTreeMap<Arc<CheckConfig>, Desk>,
    /// So many desks before the next clearance.
    crowded: usize,
    running: BTreeMap<Run, Running>,
}

/// Where the runs of one check are made, one after the other.
struct Desk {
    place: Arc<Mutex<Place>>,
    /// When it was needed for the last time.
    used: Moment,
}

/// What one run leaves to the next: a program that dies, a call that hangs.
#[derive(Debug, Default)]
struct Place {
    runner: Runner,
    blocking: Blocking,
}

struct Running {
    check: Arc<CheckConfig>,
    task: JoinHandle<()>,
}

impl Tasks {
    pub(super) fn open(runtime: Handle) -> Result<Self, Errno> {
        Ok(Tasks {
            runtime,
            answers: Slot::new()?,
            programs: Arc::new(Semaphore::new(PROGRAMS)),
            looks: Arc::new(Semaphore::new(LOOKS)),
            files: Arc::new(Semaphore::new(FILES)),
            desks: BTreeMap::new(),
            crowded: DESKS,
            running: BTreeMap::new(),
        })
    }

    /// Where the runs of this check are made.
    fn place(&mut self, check: &Arc<CheckConfig>, now: Moment) -> Arc<Mutex<Place>> {
        if self.desks.len() >= self.crowded {
            // Whoever missed two beats is no longer checked.
            self.desks.retain(|check, desk| now.since(desk.used) <= check.timing.every * 2);
            self.crowded = DESKS.max(self.desks.len() * 2);
        }
        let desk = self.desks.entry(Arc::clone(check));
        let desk = desk.or_insert_with(|| Desk { place: Arc::default(), used: now });
        desk.used = now;
        Arc::clone(&desk.place)
    }
}

impl Station for Tasks {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.answers.as_fd()
    }

    fn begin(&mut self, run: Run, check: &Arc<CheckConfig>, now: Moment, done: &mut Done) {
        let room = match Task::of(check) {
            Some(Task::Program(_)) => Arc::clone(&self.programs),
            Some(Task::File(_)) => Arc::clone(&self.files),
            None => return done.push((run, Outcome::Unmade("no program and no file".to_owned()))),
        };
        let place = self.place(check, now);
        let (asked, looks) = (Arc::clone(check), Arc::clone(&self.looks));
        let mut letter = Letter { answers: self.answers.clone(), run, outcome: None };
        let task = self.runtime.spawn(async move {
            letter.end(ask(&asked, &place, room, looks).await);
        });
        self.running.insert(run, Running { check: Arc::clone(check), task });
    }

    fn ready(&mut self, _now: Moment, done: &mut Done) {
        // Nothing, if it is being written right now: it rings again.
        let answers = self.answers.take().unwrap_or_default();
        done.extend(answers.into_iter().filter(|(run, _)| self.running.remove(run).is_some()));
    }

    fn expire(&mut self, run: Run) -> Failure {
        // The task ends by itself in the same moment and kills what it has begun.
        let running = self.running.remove(&run);
        running.map_or_else(|| Failure::silent("no answer"), |it| late(&it.check))
    }

    fn abort(&mut self, run: Run) {
        if let Some(running) = self.running.remove(&run) {
            running.task.abort();
        }
    }

    fn handle_timeout(&mut self, _now: Moment, _done: &mut Done) {}

    fn poll_timeout(&self) -> Option<Moment> {
        None
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for running in self.running.values() {
            running.task.abort();
        }
    }
}

/// How a run ended, on its way to the thread. It leaves when its task ends, however that is.
struct Letter {
    answers: Slot<Done>,
    run: Run,
    outcome: Option<Outcome>,
}

impl Letter {
    fn end(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Letter {
    fn drop(&mut self) {
        let (run, outcome) = (self.run, self.outcome.take());
        // Without a word the server would be blamed for what is a defect of ours.
        let failed = || Outcome::Unmade("converge itself failed at a check".to_owned());
        let outcome = outcome.or_else(|| std::thread::panicking().then(failed));
        if let Some(outcome) = outcome {
            self.answers.put(|done| done.push((run, outcome)));
        }
    }
}

/// Asks, within the time that the check has.
async fn ask(
    check: &CheckConfig,
    place: &Mutex<Place>,
    room: Arc<Semaphore>,
    looks: Arc<Semaphore>,
) -> Outcome {
    let begun = Instant::now();
    let over = begun + check.timing.timeout;
    let Ok(mut place) = timeout_at(over, place.lock()).await else {
        return Outcome::Bad(Failure::silent("its last run has not ended"));
    };
    // Later than that too little time is left to blame the program or the file.
    let soon = begun + check.timing.timeout / 2;
    let Ok(Ok(room)) = timeout_at(soon, room.acquire_owned()).await else {
        return Outcome::Unmade("too many programs run or files are read already".to_owned());
    };
    match Task::of(check) {
        Some(Task::Program(script)) => {
            let outcome = program::ask(script, looks, check, &mut place.runner, over).await;
            drop(room);
            outcome
        }
        Some(Task::File(file)) => {
            let left = over.saturating_duration_since(Instant::now());
            file::ask(file, room, check, &mut place.blocking, left).await
        }
        None => Outcome::Unmade("no program and no file".to_owned()),
    }
}

/// What a check asks, if it is made here.
enum Task<'a> {
    Program(&'a Script),
    File(&'a File),
}

impl Task<'_> {
    fn of(check: &CheckConfig) -> Option<Task<'_>> {
        match &*check.probe {
            Probe::Script(script) => Some(Task::Program(script)),
            Probe::File(file) => Some(Task::File(file)),
            Probe::Connect(_) | Probe::Speak { .. } | Probe::Ask(_) => None,
            Probe::Ping | Probe::ThroughVip(_) => None,
        }
    }
}

/// The time of a check is up.
fn late(check: &CheckConfig) -> Failure {
    let limit = check.timing.timeout;
    Failure::silent(match Task::of(check) {
        Some(Task::Program(_)) => format!("it did not end within {limit:?} and was killed"),
        Some(Task::File(_)) => format!("it could not be read within {limit:?}"),
        None => format!("no answer within {limit:?}"),
    })
}

/// Whether the host has nothing left to do it with.
fn is_ours(error: &std::io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE))
}
