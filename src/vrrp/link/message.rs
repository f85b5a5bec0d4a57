//! What two directors say to each other, and its form in a frame.
//!
//! Every list and text has a bound that is checked when it is read and kept when it is written, so
//! that no message is longer than a frame. What a later converge may add is a new kind, and kinds
//! that are not known are passed over.

use std::collections::BTreeMap;
use std::time::Duration;

use super::frame::MAX_PAYLOAD;
use super::refusal::Refusal;
use super::telling::{MOST_SAID, Topic};
use crate::vrrp::fingerprint::{DIGEST_BYTES, Digest, Fingerprint};
use crate::vrrp::router::State;

/// The longest name of a host or router, and the longest path of a key.
const MAX_TEXT: usize = 255;
/// More routers than a host can have: 255 of each family on one interface, and another as many.
const MAX_ROUTERS: usize = 1024;
/// How much of the digests is sent: more than a hundred hosts have.
const MAX_DIGESTS: usize = 60 * 1024;

const HELLO: u8 = 1;
const STANDING: u8 = 2;
const RESIGNED: u8 = 3;
const RESTARTING: u8 = 4;
const FINGERPRINT: u8 = 5;
const DIGESTS: u8 = 6;
const PING: u8 = 7;
const SAID: u8 = 8;
const HEARD: u8 = 9;

/// How a router of the other director stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The router's name, the same on every director.
    pub router: String,
    /// What it does.
    pub state: State,
    /// Its priority after tracking.
    pub priority: u8,
}

/// The first message of either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    /// Who speaks.
    pub host: String,
    /// Who is meant.
    pub peer: String,
    /// Which process of that host speaks: a random number that it chose at its start.
    pub incarnation: u64,
    /// The how manieth connection of that process this is.
    pub epoch: u64,
    /// Of its files.
    pub fingerprint: Fingerprint,
}

/// What two directors say to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Who speaks to whom.
    Hello(Hello),
    /// All routers.
    Standing(Vec<Standing>),
    /// A router has resigned.
    Resigned(String),
    /// The process ends and another comes within this time.
    Restarting(Duration),
    /// The files were read anew.
    Fingerprint(Fingerprint),
    /// The digests of the files, sorted; not `complete`: those behind the last did not fit.
    Digests {
        /// By key path.
        leaves: BTreeMap<String, Digest>,
        /// Whether these are all.
        complete: bool,
    },
    /// Nothing; somebody is there.
    Ping,
    /// What VRRP hands on unread: the newest word on a topic.
    Said {
        /// What it is about.
        topic: Topic,
        /// The how manieth word of this process on it.
        number: u32,
        /// At most [`MOST_SAID`].
        bytes: Vec<u8>,
    },
    /// That word was handed on; the next may be said.
    Heard {
        /// What it was about.
        topic: Topic,
        /// Which one.
        number: u32,
    },
}

