//! What VRRP needs of the machine: two threads, apart from everything else that this process does.
//!
//! [`thread`] advertises, listens and tells the time to the pure machines; it opens no file, writes
//! no log and never waits for anything but poll(2). [`addresses`] has the kernel's addresses follow
//! what the first one wants, and hears of interfaces. Each looks at what is and not at what has
//! changed, so nothing that is missed does lasting harm. When the process dies or hangs, leases
//! end, and the kernel removes the VIPs.
//!
//! Deleting the first address of a subnet takes the others of that subnet along unless the
//! interface has `promote_secondaries` set. A file would have to be written for it, so that is left
//! to whoever prepares the host; a VIP with the whole host as prefix needs none of it.

mod addresses;
mod clock;
mod events;
mod fitness;
mod holding;
mod interfaces;
mod lateness;
mod links;
mod listening;
mod realtime;
mod requests;
mod route_socket;
mod socket;
mod sockets;
mod status;
mod tcp;
mod thread;
mod vips;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::{io, thread as threads};

use nix::errno::Errno;

use super::config::RouterConfig;
use super::router::{Condition, Start};
use crate::host::post::{self, Slot};
use addresses::Addresses;
use thread::{Orders, Thread, Ways};

pub use super::link::{MOST_SAID, Topic};
pub use clock::now;
pub use events::{Event, Events};
pub use interfaces::VIP_MARK;
pub use lateness::Lateness;
pub use links::LinkSettings;
pub use realtime::RealtimeError;
pub use status::{RouterStatus, Status};

/// The stack of each thread: the most that either uses is less than a quarter of it. Only what was
/// touched is memory.
const STACK: usize = 512 * 1024;

/// What the threads are told once.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How to speak with the other directors beside the protocol; none, and only the protocol is
    /// spoken.
    pub link: Option<LinkSettings>,
}

/// Why VRRP cannot be spoken at all.
#[derive(Debug, thiserror::Error)]
pub enum VrrpError {
    /// The kernel's addresses cannot be read.
    #[error("cannot read this host's addresses")]
    Addresses(#[source] Errno),
    /// No packet socket, or none to be woken by.
    #[error("cannot open the sockets of VRRP; it needs root, or CAP_NET_RAW and CAP_NET_ADMIN")]
    Sockets(#[source] io::Error),
    /// No thread.
    #[error("cannot start a thread for VRRP")]
    Thread(#[source] io::Error),
}

/// More than the other directors are told at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are more than other directors can be told at once, which is {MOST_SAID}")]
pub struct TooLong {
    /// How many.
    pub bytes: usize,
}

/// The running threads, as the daemon has them. Dropping it releases.
pub struct Vrrp {
    orders: Slot<Orders>,
    beat: Arc<AtomicU64>,
    status: Arc<Mutex<Status>>,
}

impl Vrrp {
    /// Starts to speak, in the network namespace of the caller.
    pub fn start(
        settings: Settings,
        routers: Vec<(RouterConfig, Start)>,
    ) -> Result<(Vrrp, Events), VrrpError> {
        Vrrp::start_under(settings, routers, BTreeMap::new())
    }

    /// The same, where something is known of the routers already: none of them is Active for a
    /// moment that may not be.
    pub fn start_under(
        settings: Settings,
        routers: Vec<(RouterConfig, Start)>,
        conditions: BTreeMap<String, Condition>,
    ) -> Result<(Vrrp, Events), VrrpError> {
        let addresses = Addresses::open().map_err(VrrpError::Addresses)?;
        let sockets = |errno: Errno| VrrpError::Sockets(errno.into());
        let orders: Slot<Orders> = Slot::new().map_err(sockets)?;
        orders.put(|orders| orders.conditions = conditions);
        let (to_addresses, from_thread) = post::post().map_err(sockets)?;
        let (to_thread, from_addresses) = post::post().map_err(sockets)?;
        let (teller, events) = events::channel();
        let vrrp = Vrrp { orders, beat: Arc::default(), status: Arc::default() };
        let ways = Ways {
            orders: vrrp.orders.clone(),
            to_addresses,
            from_addresses,
            teller,
            beat: Arc::clone(&vrrp.beat),
            status: Arc::clone(&vrrp.status),
        };
        let thread =
            Thread::new(settings, routers, &addresses, ways).map_err(VrrpError::Sockets)?;
        spawn("vrrp-addresses", move || addresses.run(&from_thread, &to_thread))?;
        spawn("vrrp", move || thread.run())?;
        Ok((vrrp, events))
    }

    /// The routers that there are to be. What did not change does not move.
    pub fn configure(&self, routers: Vec<RouterConfig>) {
        self.orders.put(|orders| orders.routers = Some(routers));
    }

    /// What tracking knows about a router now, without its interfaces: those are seen here.
    pub fn condition(&self, router: &str, condition: Condition) {
        self.orders.put(|orders| drop(orders.conditions.insert(router.to_owned(), condition)));
    }

    /// How to speak with the other directors from now on. What did not change stays connected.
    pub fn link(&self, link: Option<LinkSettings>) {
        self.orders.put(|orders| orders.link = Some(link));
    }

    /// Resigns, keeps the VIPs until another director has them or a bound is over, and ends with
    /// [`Event::Stopped`].
    pub fn release(&self) {
        self.orders.put(|orders| orders.release = true);
    }

    /// Asks the others for patience, leaves the VIPs where they are, and ends with
    /// [`Event::Stopped`]. The next process is to begin with [`Start::Resume`] where this one was
    /// Active.
    pub fn restart(&self) {
        self.orders.put(|orders| orders.restart = true);
    }

    /// Has the other directors know this as long as this process lives, until it is told something
    /// else on the same topic; they get [`Event::PeerSaid`]. Of what changes within a tenth of a
    /// second they hear the newest.
    pub fn tell(&self, topic: Topic, bytes: Vec<u8>) -> Result<(), TooLong> {
        if bytes.len() > MOST_SAID {
            return Err(TooLong { bytes: bytes.len() });
        }
        self.orders.put(|orders| drop(orders.tell.insert(topic, bytes)));
        Ok(())
    }

    /// Counts the rounds of the thread, at least one a second: what does not move is stuck.
    pub fn heart(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.beat)
    }

    /// How everything stood when it last changed, at most a second ago for what is only counted.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Vrrp {
    fn drop(&mut self) {
        self.release();
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), VrrpError> {
    let builder = threads::Builder::new().name(name.to_owned()).stack_size(STACK);
    builder.spawn(body).map(drop).map_err(VrrpError::Thread)
}

/// How each router begins, by its name.
fn starts(routers: &[(RouterConfig, Start)]) -> BTreeMap<String, Start> {
    routers.iter().map(|(config, start)| (config.name.clone(), *start)).collect()
}
