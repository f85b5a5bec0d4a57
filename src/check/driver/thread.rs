//! The thread that makes the checks: what came is taken in, then time passes, then what the
//! checker wants is done, then it sleeps.
//!
//! What is due is gathered for some milliseconds, and so is what comes back while much is under
//! way: a thread that wakes for each of ten thousand connections has no time for anything else.
//! Time passes at moments that lie on a grid, so that what is due every second is begun a second
//! apart, to the wake-up. Whatever came is taken in before time passes, so that a host that was
//! held up does not take answers that lie in its sockets for silence. It turns at least once a
//! second and counts that, so that others see when it no longer does; and it sees itself when it
//! was not run for a while.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::events::{Event, Teller};
use super::lines::Lines;
use super::making::Making;
use super::notices::Notices;
use super::once::Onlooker;
use super::station::Done;
use super::stations::{self, Stations};
use super::status::Status;
use super::{Settings, limits};
use crate::check::config::CheckConfig;
use crate::check::machine::{Checker, Limits, Output, Run};
use crate::check::outcome::Outcome;
use crate::clock::Moment;
use crate::host::post::Slot;
use crate::vrrp::driver::now;

/// What is due is gathered for so many milliseconds: the most that the shortest timeout allows.
/// Each is a whole part of a tenth of a second, as what checks are told mostly is a multiple of it.
const GATHER: [u64; 5] = [20, 10, 5, 2, 1];

/// At least as many times is time looked at within the shortest timeout.
const LOOKS: u32 = 32;

/// Where so much may be gathered a moment more is nothing.
const PATIENT: Duration = Duration::from_millis(10);

/// No wait is shorter.
const LEAST: Duration = Duration::from_millis(1);

/// Events that are taken in at a time.
const EVENTS: usize = 1024;

/// Batches of events in a row. More than these hold come only from servers that never end.
const BATCHES: usize = 64;

/// So many under way, and what comes back is gathered.
const CROWD: usize = 4;

/// While so many are under way what comes is gathered for a moment: on a quick network the answers
/// to all that was begun together come within it, and one wake-up does for them.
const SEVERAL: usize = 4;

/// The longest sleep: whoever watches the thread wants to see it turn.
const BEAT: Duration = Duration::from_secs(1);

/// A turn that takes so much longer than its sleep was a pause of the process or the host: what
/// was under way then could not be gone on with. The work of a turn takes milliseconds.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the status is renewed.
const PUBLISH: Duration = Duration::from_secs(1);

/// What epoll(7) calls the orders.
const ORDERS: u64 = u64::MAX;

/// What the daemon wants.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) checks: Option<BTreeSet<Arc<CheckConfig>>>,
    pub(super) end: bool,
    /// What a test has the thread do in between.
    #[cfg(test)]
    pub(super) plant: Option<Box<dyn FnOnce() + Send>>,
}

/// The ways to and from the daemon.
pub(super) struct Ways {
    pub(super) orders: Slot<Orders>,
    pub(super) teller: Teller,
    pub(super) status: Arc<Mutex<Status>>,
    /// Counts the turns.
    pub(super) heart: Arc<AtomicU64>,
    pub(super) making: Making,
    pub(super) onlooker: Option<Onlooker>,
}

/// The thread's own.
pub(super) struct Thread {
    ways: Ways,
    checker: Checker,
    lines: Lines,
    stations: Stations,
    epoll: Arc<Epoll>,
    events: Vec<EpollEvent>,
    notices: Notices,
    done: Done,
    unmade: u64,
    at_once: usize,
    gather: Duration,
    /// When it last woke up.
    woke: Moment,
    published: Moment,
    /// Much is under way, and some of it came.
    crowded: bool,
    /// Something was begun, and may have come at once.
    begun: bool,
    ended: bool,
}

