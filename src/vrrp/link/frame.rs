//! Bytes on a connection between two directors: a greeting each way, then signed frames.
//!
//! A greeting is `converge`, a version and 32 random bytes. From both greetings and the cluster's
//! key follow two keys, one for each direction and role, so that nothing that was said on another
//! connection, or in the other direction, is valid here. A frame is
//!
//! ```text
//! length of the payload 2 | counter 8 | payload | HMAC-SHA256 of all before it 32
//! ```
//!
//! The stream is in order by itself; a counter that is not the next one shows who meddled with it.
//! Nothing of a payload is looked at before its frame has been proven.

use ring::hmac;

use super::message::Message;
use super::refusal::Refusal;
use crate::vrrp::key::Key;

/// Random bytes that make a connection unlike any other.
pub type Nonce = [u8; 32];

/// The longest frame with everything: a host with all its routers, or 60 KiB of digests.
pub const MAX_FRAME: usize = 64 * 1024;
/// The longest payload.
pub(super) const MAX_PAYLOAD: usize = MAX_FRAME - HEADER - TAG;
/// The version of what is said here; both ends must have the same one.
pub(super) const VERSION: u8 = 1;

const MAGIC: &[u8; 8] = b"converge";
const GREETING: usize = MAGIC.len() + 1 + size_of::<Nonce>();
const LENGTH: usize = 2;
const COUNTER: usize = 8;
const TAG: usize = 32;
const HEADER: usize = LENGTH + COUNTER;
/// The longest payload of somebody who has proven nothing yet: a Hello with two names of 255 bytes.
const MAX_FIRST: usize = 1024;
/// What a connection at rest keeps allocated.
const SPARE: usize = 1024;

/// Who has made the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// We have.
    Dialler,
    /// The other has.
    Listener,
}

/// What could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The other's greeting: from now on frames can be sent.
    Greeting,
    /// A proven message.
    Message(Message),
    /// A proven message that only a later converge understands.
    Unheard,
}

/// One connection's bytes, both ways.
#[derive(Debug)]
pub(super) struct Codec {
    side: Side,
    nonce: Nonce,
    keys: Option<Keys>,
    buffer: Vec<u8>,
    sent: u64,
    received: u64,
}

#[derive(Debug)]
struct Keys {
    send: hmac::Key,
    receive: hmac::Key,
}

impl Codec {
    /// A fresh connection; the nonce was never used before.
    pub(super) fn new(side: Side, nonce: Nonce) -> Codec {
        Codec { side, nonce, keys: None, buffer: Vec::new(), sent: 0, received: 0 }
    }

    /// What goes out first.
    pub(super) fn greeting(&self) -> Vec<u8> {
        [MAGIC.as_slice(), &[VERSION], &self.nonce].concat()
    }

    /// A frame. `None` before the other's greeting was read.
    pub(super) fn seal(&mut self, message: &Message) -> Option<Vec<u8>> {
        let keys = self.keys.as_ref()?;
        let payload = message.to_bytes();
        let length = u16::try_from(payload.len()).expect("a message keeps within MAX_PAYLOAD");
        let mut frame =
            [length.to_be_bytes().as_slice(), &self.sent.to_be_bytes(), &payload].concat();
        let tag = hmac::sign(&keys.send, &frame);
        frame.extend_from_slice(tag.as_ref());
        self.sent += 1;
        Some(frame)
    }

    /// The next piece, if `bytes` complete it; they are moved past what was taken. After a refusal
    /// the connection is of no more use.
    pub(super) fn read(&mut self, bytes: &mut &[u8], key: &Key) -> Result<Option<Piece>, Refusal> {
        if self.keys.is_none() {
            return self.read_greeting(bytes, key);
        }
        if !self.fill(bytes, HEADER) {
            return Ok(None);
        }
        let length = usize::from(u16::from_be_bytes([self.buffer[0], self.buffer[1]]));
        let most = if self.received == 0 { MAX_FIRST } else { MAX_PAYLOAD };
        if length > most {
            return Err(Self::too_long(length, most));
        }
        if !self.fill(bytes, HEADER + length + TAG) {
            return Ok(None);
        }
        let message = self.open()?;
        self.buffer.clear();
        self.buffer.shrink_to(SPARE);
        Ok(Some(message.map_or(Piece::Unheard, Piece::Message)))
    }