impl Message {
    /// As many of the digests as a message holds.
    pub(super) fn digests(all: &BTreeMap<String, Digest>) -> Message {
        let mut size = 0;
        let fits = |(path, _): &(&String, &Digest)| {
            size += 1 + path.len().min(MAX_TEXT) + DIGEST_BYTES;
            size <= MAX_DIGESTS
        };
        let leaves: BTreeMap<String, Digest> =
            all.iter().take_while(fits).map(|(path, digest)| (path.clone(), *digest)).collect();
        let complete = leaves.len() == all.len();
        Message::Digests { leaves, complete }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Message::Hello(hello) => {
                out.push(HELLO);
                put_text(&mut out, &hello.host);
                put_text(&mut out, &hello.peer);
                out.extend_from_slice(&hello.incarnation.to_be_bytes());
                out.extend_from_slice(&hello.epoch.to_be_bytes());
                out.extend_from_slice(&hello.fingerprint.0);
            }
            Message::Standing(standings) => {
                out.push(STANDING);
                put_standings(&mut out, standings);
            }
            Message::Resigned(router) => {
                out.push(RESIGNED);
                put_text(&mut out, router);
            }
            Message::Restarting(back_within) => {
                out.push(RESTARTING);
                let ms = u32::try_from(back_within.as_millis()).unwrap_or(u32::MAX);
                out.extend_from_slice(&ms.to_be_bytes());
            }
            Message::Fingerprint(fingerprint) => {
                out.push(FINGERPRINT);
                out.extend_from_slice(&fingerprint.0);
            }
            Message::Digests { leaves, complete } => {
                out.extend_from_slice(&[DIGESTS, u8::from(*complete)]);
                for (path, digest) in leaves {
                    put_text(&mut out, path);
                    out.extend_from_slice(digest);
                }
            }
            Message::Ping => out.push(PING),
            Message::Said { topic, number, bytes } => {
                out.extend_from_slice(&[SAID, topic.number()]);
                out.extend_from_slice(&number.to_be_bytes());
                out.extend_from_slice(&bytes[..bytes.len().min(MOST_SAID)]);
            }
            Message::Heard { topic, number } => {
                out.extend_from_slice(&[HEARD, topic.number()]);
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        out
    }

    /// `None` for a kind or topic that is not known here.
    pub(super) fn from_bytes(payload: &[u8]) -> Result<Option<Message>, Refusal> {
        let mut reader = Reader { left: payload };
        let message = match reader.byte("kind")? {
            HELLO => Message::Hello(Hello {
                host: reader.text("host")?,
                peer: reader.text("peer")?,
                incarnation: u64::from_be_bytes(reader.chunk("incarnation")?),
                epoch: u64::from_be_bytes(reader.chunk("epoch")?),
                fingerprint: Fingerprint(reader.chunk("fingerprint")?),
            }),
            STANDING => Message::Standing(reader.standings()?),
            RESIGNED => Message::Resigned(reader.text("router")?),
            RESTARTING => {
                let ms = u32::from_be_bytes(reader.chunk("time")?);
                Message::Restarting(Duration::from_millis(ms.into()))
            }
            FINGERPRINT => Message::Fingerprint(Fingerprint(reader.chunk("fingerprint")?)),
            DIGESTS => reader.digests()?,
            PING => Message::Ping,
            kind @ (SAID | HEARD) => match reader.word(kind == SAID)? {
                Some(message) => message,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        match reader.left {
            [] => Ok(Some(message)),
            _ => Err(Refusal::Malformed { what: "length" }),
        }
    }
}

/// A text that is too long is cut: the name then fits nothing and is told as another.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(MAX_TEXT)];
    out.push(u8::try_from(text.len()).expect("cut to MAX_TEXT"));
    out.extend_from_slice(text.as_bytes());
}

/// Routers that do not fit are left out: of them the other knows nothing, which is safe.
fn put_standings(out: &mut Vec<u8>, standings: &[Standing]) {
    for standing in standings.iter().take(MAX_ROUTERS) {
        let before = out.len();
        put_text(out, &standing.router);
        out.extend_from_slice(&[state_number(standing.state), standing.priority]);
        if out.len() > MAX_PAYLOAD {
            out.truncate(before);
            return;
        }
    }
}

fn state_number(state: State) -> u8 {
    match state {
        State::Initialize => 0,
        State::Backup => 1,
        State::Active => 2,
        State::Fault => 3,
    }
}

/// The rest of a payload.
struct Reader<'a> {
    left: &'a [u8],
}

impl Reader<'_> {
    fn bytes(&mut self, count: usize, what: &'static str) -> Result<&[u8], Refusal> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(Refusal::Malformed { what })?;
        self.left = left;
        Ok(taken)
    }

    fn chunk<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Refusal> {
        let taken = self.bytes(N, what)?;
        Ok(taken.try_into().expect("as many as were asked for"))
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, Refusal> {
        self.chunk::<1>(what).map(|[byte]| byte)
    }

    fn text(&mut self, what: &'static str) -> Result<String, Refusal> {
        let length = self.byte(what)?;
        let text = std::str::from_utf8(self.bytes(length.into(), what)?);
        text.map(str::to_owned).map_err(|_| Refusal::Malformed { what })
    }

    fn standings(&mut self) -> Result<Vec<Standing>, Refusal> {
        let mut standings = Vec::new();
        while !self.left.is_empty() {
            let router = self.text("router")?;
            let state = match self.byte("state")? {
                0 => State::Initialize,
                1 => State::Backup,
                2 => State::Active,
                3 => State::Fault,
                _ => return Err(Refusal::Malformed { what: "state" }),
            };
            standings.push(Standing { router, state, priority: self.byte("priority")? });
            if standings.len() > MAX_ROUTERS {
                return Err(Refusal::Malformed { what: "number of routers" });
            }
        }
        Ok(standings)
    }

    /// A word, or that one was heard. `None`: about a topic that only a later converge knows.
    fn word(&mut self, said: bool) -> Result<Option<Message>, Refusal> {
        let topic = Topic::from_number(self.byte("topic")?);
        let number = u32::from_be_bytes(self.chunk("number")?);
        let Some(topic) = topic else { return Ok(None) };
        if !said {
            return Ok(Some(Message::Heard { topic, number }));
        }
        if self.left.len() > MOST_SAID {
            return Err(Refusal::Malformed { what: "length" });
        }
        let bytes = std::mem::take(&mut self.left).to_vec();
        Ok(Some(Message::Said { topic, number, bytes }))
    }

    fn digests(&mut self) -> Result<Message, Refusal> {
        let complete = match self.byte("completeness")? {
            0 => false,
            1 => true,
            _ => return Err(Refusal::Malformed { what: "completeness" }),
        };
        let mut leaves = BTreeMap::new();
        while !self.left.is_empty() {
            leaves.insert(self.text("key path")?, self.chunk("digest")?);
        }
        Ok(Message::Digests { leaves, complete })
    }
}