impl Thread {
    pub(super) fn new(settings: Settings, ways: Ways) -> Result<Self, Errno> {
        let epoll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        epoll.add(ways.orders.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, ORDERS))?;
        let share = limits::share(limits::raise(), limits::open());
        let at_once = settings.limits.at_once.min(share);
        let now = now();
        ways.making.begin(now);
        Ok(Thread {
            ways,
            checker: Checker::new(Limits { at_once }, settings.seed),
            lines: Lines::new(Arc::clone(&epoll), at_once),
            stations: Stations::new(Arc::clone(&epoll), settings.tasks),
            epoll,
            events: vec![EpollEvent::empty(); EVENTS],
            notices: Notices::default(),
            done: Vec::new(),
            unmade: 0,
            at_once,
            gather: LEAST,
            woke: now,
            published: now,
            crowded: false,
            begun: false,
            ended: false,
        })
    }

    /// Makes checks until it is told to end.
    pub(super) fn run(mut self) {
        self.take_orders();
        while !self.ended {
            self.ways.heart.fetch_add(1, Ordering::Relaxed);
            self.settle();
            self.take_in();
            self.pass_time();
        }
    }

    /// Waits for something to come or to be due, and takes in what came.
    fn take_in(&mut self) {
        // A neighbour, a refusal by this host: it is there already, and nothing need be waited for.
        if std::mem::take(&mut self.begun) {
            self.drain(Duration::ZERO);
        }
        let several = self.lines.busy() >= SEVERAL && self.gather >= PATIENT;
        if self.crowded || several {
            std::thread::sleep(LEAST);
        }
        let came = self.drain(self.timeout());
        self.crowded = came > 0 && self.lines.busy() >= CROWD;
        if self.lines.has_unread() {
            let now = now();
            let done = &mut self.done;
            self.lines.handle_unread(now, |run, outcome| done.push((run, outcome)));
            self.conclude(now);
        }
    }

    /// Waits so long for something to come, and takes in all that did. How much it was, is
    /// answered.
    fn drain(&mut self, mut timeout: Duration) -> usize {
        let mut came = 0;
        for _ in 0..BATCHES {
            // Rounded up: a wake-up before it is due would be one in vain.
            let millis = timeout.as_nanos().div_ceil(LEAST.as_nanos());
            let wait = EpollTimeout::try_from(millis).unwrap_or(EpollTimeout::MAX);
            // A signal is no reason to do anything else than to look.
            let found = self.epoll.wait(&mut self.events, wait).unwrap_or(0);
            let now = now();
            self.notice_pause(timeout, now);
            self.handle_events(found, now);
            came += found;
            if found < EVENTS || self.ended {
                break;
            }
            timeout = Duration::ZERO;
        }
        came
    }

    /// After a pause servers may have given up on what was under way, for nobody went on with it.
    fn notice_pause(&mut self, slept: Duration, now: Moment) {
        let late = now.since(self.woke + slept);
        self.woke = now;
        if late < PAUSE {
            return;
        }
        self.checker.handle_pause();
        self.ways.making.begin(now);
        if self.notices.is_news("a pause", now) {
            let late = late.as_secs_f64();
            let text = format!(
                "the checks stood still for {late:.1} s, as this host or the whole process did: \
                 what was under way then is held against nobody"
            );
            self.ways.teller.note(Event::Noticed(text));
        }
    }

    /// Takes in what came.
    fn handle_events(&mut self, found: usize, now: Moment) {
        for number in 0..found {
            let event = self.events[number];
            match event.data() {
                ORDERS => self.take_orders(),
                station if station >= stations::FIRST => {
                    self.stations.handle_event(station, now, &mut self.done);
                    self.conclude(now);
                }
                _ => {
                    if let Some((run, outcome)) = self.lines.handle_event(event, now) {
                        self.end(run, outcome, now);
                    }
                }
            }
        }
    }

    /// How long there is nothing to do unless something comes.
    fn timeout(&self) -> Duration {
        if self.lines.has_unread() || self.is_behind() {
            return Duration::ZERO;
        }
        let due = self.checker.poll_timeout().map(|due| self.gathered(due));
        let due = due.into_iter().chain(self.stations.poll_timeout()).min();
        due.map_or(BEAT, |due| due.since(now()).min(BEAT))
    }

    /// Whether something follows from what came at once, be it only that it is to be told: it does
    /// not wait until anything else comes.
    fn is_behind(&self) -> bool {
        self.ended || self.checker.has_output() || self.ways.teller.has_news()
    }

    /// When what is due is done: with all else that is due about that time.
    fn gathered(&self, due: Moment) -> Moment {
        due.up_to_next(self.gather)
    }

    /// Whatever came up to a moment is taken in before the machines are told that it passed.
    fn pass_time(&mut self) {
        let now = now();
        if self.checker.poll_timeout().is_some_and(|due| self.gathered(due) <= now) {
            self.drain(Duration::ZERO);
            self.checker.handle_timeout(now);
        }
        self.stations.handle_timeout(now, &mut self.done);
        self.conclude(now);
    }

    /// Does what the checker wants.
    fn settle(&mut self) {
        let now = now();
        while let Some(output) = self.checker.poll_output() {
            match output {
                Output::Begin { run, check } => self.begin(run, &check, now),
                Output::Expire(run) => self.expire(run, now),
                Output::Abort(run) => {
                    self.lines.abort(run);
                    self.stations.abort(run);
                }
                Output::Changed(check, health) => {
                    self.ways.teller.note(Event::Changed(check, health));
                }
            }
        }
        self.ways.teller.tell();
        self.ways.making.go_on(self.woke);
        if now.since(self.published) >= PUBLISH {
            self.publish(now);
        }
    }

    fn begin(&mut self, run: Run, check: &Arc<CheckConfig>, now: Moment) {
        if let Some(onlooker) = &mut self.ways.onlooker {
            onlooker.handle_begin(run, check, now);
        }
        self.begun = true;
        match stations::sort(&check.probe) {
            None => {
                if let Some(outcome) = self.lines.begin(run, check) {
                    self.end(run, outcome, now);
                }
            }
            Some(sort) => {
                self.stations.begin(sort, run, check, now, &mut self.done);
                self.conclude(now);
            }
        }
    }

    fn expire(&mut self, run: Run, now: Moment) {
        let outcome = self.lines.expire(run);
        let outcome = outcome.or_else(|| self.stations.expire(run).map(Outcome::Bad));
        let lost = || Outcome::Unmade("a check was lost".to_owned());
        self.end(run, outcome.unwrap_or_else(lost), now);
    }

    /// Runs at stations have ended.
    fn conclude(&mut self, now: Moment) {
        let mut done = std::mem::take(&mut self.done);
        for (run, outcome) in done.drain(..) {
            self.end(run, outcome, now);
        }
        self.done = done;
    }

    /// A run has ended.
    fn end(&mut self, run: Run, outcome: Outcome, now: Moment) {
        if let Outcome::Unmade(why) = &outcome {
            self.unmade += 1;
            if self.notices.is_news(why, now) {
                self.ways.teller.note(Event::Noticed(format!("checks are not made: {why}")));
            }
        }
        if let Some(onlooker) = &mut self.ways.onlooker {
            onlooker.handle_end(run, &outcome, now);
        }
        self.checker.handle_outcome(run, outcome, now);
    }

    fn take_orders(&mut self) {
        let Some(orders) = self.ways.orders.take() else { return };
        self.ended |= orders.end;
        #[cfg(test)]
        if let Some(plant) = orders.plant {
            plant();
        }
        if let Some(checks) = orders.checks {
            self.gather = gather(checks.iter().map(|check| check.timing.timeout));
            self.lines.desk.trust.forget();
            self.ways.teller.forget_others(&checks);
            self.checker.configure(&checks, now());
        }
    }

    /// Renews the status, unless somebody is reading it.
    fn publish(&mut self, now: Moment) {
        if let Ok(mut status) = self.ways.status.try_lock() {
            status.tally.clone_from(self.checker.tally());
            status.unmade = self.unmade;
            status.at_once = self.at_once;
            status.sockets = self.lines.open();
            self.published = now;
        }
    }
}

/// How long what is due may be gathered where checks have these timeouts.
fn gather(timeouts: impl Iterator<Item = Duration>) -> Duration {
    let most = timeouts.min().map_or(Duration::MAX, |shortest| shortest / LOOKS);
    GATHER.map(Duration::from_millis).into_iter().find(|span| *span <= most).unwrap_or(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_timeout_is_stretched_by_more_than_a_small_part_for_the_sake_of_gathering() {
        let gather = |timeouts: &[u64]| {
            gather(timeouts.iter().copied().map(Duration::from_millis)).as_millis()
        };
        assert_eq!(gather(&[1000]), 20);
        assert_eq!(gather(&[5000, 400]), 10);
        assert_eq!(gather(&[250]), 5);
        assert_eq!(gather(&[10]), 1);
        assert_eq!(gather(&[]), 20);
    }
}
