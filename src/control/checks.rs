//! How the checks are made, in a small file beside the report on pools.
//!
//! Figures change all the time, and the report, which may be long, is only written when something
//! in it does; so they have a file of their own. It is renewed every ten seconds, and at once when
//! a thread stands still or goes on: who reads it sees by [`Figures::at`] how old it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::wall;
use crate::check::driver::Status;
use crate::check::machine::Tally;
use crate::host::FileError;
use crate::host::files::Files;

/// The file.
pub const CHECKS: &str = "/run/converge/checks.json";

/// Figures of so long ago are new enough for people, and for whoever draws curves.
const EVERY: Duration = Duration::from_secs(10);

/// How the checks were made since they began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// When this was so, in milliseconds since 1970.
    pub at: u64,
    /// Since when no check was made, for their thread stands still; in milliseconds since 1970.
    pub stalled: Option<u64>,
    /// Since when nobody watches the links to the servers, for that thread stands still, has died
    /// or cannot be started; in milliseconds since 1970.
    pub unwatched: Option<u64>,
    /// Checks that were due.
    pub asked: u64,
    /// Those of them that were begun; the others were left out, for the one before still ran.
    pub made: u64,
    /// Those that were begun and not made, through a fault of this host.
    pub unmade: u64,
    /// Those that run now.
    pub running: usize,
    /// How many may run at the same time.
    pub most: usize,
    /// Sockets that are open, those that wait to be used again included.
    pub sockets: usize,
    /// How long after their time they began; nothing before the first.
    pub late_ms: Option<Late>,
}

/// How late checks began, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Late {
    /// Half of them began sooner.
    pub median: f64,
    /// 99 of 100 began sooner.
    pub p99: f64,
    /// The latest.
    pub max: f64,
}

impl Figures {
    /// How they stand. `None`: there are none.
    pub fn new(
        status: Option<Status>,
        stalled: Option<u64>,
        unwatched: Option<u64>,
    ) -> Option<Figures> {
        let Some(status) = status else {
            let is_any = stalled.is_some() || unwatched.is_some();
            return is_any.then(|| Figures { stalled, unwatched, ..Figures::default() });
        };
        let Status { tally, unmade, at_once, sockets } = status;
        Some(Figures {
            at: 0,
            stalled,
            unwatched,
            asked: tally.asked(),
            made: tally.made,
            unmade,
            running: tally.in_flight,
            most: at_once,
            sockets,
            late_ms: late(&tally),
        })
    }
}

fn late(tally: &Tally) -> Option<Late> {
    let millis = |late: Duration| late.as_micros() as f64 / 1000.0;
    let (median, p99) = (tally.late(500)?, tally.late(990)?);
    Some(Late { median: millis(median), p99: millis(p99), max: millis(tally.latest()?) })
}

/// Writes them down.
#[derive(Debug)]
pub struct Recorder {
    last: Option<Figures>,
    /// They are not renewed before.
    rest: Instant,
    /// They could not be written the last time.
    failed: bool,
}

impl Recorder {
    /// Begins. What a converge before this one wrote is gone.
    pub fn start(files: &Files) -> Result<Self, FileError> {
        files.remove(CHECKS)?;
        Ok(Recorder { last: None, rest: Instant::now(), failed: false })
    }

