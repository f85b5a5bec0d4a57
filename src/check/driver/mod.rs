//! What checks need of the machine: one thread, `checks`, that owns all of their sockets.
//!
//! It is scheduled like any other thread and shares no lock with those of VRRP. Nothing in it
//! blocks; everything waits in one epoll set. A check that needs a socket of its own has one of
//! the [`lines`]: a mere look at whether a port is open, a conversation ([`stream`]), a question in
//! a [`datagram`]. What carries many runs over one descriptor is a [`station`].

mod certificate;
mod datagram;
mod desk;
mod events;
mod limits;
mod lines;
mod making;
mod notices;
mod once;
mod ping;
mod random;
mod refusal;
mod station;
mod stations;
mod status;
mod stream;
mod tasks;
mod tcp;
mod thread;
mod tls;
mod trust;
mod vip;

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread as threads;

use nix::errno::Errno;
use tokio::runtime::Handle;

use super::config::CheckConfig;
use super::machine::Limits;
use crate::host::post::Slot;
use once::Onlooker;
use thread::{Orders, Thread, Ways};

pub use events::{Event, Events};
pub use making::Making;
pub use once::{Made, Outcomes};
#[allow(unused_imports)]
pub(in crate::check) use station::{Done, Station};
pub use status::Status;
pub use trust::certificates;

/// The stack of the thread. TLS needs most of it. Only what was touched is memory.
const STACK: usize = 1024 * 1024;

/// What the thread is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where programs are run and files are read.
    pub tasks: Handle,
    /// Where the beats of checks lie.
    pub seed: u64,
    /// The most that it may do at once. There may be fewer descriptors than that.
    pub limits: Limits,
}

/// Why no checks can be made at all.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Nothing to wait with.
    #[error("cannot wait for the sockets of checks")]
    Epoll(#[source] Errno),
    /// No thread.
    #[error("cannot start a thread for checks")]
    Thread(#[source] io::Error),
}

/// The running thread, as the daemon has it. Dropping it ends it.
pub struct Checks {
    orders: Slot<Orders>,
    status: Arc<Mutex<Status>>,
    heart: Arc<AtomicU64>,
    making: Making,
}

impl Checks {
    /// Starts the thread. The first checks begin at once.
    pub fn start(
        settings: Settings,
        checks: BTreeSet<Arc<CheckConfig>>,
    ) -> Result<(Checks, Events), CheckError> {
        Self::begin(settings, checks, None)
    }

    /// Starts the thread, and tells how each single check ended.
    pub fn watched(
        settings: Settings,
        checks: BTreeSet<Arc<CheckConfig>>,
    ) -> Result<(Checks, Outcomes), CheckError> {
        let (onlooker, outcomes) = once::onlooker();
        let (checks, _) = Self::begin(settings, checks, Some(onlooker))?;
        Ok((checks, outcomes))
    }

    fn begin(
        settings: Settings,
        checks: BTreeSet<Arc<CheckConfig>>,
        onlooker: Option<Onlooker>,
    ) -> Result<(Checks, Events), CheckError> {
        let orders = Slot::new().map_err(CheckError::Epoll)?;
        let (teller, events) = events::channel();
        let making = Making::default();
        let handle = Checks { orders, status: Arc::default(), heart: Arc::default(), making };
        let (orders, status) = (handle.orders.clone(), Arc::clone(&handle.status));
        let (heart, making) = (handle.heart(), handle.making());
        let ways = Ways { orders, teller, status, heart, making, onlooker };
        let thread = Thread::new(settings, ways).map_err(CheckError::Epoll)?;
        handle.configure(checks);
        let builder = threads::Builder::new().name("checks".to_owned()).stack_size(STACK);
        builder.spawn(move || thread.run()).map_err(CheckError::Thread)?;
        Ok((handle, events))
    }

    /// The checks that there are to be. What did not change goes on as it is.
    pub fn configure(&self, checks: BTreeSet<Arc<CheckConfig>>) {
        self.orders.put(|orders| orders.checks = Some(checks));
    }

    /// Counts the turns of the thread, at least one a second: what does not move is stuck or dead.
    pub fn heart(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.heart)
    }

    /// In which time the checks are made, also when the thread is no more.
    pub fn making(&self) -> Making {
        self.making.clone()
    }

    /// Has the thread do something in between, for tests of what becomes of it then.
    #[cfg(test)]
    pub(crate) fn plant(&self, plant: impl FnOnce() + Send + 'static) {
        self.orders.put(|orders| orders.plant = Some(Box::new(plant)));
    }

    /// How the checks stood, at most a second ago while the thread turns.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.orders.put(|orders| orders.end = true);
    }
}

#[cfg(test)]
mod tests;
