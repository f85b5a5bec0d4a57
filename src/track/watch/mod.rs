//! The drivers: one file for each sort of thing that is watched.
//!
//! Each is a [`Source`]: it can be looked at, and where the kernel or systemd tells by itself, it
//! says when to look. [`follow`] looks at once, then on a steady beat and whenever there is word;
//! one look at a time, each within its limit. What tells by itself is asked only now and then, for
//! word may be lost, and on the beat while what it says is not yet believed.

mod file;
mod http;
mod interface;
mod process;
mod script;
mod tcp;
mod unit;

use std::io;
use std::time::Duration;

use nix::errno::Errno;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::config::{TrackConfig, Watch};
use super::tally::{Failure, Outcome};
use crate::host::directory::FileNews;
use crate::host::netlink::CarrierNews;
use crate::host::units::UnitNews;

/// How often that is looked at which tells by itself.
const FLOOR: Duration = Duration::from_secs(30);

/// After a look that was asked for by word, so that no storm of words takes all our time.
const REST: Duration = Duration::from_millis(10);

/// Something that can be looked at.
trait Source: Send {
    /// How it stands now. Dropped half-way it may be called again.
    fn look(&mut self) -> impl Future<Output = Outcome> + Send;

    /// Waits until it may stand otherwise. Only called while [`Source::tells`].
    fn changed(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Whether it says by itself when it changes.
    fn tells(&self) -> bool {
        false
    }
}

/// Where word comes from; `false` once none will come any more.
trait News: Send {
    fn next(&mut self) -> impl Future<Output = bool> + Send;
}

impl News for CarrierNews {
    fn next(&mut self) -> impl Future<Output = bool> + Send {
        self.changed()
    }
}

impl News for FileNews {
    fn next(&mut self) -> impl Future<Output = bool> + Send {
        self.changed()
    }
}

impl News for UnitNews {
    fn next(&mut self) -> impl Future<Output = bool> + Send {
        self.changed()
    }
}

/// Waits for word. Where none will come any more, the next look opens the source anew.
async fn word(news: &mut Option<impl News>) {
    let Some(open) = news else { return std::future::pending().await };
    if !open.next().await {
        *news = None;
    }
}

/// Watches what a track is about, for ever. `tell` takes each outcome and says whether the verdict
/// is the same.
pub(super) async fn watch(track: TrackConfig, tell: impl FnMut(Outcome) -> bool + Send) {
    let TrackConfig { every, timeout, .. } = track;
    let number = !track.is_fault();
    match track.what {
        Watch::Interface(name) => {
            follow(interface::Interface::new(name), every, Some(timeout), tell).await;
        }
        Watch::Process { name, full_command } => {
            follow(process::Process::new(name, full_command), every, Some(timeout), tell).await;
        }
        Watch::Unit(name) => {
            let limit = timeout.max(unit::ANSWER_LIMIT);
            follow(unit::Unit::new(name), every, Some(limit), tell).await;
        }
        Watch::File(path) => {
            follow(file::File::new(path, number), every, Some(timeout), tell).await
        }
        // It kills its group at the limit, and says so itself.
        Watch::Script { argv, user } => {
            follow(script::Check::new(argv, user, timeout), every, None, tell).await;
        }
        Watch::Tcp(at) => follow(tcp::Tcp::new(at), every, Some(timeout), tell).await,
        Watch::Http { url, status } => {
            follow(http::Http::new(url, status, timeout), every, None, tell).await;
        }
    }
}

async fn follow(
    mut source: impl Source,
    every: Duration,
    limit: Option<Duration>,
    mut tell: impl FnMut(Outcome) -> bool + Send,
) {
    let (mut due, mut last, mut settled) = (Instant::now(), None, false);
    loop {
        let by_word = tokio::select! {
            biased;
            () = sleep_until(due) => false,
            () = source.changed(), if source.tells() => true,
        };
        let outcome = look(&mut source, limit).await;
        // Word that changed nothing is no look on the beat, and counts for nothing.
        let counts = !by_word || last.as_ref() != Some(&outcome);
        if counts {
            settled = tell(outcome.clone());
        }
        last = Some(outcome);
        let now = Instant::now();
        due = match source.tells() && settled {
            true => now + every.max(FLOOR),
            // What was heard just now is not to be counted again at once.
            false if by_word && counts => now + every,
            false if by_word => due.min(now + every),
            false => next(due, every, now),
        };
        if by_word {
            sleep(REST).await;
        }
    }
}

async fn look(source: &mut impl Source, limit: Option<Duration>) -> Outcome {
    let Some(limit) = limit else { return source.look().await };
    let looked = timeout(limit, source.look()).await;
    looked.unwrap_or_else(|_| bad(format!("no answer within {limit:?}")))
}

/// The next beat after now; beats that were missed are left out.
fn next(due: Instant, every: Duration, now: Instant) -> Instant {
    let every = every.max(Duration::from_millis(1));
    let missed = now.saturating_duration_since(due).as_nanos() / every.as_nanos();
    let beats = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
    due + every.saturating_mul(beats)
}

fn bad(words: impl Into<String>) -> Outcome {
    Outcome::Bad(Failure::new(words))
}

/// An error of the kernel in its own words, as they stand in the middle of a sentence.
fn words(error: &io::Error) -> String {
    let Some(code) = error.raw_os_error() else { return error.to_string() };
    let words = Errno::from_raw(code).desc();
    let mut chars = words.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_stay_where_they_are_and_missed_ones_are_left_out() {
        let start = Instant::now();
        let ms = |n| start + Duration::from_millis(n);
        let every = Duration::from_millis(100);
        for (now, due) in [(0, 100), (30, 100), (99, 100), (100, 200), (250, 300), (1000, 1100)] {
            assert_eq!(next(start, every, ms(now)), ms(due), "at {now} ms");
        }
        assert!(next(start, Duration::ZERO, start) > start);
    }

    #[test]
    fn an_error_of_the_kernel_is_said_in_its_own_words() {
        assert_eq!(words(&Errno::ECONNREFUSED.into()), "connection refused");
        assert_eq!(words(&Errno::EHOSTUNREACH.into()), "no route to host");
        assert_eq!(words(&io::Error::other("odd")), "odd");
    }
}