    /// Writes them, if it is time to. `Err` if that cannot be done, the first time in a row.
    pub fn write(
        &mut self,
        files: &Files,
        figures: Option<Figures>,
        now: Instant,
    ) -> Result<(), FileError> {
        // Where there are none any more it is still to be seen that nothing stands still.
        let over = |last: &Figures| Figures { stalled: None, unwatched: None, ..last.clone() };
        let Some(figures) = figures.or_else(|| self.last.as_ref().map(over)) else {
            return Ok(());
        };
        let still = |of: &Figures| (of.stalled, of.unwatched);
        let turned = self.last.as_ref().is_none_or(|last| still(last) != still(&figures));
        if !turned && (now < self.rest || self.last.as_ref() == Some(&figures)) {
            return Ok(());
        }
        // Before the first check they say nothing yet.
        if figures.made > 0 {
            self.rest = now + EVERY;
        }
        let dated = Figures { at: wall(), ..figures.clone() };
        self.last = Some(figures);
        let text = serde_json::to_string(&dated).expect("numbers");
        let written = files.replace(CHECKS, text.as_bytes(), Some(0o644), None);
        let is_told = std::mem::replace(&mut self.failed, written.is_err());
        written.or_else(|error| if is_told { Ok(()) } else { Err(error) })
    }
}

/// The last figures; `None` if none were written, or by another version.
pub fn read(files: &Files) -> Result<Option<Figures>, FileError> {
    let text = files.read_text(CHECKS)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch::Scratch;

    #[test]
    fn figures_are_renewed_now_and_then_and_at_once_when_checks_stand_still() {
        let scratch = Scratch::new();
        let host = scratch.host();
        let files = host.files();
        scratch.write(CHECKS, "{\"at\": 1}");
        let begin = Instant::now();
        let mut recorder = Recorder::start(files).expect("it begins");
        assert_eq!(read(files).expect("it can be read"), None, "that was another one");
        let mut written = |sockets: usize, stalled, second| {
            let mut status = Status { sockets, ..Status::default() };
            status.tally.made = u64::from(second > 0);
            let now = begin + Duration::from_secs(second);
            let figures = Figures::new(Some(status), stalled, None);
            recorder.write(files, figures, now).expect("it is written");
            let read = read(files).expect("it can be read").expect("it is there");
            (read.sockets, read.stalled)
        };
        assert_eq!(written(1, None, 0), (1, None));
        assert_eq!(written(2, None, 2), (2, None), "the first that say something");
        assert_eq!(written(3, None, 10), (2, None), "too soon");
        assert_eq!(written(4, None, 12), (4, None));
        assert_eq!(written(5, Some(7), 13), (5, Some(7)));
        assert_eq!(written(6, None, 14), (6, None));
        let mut links = |unwatched: Option<u64>| {
            let figures = Figures::new(None, None, unwatched);
            recorder.write(files, figures, begin + Duration::from_secs(15)).expect("it is written");
            read(files).expect("it can be read").expect("it is there").unwatched
        };
        assert_eq!([links(Some(8)), links(None)], [Some(8), None]);
    }

    #[test]
    fn that_they_cannot_be_written_is_said_once() {
        let scratch = Scratch::new();
        let host = scratch.host();
        let begin = Instant::now();
        let mut recorder = Recorder::start(host.files()).expect("it begins");
        let mut write = |second| {
            let figures = Figures::new(Some(Status::default()), Some(second), None);
            recorder.write(host.files(), figures, begin + Duration::from_secs(second))
        };
        // Something stands where the file should be.
        std::fs::create_dir_all(scratch.real(CHECKS)).expect("it is ours");
        assert!(write(1).is_err() && write(2).is_ok() && write(3).is_ok());
        std::fs::remove_dir(scratch.real(CHECKS)).expect("it is ours");
        assert!(write(4).is_ok() && scratch.read(CHECKS).is_some());
        std::fs::remove_file(scratch.real(CHECKS)).expect("it is ours");
        std::fs::create_dir_all(scratch.real(CHECKS)).expect("it is ours");
        assert!(write(5).is_err() && write(6).is_ok());
    }

    #[test]
    fn what_was_never_begun_has_no_figures() {
        assert_eq!(Figures::new(None, None, None), None);
        let dead = Figures::new(None, Some(3), None).expect("it was begun once");
        assert_eq!((dead.stalled, dead.made), (Some(3), 0));
        let new = Figures::new(Some(Status::default()), None, None);
        assert_eq!(new.and_then(|figures| figures.late_ms), None);
    }
}