    /// What it means that no more bytes come.
    pub(super) fn end(&self) -> Result<(), Refusal> {
        let payload = match (&self.keys, self.buffer.as_slice()) {
            (_, []) => return Ok(()),
            (None, part) => return Err(Refusal::Truncated { missing: GREETING - part.len() }),
            (Some(_), [high, low, ..]) => u16::from_be_bytes([*high, *low]),
            (Some(_), [_]) => 0,
        };
        let whole = HEADER + usize::from(payload) + TAG;
        Err(Refusal::Truncated { missing: whole - self.buffer.len() })
    }

    /// Bytes allocated for what was not understood yet.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.buffer.capacity()
    }

    /// Whether there are `want` bytes now; never more.
    fn fill(&mut self, bytes: &mut &[u8], want: usize) -> bool {
        let missing = want.saturating_sub(self.buffer.len());
        let (taken, left) = bytes.split_at(missing.min(bytes.len()));
        // Exactly: doubling would go beyond the bound.
        self.buffer.reserve_exact(taken.len());
        self.buffer.extend_from_slice(taken);
        *bytes = left;
        self.buffer.len() >= want
    }

    fn read_greeting(&mut self, bytes: &mut &[u8], key: &Key) -> Result<Option<Piece>, Refusal> {
        let whole = self.fill(bytes, GREETING);
        // A stranger is known by its first wrong byte, though it may never send enough.
        let begins = self.buffer.iter().zip(MAGIC).all(|(a, b)| a == b);
        if !begins {
            return Err(Refusal::Foreign);
        }
        if let Some(&theirs) = self.buffer.get(MAGIC.len())
            && theirs != VERSION
        {
            return Err(Refusal::Version { theirs });
        }
        if !whole {
            return Ok(None);
        }
        let theirs = self.buffer.last_chunk().copied().expect("a greeting ends with a nonce");
        if theirs == self.nonce {
            return Err(Refusal::Reflected);
        }
        self.keys = Some(Keys::new(key, self.side, &self.nonce, &theirs));
        self.buffer.clear();
        Ok(Some(Piece::Greeting))
    }

    /// The message of the whole frame in the buffer; `None` if it is of a kind not known here.
    fn open(&mut self) -> Result<Option<Message>, Refusal> {
        let keys = self.keys.as_ref().expect("frames come after the greeting");
        let (signed, tag) = self.buffer.split_at(self.buffer.len() - TAG);
        let (header, payload) = signed.split_at(HEADER);
        let proven = hmac::verify(&keys.receive, signed, tag).is_ok();
        let counter = u64::from_be_bytes(*header.last_chunk().expect("it ends with the counter"));
        let expected = self.received;
        if !proven {
            // Of the first frame a wrong key is by far the likeliest cause.
            let first = expected == 0;
            return Err(if first { Refusal::Key } else { Refusal::Forged { counter } });
        }
        match counter.cmp(&expected) {
            std::cmp::Ordering::Less => return Err(Refusal::Replayed { counter, expected }),
            std::cmp::Ordering::Greater => return Err(Refusal::Reordered { counter, expected }),
            std::cmp::Ordering::Equal => self.received += 1,
        }
        Message::from_bytes(payload)
    }

    fn too_long(length: usize, most: usize) -> Refusal {
        let around = HEADER + TAG;
        Refusal::TooLong { length: around + length, most: around + most }
    }
}

impl Keys {
    fn new(key: &Key, side: Side, ours: &Nonce, theirs: &Nonce) -> Keys {
        let (dialler, listener) = match side {
            Side::Dialler => (ours, theirs),
            Side::Listener => (theirs, ours),
        };
        let derived = |purpose| {
            let bytes = key.sign(purpose, &[&[VERSION], dialler, listener]);
            hmac::Key::new(hmac::HMAC_SHA256, &bytes)
        };
        let by_dialler = derived("converge link, said by who dialled");
        let by_listener = derived("converge link, said by who listened");
        match side {
            Side::Dialler => Keys { send: by_dialler, receive: by_listener },
            Side::Listener => Keys { send: by_listener, receive: by_dialler },
        }
    }
}
