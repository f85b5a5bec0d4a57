//! What the thread tells the daemon: the newest health of each check, and what it noticed.
//!
//! Nobody waits for anybody. What the daemon has not taken yet is replaced by what is newer, so no
//! more waits for it than there are checks, and nothing is lost that still holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::check::config::CheckConfig;
use crate::check::outcome::Health;

/// Notices that wait for somebody to take them. More are not told.
const NOTICES: usize = 64;

/// Something that somebody may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The state, the advice or the reason of a check is another.
    Changed(Arc<CheckConfig>, Health),
    /// Something is wrong with this host, so that checks are not made. Once per episode.
    Noticed(String),
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    bell: Notify,
}

#[derive(Default)]
struct Waiting {
    changed: BTreeMap<Arc<CheckConfig>, Health>,
    noticed: Vec<String>,
    closed: bool,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where events come out.
pub struct Events(Arc<Shared>);

impl Events {
    /// What has changed since the last time; waits until something has. `None`: the thread is no
    /// more.
    pub async fn next(&mut self) -> Option<Vec<Event>> {
        loop {
            match self.take() {
                Some(events) if events.is_empty() => self.0.bell.notified().await,
                other => return other,
            }
        }
    }

    /// What has changed since the last time, and is there already.
    pub fn waiting(&mut self) -> Vec<Event> {
        self.take().unwrap_or_default()
    }

    /// What has changed since the last time. `None`: the thread is no more.
    fn take(&mut self) -> Option<Vec<Event>> {
        let mut waiting = self.0.waiting();
        let changed = std::mem::take(&mut waiting.changed);
        let noticed = std::mem::take(&mut waiting.noticed);
        let closed = waiting.closed;
        drop(waiting);
        let changed = changed.into_iter().map(|(check, health)| Event::Changed(check, health));
        let events: Vec<_> = noticed.into_iter().map(Event::Noticed).chain(changed).collect();
        (!closed || !events.is_empty()).then_some(events)
    }
}

/// Where events go in.
pub(super) struct Teller {
    shared: Arc<Shared>,
    /// What was not told yet.
    fresh: Vec<Event>,
}

impl Teller {
    /// Notes an event, to be told with others.
    pub(super) fn note(&mut self, event: Event) {
        self.fresh.push(event);
    }

    /// Whether something was noted that is not told yet.
    pub(super) fn has_news(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Tells what was noted.
    pub(super) fn tell(&mut self) {
        if self.fresh.is_empty() {
            return;
        }
        let mut waiting = self.shared.waiting();
        for event in self.fresh.drain(..) {
            match event {
                Event::Changed(check, health) => drop(waiting.changed.insert(check, health)),
                Event::Noticed(_) if waiting.noticed.len() >= NOTICES => {}
                Event::Noticed(notice) => waiting.noticed.push(notice),
            }
        }
        drop(waiting);
        self.shared.bell.notify_one();
    }

    /// What is no longer checked is not told of any more.
    pub(super) fn forget_others(&mut self, checks: &BTreeSet<Arc<CheckConfig>>) {
        self.shared.waiting().changed.retain(|check, _| checks.contains(check));
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.tell();
        self.shared.waiting().closed = true;
        self.shared.bell.notify_one();
    }
}

/// A way for events.
pub(super) fn channel() -> (Teller, Events) {
    let shared = Arc::<Shared>::default();
    (Teller { shared: Arc::clone(&shared), fresh: Vec::new() }, Events(shared))
}
