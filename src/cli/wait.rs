//! Waits until what was said of a server has been done, and shows how far it is.
//!
//! Done is what the kernel's IPVS table says, not what somebody wants. What cannot be counted, the
//! connections of an nginx upstream, is not waited for, and that is said.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::load::Failure;
use super::traffic::{self, Carried, Traffic};
use super::whom::{Meant, Server};
use super::{Format, Global};
use crate::control::report::{self, Seen};
use crate::host::Host;
use crate::pool::standing::Share;
use crate::pool::words::Word;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(200);
/// How often a line is written where it stays.
const LINES: Duration = Duration::from_secs(10);
/// Clears the line of progress.
const CLEAR: &str = "\r\x1b[2K";

/// How waiting ended.
#[derive(Debug)]
pub enum End {
    /// It has been done; what could not be seen.
    Done(Vec<String>),
    /// Time is up; what is not done yet.
    Left(Vec<String>),
    /// There is nobody who would do it.
    Nobody,
}

/// Waits.
pub async fn until(
    global: &Global,
    host: &Host,
    meant: &Meant,
    word: Word,
    limit: Duration,
) -> Result<End, Failure> {
    let end = Instant::now() + limit;
    let mut progress = Progress::new(global);
    let mut traffic = Traffic::open()?;
    loop {
        let seen = report::read(host.files())?;
        let mut left = Vec::new();
        for server in &meant.servers {
            let load = traffic.of(&server.pool)?;
            let carried = load.map(|load| traffic::carried(&load, server.at));
            let share = share(seen.as_ref(), server);
            left.extend(look(word, carried, share).map(|what| format!("{}: {what}", server.pool)));
        }
        if left.is_empty() {
            progress.clear();
            return Ok(End::Done(uncounted(meant, word)));
        }
        if Instant::now() >= end {
            progress.clear();
            return Ok(End::Left(left));
        }
        if !report::is_written(host.files())? {
            progress.clear();
            return Ok(End::Nobody);
        }
        progress.show(&left.join("; "));
        sleep(LOOK.min(end - Instant::now())).await;
    }
}

fn share<'s>(seen: Option<&'s Seen>, server: &Server) -> Option<&'s Share> {
    seen?.report.pools.get(&server.pool)?.shares.members.get(&server.at)
}

fn uncounted(meant: &Meant, word: Word) -> Vec<String> {
    let pools = meant.pools().into_iter().filter(|pool| !traffic::is_counted(pool));
    let note = |pool| format!("{pool}: nginx does not tell how many connections are left");
    match word {
        Word::Ready => Vec::new(),
        Word::Drain | Word::Maintenance => pools.map(note).collect(),
    }
}

/// What is not done yet of one server. `carried` is what the kernel says, where it knows; `share`
/// what the resident converge wants.
fn look(word: Word, carried: Option<Carried>, share: Option<&Share>) -> Option<String> {
    let weight = match (carried, share) {
        (Some(carried), _) => carried.weight,
        (None, Some(share)) => share.weight,
        (None, None) => return Some("converge knows nothing of it yet".into()),
    };
    // One that both ends have closed stays in the table for two minutes more, and hurts nobody.
    let connections = carried.map_or(0, |carried| carried.connections.active);
    match (word, weight) {
        (Word::Drain, Some(1..)) => Some("it still gets new connections".into()),
        (Word::Drain, Some(0) | None) if connections > 0 => Some(count(connections)),
        (Word::Maintenance, Some(_)) => Some("it is still in the table".into()),
        (Word::Ready, Some(0) | None) => Some(match share {
            Some(share) if share.why.is_empty() => format!("it is {}", share.standing),
            Some(share) => format!("it is {}: {}", share.standing, share.why),
            None => "it is not in the table".into(),
        }),
        (Word::Drain, Some(0) | None) | (Word::Maintenance, None) | (Word::Ready, Some(_)) => None,
    }
}

