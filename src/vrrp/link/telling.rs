//! What one director has the others know beside VRRP: the newest word on each topic.
//!
//! A word is said on every new connection and again whenever it changes, but never before the last
//! one was heard, and not more often than [`EVERY`]; what changes meanwhile is said as it is then.
//! So however much there is to say, no more than one word per topic is on its way, and what VRRP
//! has to say waits for no buffer. Who hears does the same: of words that come too fast the newest
//! is handed on when its time has come, and only then is it acknowledged. A converge that knows
//! none of this passes words over, acknowledges none, and is told each once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::Message;
use crate::clock::Moment;

/// The longest word. One on each topic fits into a connection's buffer beside everything that VRRP
/// may have to say, and to sign it takes microseconds.
pub const MOST_SAID: usize = 32 * 1024;
/// How often a word on one topic is said, at most.
pub(super) const EVERY: Duration = Duration::from_millis(100);
/// How often one is handed on. Shorter, so that a word that was delayed does not hold up the next.
pub(super) const HEARD_EVERY: Duration = Duration::from_millis(50);

/// What a word is about. Each has a number on the wire that never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// How the pools of servers look from there.
    Pools,
    /// What operators said about servers.
    Words,
}

impl Topic {
    /// All of them.
    pub const ALL: [Topic; 2] = [Topic::Pools, Topic::Words];

    pub(super) fn number(self) -> u8 {
        match self {
            Topic::Pools => 1,
            Topic::Words => 2,
        }
    }

    pub(super) fn from_number(number: u8) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| topic.number() == number)
    }
}

/// What is to be said to one other director.
#[derive(Debug, Default)]
pub(super) struct Telling(BTreeMap<Topic, Word>);

#[derive(Debug)]
struct Word {
    bytes: Vec<u8>,
    /// The how manieth word on its topic it is.
    number: u32,
    /// Which one was said last on this connection.
    said: Option<u32>,
    /// Whether that one was acknowledged.
    heard: bool,
    /// Not to be said before.
    not_before: Moment,
}

impl Word {
    fn is_new(&self) -> bool {
        self.said.is_none_or(|said| self.heard && said != self.number)
    }
}

impl Telling {
    /// This is to be known from now on.
    pub(super) fn keep(&mut self, topic: Topic, bytes: &[u8], now: Moment) {
        let word = self.0.entry(topic).or_insert_with(|| Word {
            bytes: Vec::new(),
            number: 0,
            said: None,
            heard: false,
            not_before: now,
        });
        if word.number == 0 || word.bytes != bytes {
            word.bytes = bytes.to_vec();
            word.number = word.number.wrapping_add(1).max(1);
        }
    }

    /// There is another connection, on which nothing has been said.
    pub(super) fn begin(&mut self) {
        self.0.values_mut().for_each(|word| (word.said, word.heard) = (None, false));
    }

    /// The other has taken that word. What was said before its end cannot be acknowledged later.
    pub(super) fn handle_heard(&mut self, topic: Topic, number: u32) {
        if let Some(word) = self.0.get_mut(&topic) {
            word.heard |= word.said == Some(number);
        }
    }

    /// The next word that is to be said now.
    pub(super) fn next(&mut self, now: Moment) -> Option<Message> {
        let due = |(_, word): &(&Topic, &mut Word)| word.is_new() && word.not_before <= now;
        let (topic, word) = self.0.iter_mut().find(due)?;
        (word.said, word.heard, word.not_before) = (Some(word.number), false, now + EVERY);
        Some(Message::Said { topic: *topic, number: word.number, bytes: word.bytes.clone() })
    }

    /// When there is one, unless something changes.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.0.values().filter(|word| word.is_new()).map(|word| word.not_before).min()
    }
}

/// What was said by one other director.
#[derive(Debug, Default)]
pub(super) struct Hearing(BTreeMap<Topic, Ear>);

#[derive(Debug)]
struct Ear {
    /// The newest word that was not handed on.
    waiting: Option<(u32, Vec<u8>)>,
    /// The next one is not handed on before.
    not_before: Moment,
}

impl Hearing {
    /// There is another connection, on which everything is said again.
    pub(super) fn begin(&mut self) {
        self.0.values_mut().for_each(|ear| ear.waiting = None);
    }

    /// This was said.
    pub(super) fn handle_said(&mut self, topic: Topic, number: u32, bytes: Vec<u8>, now: Moment) {
        let ear = self.0.entry(topic).or_insert(Ear { waiting: None, not_before: now });
        ear.waiting = Some((number, bytes));
    }

    /// The next word that is to be handed on and acknowledged now.
    pub(super) fn next(&mut self, now: Moment) -> Option<(Topic, u32, Vec<u8>)> {
        let due = |(_, ear): &(&Topic, &mut Ear)| ear.waiting.is_some() && ear.not_before <= now;
        let (topic, ear) = self.0.iter_mut().find(due)?;
        let (number, bytes) = ear.waiting.take()?;
        ear.not_before = now + HEARD_EVERY;
        Some((*topic, number, bytes))
    }

    /// When there is one.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.0.values().filter(|ear| ear.waiting.is_some()).map(|ear| ear.not_before).min()
    }
}
