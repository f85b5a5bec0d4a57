//! What the thread tells the daemon, which logs it, reconciles and runs hooks.
//!
//! The way there is bounded and nobody waits on it: what finds it full is counted, and the count is
//! told when there is room again. Nothing depends on an event: what is so is also in the
//! [`Status`](super::Status).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipnet::IpNet;
use nix::errno::Errno;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::realtime::RealtimeError;
use crate::vrrp::config::{Family, Vip};
use crate::vrrp::link::{Alarm, Topic};
use crate::vrrp::packet::Discard;
use crate::vrrp::router::{Notice, State, Why};

/// Events on their way: several for each of 255 routers that change at once.
const ROOM: usize = 2048;

/// Of them, words of other directors: the only ones that are large.
const WORDS: usize = 16;

/// Something that somebody may want to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A router is in another state.
    Changed {
        /// Its name.
        router: String,
        /// The state before.
        from: State,
        /// The state now.
        to: State,
        /// The cause.
        why: Why,
        /// Its priority, tracking included.
        priority: u8,
    },
    /// A router noticed something odd; once per episode.
    Noticed {
        /// Its name.
        router: String,
        /// What.
        notice: Notice,
    },
    /// A packet was not heeded. At most once a minute for each sender and reason.
    Discarded {
        /// Where it came in.
        interface: String,
        /// Who sent it.
        from: IpAddr,
        /// Why.
        reason: Discard,
    },
    /// Somebody had deleted this VIP; it is there again. At most once a second.
    VipPutBack(Vip),
    /// This VIP is on the host already, put there by somebody else: it is used and left alone.
    VipForeign(Vip),
    /// The kernel does not take this VIP; it is tried again and again.
    VipRefused {
        /// The VIP.
        vip: Vip,
        /// The kernel's word for it.
        why: Errno,
    },
    /// This address carried our mark and nobody wanted it, so it was deleted: an earlier process
    /// left it behind.
    Orphaned(IpNet),
    /// VRRP cannot be spoken there for now.
    SocketFailed {
        /// The interface.
        interface: String,
        /// The family.
        family: Family,
        /// The cause.
        why: String,
    },
    /// An advertisement of this router did not leave. Once until one did.
    SendFailed {
        /// Its name.
        router: String,
        /// The kernel's word for it.
        why: Errno,
    },
    /// The other director's process runs.
    PeerUp {
        /// Its host.
        peer: String,
    },
    /// The other director's process has ended: its port refuses.
    PeerGone {
        /// Its host.
        peer: String,
    },
    /// Nothing is known of the other director.
    PeerUnknown {
        /// Its host.
        peer: String,
    },
    /// The other director has this known; what it said before on the topic no longer counts. It
    /// says everything again after each [`Event::PeerUp`].
    PeerSaid {
        /// Its host.
        peer: String,
        /// What it is about.
        topic: Topic,
        /// As they were given there to [`Vrrp::tell`](super::Vrrp::tell).
        bytes: Vec<u8>,
    },
    /// Something about the connection with the other director that somebody should look at.
    PeerAlarm {
        /// Its host.
        peer: String,
        /// What.
        alarm: Alarm,
    },
    /// Connections of the other directors cannot be accepted for now.
    LinkFailed {
        /// The cause.
        why: Errno,
    },
    /// The thread will be less punctual under load.
    Realtime(RealtimeError),
    /// So many events were lost here, for nobody took them.
    Lost(u64),
    /// The thread has ended as it was told to. Nothing comes after this.
    Stopped,
}

/// Where events come out.
pub struct Events {
    receiver: Receiver<Event>,
    words: Arc<AtomicUsize>,
}

impl Events {
    /// The next one. `None`: the thread is no more; without [`Event::Stopped`] before, it died.
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.receiver.recv().await;
        self.taken(event)
    }

    /// The next one, for a caller without a runtime.
    pub fn wait(&mut self) -> Option<Event> {
        let event = self.receiver.blocking_recv();
        self.taken(event)
    }

    fn taken(&self, event: Option<Event>) -> Option<Event> {
        if matches!(event, Some(Event::PeerSaid { .. })) {
            self.words.fetch_sub(1, Ordering::Relaxed);
        }
        event
    }
}

/// Where events go in.
pub(super) struct Teller {
    sender: Sender<Event>,
    lost: u64,
    /// Words that were sent and not taken.
    words: Arc<AtomicUsize>,
}

impl Teller {
    pub(super) fn tell(&mut self, event: Event) {
        if self.lost > 0 && self.sender.try_send(Event::Lost(self.lost)).is_ok() {
            self.lost = 0;
        }
        let words = usize::from(matches!(event, Event::PeerSaid { .. }));
        // Counted before it can be taken.
        self.words.fetch_add(words, Ordering::Relaxed);
        if self.sender.try_send(event).is_err() {
            self.words.fetch_sub(words, Ordering::Relaxed);
            self.lost += 1;
        }
    }

    /// Whether another [`Event::PeerSaid`] would get there.
    pub(super) fn has_room_for_words(&self) -> bool {
        self.sender.capacity() > 1 && self.words.load(Ordering::Relaxed) < WORDS
    }
}

/// A way for events.
pub(super) fn channel() -> (Teller, Events) {
    let (sender, receiver) = mpsc::channel(ROOM);
    let words = Arc::<AtomicUsize>::default();
    (Teller { sender, lost: 0, words: Arc::clone(&words) }, Events { receiver, words })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_nobody_takes_are_counted_and_the_count_is_told() {
        let (mut teller, mut events) = channel();
        let gone = || Event::PeerGone { peer: "b".into() };
        (0..ROOM + 3).for_each(|_| teller.tell(gone()));
        (0..ROOM).for_each(|_| assert_eq!(events.wait(), Some(gone())));
        teller.tell(Event::Stopped);
        assert_eq!(events.wait(), Some(Event::Lost(3)));
        assert_eq!(events.wait(), Some(Event::Stopped));
        drop(teller);
        assert_eq!(events.wait(), None);
    }
}
