//! The engine against servers of our own on loopback.

mod descriptors;
mod faults;
mod itself;
mod load;
mod prompt;
mod servers;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::check::config::{Probe, Protocol, Target, Timing, Turn};
use crate::check::outcome::{Evidence, Health, State};

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// The running thread, and what it told.
pub(super) struct Driven {
    runtime: Runtime,
    checks: Checks,
    events: Events,
    health: BTreeMap<Arc<CheckConfig>, Health>,
    noticed: Vec<String>,
    /// Pauses that were noticed: a busy computer has some.
    pauses: usize,
}

impl Driven {
    pub(super) fn start(checks: impl IntoIterator<Item = CheckConfig>) -> Self {
        Driven::limited(checks, 100_000)
    }

    pub(super) fn limited(checks: impl IntoIterator<Item = CheckConfig>, at_once: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let tasks = runtime.handle().clone();
        let settings = Settings { tasks, seed: 7, limits: Limits { at_once } };
        let checks = checks.into_iter().map(Arc::new).collect();
        let (checks, events) = Checks::start(settings, checks).expect("a thread");
        let (health, noticed) = (BTreeMap::new(), Vec::new());
        Driven { runtime, checks, events, health, noticed, pauses: 0 }
    }

    pub(super) fn configure(&self, checks: impl IntoIterator<Item = CheckConfig>) {
        self.checks.configure(checks.into_iter().map(Arc::new).collect());
    }

    /// Waits until this holds.
    #[track_caller]
    pub(super) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            let left = end.saturating_duration_since(Instant::now());
            let events = &mut self.events;
            let next =
                self.runtime.block_on(async { tokio::time::timeout(left, events.next()).await });
            let Ok(events) = next else { panic!("{what}: {:#?} {:?}", self.health, self.noticed) };
            for event in events.expect("the thread lives") {
                match event {
                    Event::Changed(check, health) => drop(self.health.insert(check, health)),
                    Event::Noticed(notice) if notice.contains("stood still") => self.pauses += 1,
                    Event::Noticed(notice) => self.noticed.push(notice),
                }
            }
        }
    }

    /// How a check turns out first.
    #[track_caller]
    pub(super) fn verdict(&mut self, check: &CheckConfig) -> Health {
        let known = |driven: &Self| driven.health.get(check).is_some_and(is_judged);
        self.until(&format!("{check:?}"), known);
        self.health[check].clone()
    }

    /// Waits until this many checks were judged so.
    #[track_caller]
    pub(super) fn until_all(&mut self, state: State, count: usize) {
        let so = move |d: &Self| d.health.values().filter(|h| h.state == state).count() == count;
        self.until(&format!("{count} that are {state:?}"), so);
    }
}

fn is_judged(health: &Health) -> bool {
    health.state != State::Unknown
}

/// One check, alone: why it failed, and by what evidence.
#[track_caller]
pub(super) fn failure(check: CheckConfig) -> (String, Evidence) {
    let health = Driven::start([check.clone()]).verdict(&check);
    assert_eq!(health.state, State::Down, "{health:?}");
    let failure = health.failing.expect("a reason").failure;
    (failure.what, failure.evidence)
}

/// One check, alone: what is to be said although it is good.
#[track_caller]
pub(super) fn note(check: CheckConfig) -> Option<String> {
    let health = Driven::start([check.clone()]).verdict(&check);
    assert_eq!(health.state, State::Up, "{health:?}");
    health.advice.note
}

pub(super) fn check(at: SocketAddr, probe: Probe) -> CheckConfig {
    let target = Target { address: at.ip(), port: at.port() };
    CheckConfig { target, probe: probe.into(), timing: timing(500) }
}

pub(super) fn timing(millis: u64) -> Timing {
    let every = Duration::from_millis(millis);
    Timing { every, timeout: every, fast: every, rise: NonZeroU8::MIN, fall: NonZeroU8::MIN }
}

pub(super) fn look(at: SocketAddr) -> CheckConfig {
    check(at, Probe::Connect(None))
}

/// Sends nothing and expects this text.
pub(super) fn expects(at: SocketAddr, text: &str) -> CheckConfig {
    let expect = Some(crate::check::config::Expectation::Text(text.into()));
    let protocol = Protocol::Expect(vec![Turn { send: Vec::new(), expect }]);
    check(at, Probe::Speak { protocol, tls: None })
}
