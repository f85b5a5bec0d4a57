//! One connection to the other director, as far as it has come.
//!
//! A session greets, says Hello as soon as it knows the other's nonce, and counts as proven with
//! the other's Hello. Which of several proven sessions is the one to speak on is decided elsewhere.

use std::time::Duration;

use super::Nonce;
use super::frame::{Codec, Piece, Side};
use super::message::{Hello, Message};
use super::refusal::Refusal;
use crate::clock::Moment;
use crate::vrrp::key::Key;

/// Somebody who is there says something that often.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(1);
/// Who says nothing for so long is not there, or not to be reached: two keepalives may be late.
pub(super) const SILENCE: Duration = Duration::from_secs(3);
/// From a connection to the other's Hello. It takes one round trip; a stalled process never ends.
const PROOF_WITHIN: Duration = Duration::from_secs(1);
/// How long a connection that another has replaced is still listened to: the other end may not have
/// seen yet that it was replaced.
const LINGER: Duration = Duration::from_secs(1);

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Until when the other has to prove itself.
    Unproven(Moment),
    /// Proven, and the one to speak on.
    Current,
    /// Proven, but another is the one to speak on. Until when it is listened to.
    Replaced(Moment),
}

/// One connection to the other director.
#[derive(Debug)]
pub(super) struct Session {
    codec: Codec,
    side: Side,
    /// The how manieth connection of this process it is.
    pub(super) epoch: u64,
    pub(super) phase: Phase,
    /// The other's Hello.
    pub(super) hello: Option<Hello>,
    heard: Moment,
    said: Moment,
}

impl Session {
    pub(super) fn new(side: Side, nonce: Nonce, epoch: u64, now: Moment) -> Session {
        Session {
            codec: Codec::new(side, nonce),
            side,
            epoch,
            phase: Phase::Unproven(now + PROOF_WITHIN),
            hello: None,
            heard: now,
            said: now,
        }
    }

    /// What goes out first.
    pub(super) fn greeting(&self) -> Vec<u8> {
        self.codec.greeting()
    }

    /// The next piece that `bytes` complete.
    pub(super) fn read(
        &mut self,
        bytes: &mut &[u8],
        key: &Key,
        now: Moment,
    ) -> Result<Option<Piece>, Refusal> {
        let piece = self.codec.read(bytes, key)?;
        if piece.is_some() {
            self.heard = now;
        }
        Ok(piece)
    }

    /// What it means that no more bytes come.
    pub(super) fn end(&self) -> Result<(), Refusal> {
        self.codec.end()
    }

    /// The message as bytes; `None` before the other has greeted.
    pub(super) fn write(&mut self, message: &Message, now: Moment) -> Option<Vec<u8>> {
        self.said = now;
        self.codec.seal(message)
    }

    /// Whether we dialled.
    pub(super) fn dialled(&self) -> bool {
        self.side == Side::Dialler
    }

    /// When its life ends unless something is heard.
    pub(super) fn deadline(&self) -> Moment {
        match self.phase {
            Phase::Unproven(until) | Phase::Replaced(until) => until,
            Phase::Current => self.heard + SILENCE,
        }
    }

    /// When something has to be said, if it is the one to speak on.
    pub(super) fn keepalive(&self) -> Option<Moment> {
        (self.phase == Phase::Current).then(|| self.said + KEEPALIVE)
    }

    /// From now on another is spoken on.
    pub(super) fn replace(&mut self, now: Moment) {
        self.phase = Phase::Replaced(now + LINGER);
    }

    /// Whether this proven session is to be spoken on rather than that one. Both ends come to the
    /// same answer, whatever the order in which they saw the two proven: epochs of both ends only
    /// grow, so a session begun after another has the larger sum; of two begun at the same time
    /// that one is kept which was dialled by the lower address.
    pub(super) fn outranks(&self, other: &Session, we_are_lower: bool) -> bool {
        let (Some(hello), Some(old)) = (&self.hello, &other.hello) else {
            return self.hello.is_some();
        };
        if hello.incarnation != old.incarnation {
            // That process is dead; what is left of it may still be read after the new one's.
            return self.epoch > other.epoch;
        }
        let rank = |session: &Session, hello: &Hello| {
            let by_lower = session.dialled() == we_are_lower;
            (session.epoch.saturating_add(hello.epoch), by_lower)
        };
        rank(self, hello) > rank(other, old)
    }
}