fn count(connections: u32) -> String {
    match connections {
        1 => "1 connection left".into(),
        n => format!("{n} connections left"),
    }
}

/// A line on standard error that says how far it is.
struct Progress {
    terminal: bool,
    quiet: bool,
    shown: String,
    at: Option<Instant>,
}

impl Progress {
    fn new(global: &Global) -> Self {
        let quiet = global.quiet || global.output == Format::Json;
        Progress { terminal: io::stderr().is_terminal(), quiet, shown: String::new(), at: None }
    }

    fn show(&mut self, line: &str) {
        let early = !self.terminal && self.at.is_some_and(|at| at.elapsed() < LINES);
        if self.quiet || self.shown == line || early {
            return;
        }
        let mut out = io::stderr().lock();
        // That nobody reads it is no failure.
        match self.terminal {
            true => write!(out, "{CLEAR}{line}").and_then(|()| out.flush()).ok(),
            false => writeln!(out, "{line}").ok(),
        };
        (self.shown, self.at) = (line.to_owned(), Some(Instant::now()));
    }

    fn clear(&mut self) {
        if self.terminal && !self.quiet && !self.shown.is_empty() {
            let mut out = io::stderr().lock();
            write!(out, "{CLEAR}").and_then(|()| out.flush()).ok();
        }
    }
}

/// A span as people say it, in one unit.
pub fn spoken(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.as_millis()),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipvs::Connections;
    use crate::pool::standing::Standing;

    fn carried(weight: Option<u32>, active: u32) -> Option<Carried> {
        Some(Carried { weight, connections: Connections { active, ..Connections::default() } })
    }

    fn share(weight: Option<u32>, why: &str) -> Share {
        Share { weight, standing: Standing::Down, why: why.into() }
    }

    #[test]
    fn a_drain_is_done_when_no_connection_is_left_and_none_can_come() {
        let drain = |carried| look(Word::Drain, carried, None);
        assert_eq!(drain(carried(Some(1), 0)).as_deref(), Some("it still gets new connections"));
        assert_eq!(drain(carried(Some(0), 2)).as_deref(), Some("2 connections left"));
        assert_eq!(drain(carried(Some(0), 1)).as_deref(), Some("1 connection left"));
        assert_eq!(drain(carried(Some(0), 0)), None);
        assert_eq!(drain(carried(None, 0)), None, "it left for another reason");
    }

    #[test]
    fn maintenance_is_done_when_it_is_out_and_ready_when_it_has_traffic() {
        let out = |carried| look(Word::Maintenance, carried, None);
        assert!(out(carried(Some(0), 0)).is_some());
        assert_eq!(out(carried(None, 0)), None);
        let down = share(None, "connection refused");
        let back = |carried| look(Word::Ready, carried, Some(&down));
        assert_eq!(back(carried(None, 0)).as_deref(), Some("it is down: connection refused"));
        assert_eq!(back(carried(Some(1), 0)), None);
    }

    #[test]
    fn of_what_is_not_in_the_kernel_the_resident_converge_knows() {
        let (some, none) = (share(Some(1), ""), share(None, ""));
        assert!(look(Word::Drain, None, Some(&some)).is_some());
        assert_eq!(look(Word::Drain, None, Some(&none)), None);
        assert_eq!(look(Word::Ready, None, Some(&some)), None);
        assert_eq!(look(Word::Ready, None, Some(&none)).as_deref(), Some("it is down"));
        assert!(look(Word::Drain, None, None).is_some(), "not done because nothing is known");
    }

    #[test]
    fn spans_are_spoken_in_one_unit() {
        let spans =
            [(0, "0 ms"), (90, "90 s"), (300, "5 min"), (7200, "2 h"), (864_000, "10 days")];
        for (seconds, said) in spans {
            assert_eq!(spoken(Duration::from_secs(seconds)), said);
        }
    }
}
