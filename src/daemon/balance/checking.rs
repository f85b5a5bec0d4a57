//! The thread of the checks: started when there is something to check, started again when it dies,
//! and seen to stand still when it does.
//!
//! Whoever does not check keeps what it knew last. That is right for a while and wrong in the end,
//! so a director that does not check says so, lets one that does have the VIPs, and after a minute
//! has systemd start it anew ([`pulse`](crate::daemon::pulse)).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::again::Again;
use crate::check::config::CheckConfig;
use crate::check::driver::{CheckError, Checks, Event, Events, Making, Settings, Status};
use crate::check::machine::Limits;
use crate::check::made::Made;
use crate::clock::Moment;
use crate::control::wall;
use crate::daemon::heart::Heart;
use crate::host::chain;
use crate::vrrp::driver::now;

/// The thread turns at least once a second. A busy host, or a slow disk that certificates are read
/// from, may cost it some turns and not ten in a row; and no director believes another for longer
/// that says nothing.
const STILL: Duration = Duration::from_secs(10);

/// No longer than this is waited, when it turns again, until all servers are judged anew.
const CATCH_UP_MOST: Duration = Duration::from_secs(10);

/// No more at once than a host may have connections; there may be fewer descriptors than that.
const AT_ONCE: usize = 16_384;

/// The thread, or the place for it.
pub(super) struct Checking {
    running: Option<(Checks, Events)>,
    wanted: BTreeSet<Arc<CheckConfig>>,
    again: Again,
    /// What the last thread counts, or counted.
    turns: Option<Arc<AtomicU64>>,
    /// When the last thread makes checks, or made them.
    making: Making,
    /// Up to when the one before it did.
    before: Moment,
    heart: Heart,
    pace: Pace,
}

/// Whether it turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// It does.
    Turns,
    /// It stands still since that moment, which is as many milliseconds after 1970.
    Still(Moment, u64),
    /// It turns again, but not all servers are judged anew before that moment.
    CatchesUp(Moment),
}

/// What it woke up for.
pub enum Word {
    /// Checks say something.
    Said(Vec<Event>),
    /// The thread is no more.
    Died,
    /// It is to be started again.
    Due,
}

impl Checking {
    pub(super) fn new() -> Self {
        Checking {
            running: None,
            wanted: BTreeSet::new(),
            again: Again::new(Instant::now()),
            turns: None,
            making: Making::default(),
            before: Moment::ZERO,
            heart: Heart::default(),
            pace: Pace::Turns,
        }
    }

    /// Makes these checks from now on.
    pub(super) fn configure(
        &mut self,
        checks: BTreeSet<Arc<CheckConfig>>,
    ) -> Result<(), CheckError> {
        self.wanted = checks;
        match &self.running {
            Some((running, _)) => running.configure(self.wanted.clone()),
            // One that died is started when it is due.
            None if self.wanted.is_empty() || self.turns.is_some() => {}
            None => self.begin()?,
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), CheckError> {
        let (checks, events) = Checks::start(settings(Handle::current()), self.wanted.clone())?;
        self.before = self.making.made().until;
        (self.turns, self.making) = (Some(checks.heart()), checks.making());
        self.running = Some((checks, events));
        self.again.began(Instant::now());
        Ok(())
    }

    /// Waits for what comes next. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Word {
        match &mut self.running {
            Some((_, events)) => events.next().await.map_or(Word::Died, Word::Said),
            None => {
                self.again.wait().await;
                Word::Due
            }
        }
    }

    /// Whether this check is to be made.
    pub(super) fn wants(&self, check: &Arc<CheckConfig>) -> bool {
        self.wanted.contains(check)
    }

    /// In which time checks were made, and what they said in it that was not taken in yet.
    pub(super) fn made(&mut self) -> (Made, Vec<Event>) {
        // What is told after this look belongs to later.
        let mut made = self.making.made();
        made.before = made.before.max(self.before);
        let said = self.running.as_mut().map(|(_, events)| events.waiting());
        (made, said.unwrap_or_default())
    }

    /// The thread is no more. What it held true stays so.
    pub(super) fn died(&mut self) {
        self.running = None;
        let rest = self.again.died(Instant::now());
        tracing::error!(
            "the thread that checks real servers has died, which is a defect of converge: all of \
             them stay as they were, and it is started again in {rest:?}"
        );
    }

    /// Starts it again.
    pub(super) fn start_again(&mut self) {
        match self.begin() {
            Ok(()) => tracing::info!("real servers are checked again"),
            Err(error) => {
                let rest = self.again.died(Instant::now());
                let error = chain(&error);
                tracing::error!(error, "real servers cannot be checked; tried again in {rest:?}");
            }
        }
    }

    /// Looks whether the thread turns. `judged` is how long it takes to judge every server.
    pub(super) fn look(&mut self, judged: Duration, now: Moment) {
        let turns = self.turns.as_ref().map(|turns| turns.load(Ordering::Relaxed));
        let still = self.heart.look(turns, now);
        match self.pace {
            Pace::Turns | Pace::CatchesUp(_) if still >= STILL => {
                let since = wall().saturating_sub(u64::try_from(still.as_millis()).unwrap_or(0));
                self.pace = Pace::Still(now - still, since);
                tracing::error!(
                    "the thread that checks real servers has not turned for {} s: all of them stay \
                     as they were, and the VIPs go to a director that checks them, if there is one",
                    still.as_secs()
                );
            }
            Pace::Still(since, _) if still.is_zero() => {
                self.pace = Pace::CatchesUp(now + judged.min(CATCH_UP_MOST));
                let stood = now.since(since).as_secs();
                tracing::warn!("the thread that checks real servers turns again, after {stood} s");
            }
            // One that stood still again, or died, has judged nothing anew.
            Pace::CatchesUp(until) if now >= until && still.is_zero() => self.pace = Pace::Turns,
            Pace::Turns | Pace::Still(..) | Pace::CatchesUp(_) => {}
        }
    }

    /// Whether what is known of real servers says nothing of now.
    pub(super) fn is_blind(&self) -> bool {
        self.pace != Pace::Turns
    }

    /// Since when the thread stands still, in milliseconds since 1970.
    pub(super) fn stalled(&self) -> Option<u64> {
        match self.pace {
            Pace::Still(_, since) => Some(since),
            Pace::Turns | Pace::CatchesUp(_) => None,
        }
    }

    /// What has to count up; nothing, if there never was a thread.
    pub(super) fn turns(&self) -> Option<Arc<AtomicU64>> {
        self.turns.clone()
    }

    /// How the checks stand, if they are made.
    pub(super) fn status(&self) -> Option<Status> {
        self.running.as_ref().map(|(checks, _)| checks.status())
    }
}

fn settings(tasks: Handle) -> Settings {
    // Beats of one start lie otherwise than those of the next, and of the other director.
    let seed = now().since_start().as_nanos() as u64 ^ u64::from(std::process::id());
    Settings { tasks, seed, limits: Limits { at_once: AT_ONCE } }
}

#[cfg(test)]
mod tests;
