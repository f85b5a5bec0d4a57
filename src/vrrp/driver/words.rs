//! What the daemons have each other know, on its way through the thread.
//!
//! The thread keeps what the daemon last wanted known, for links that come later, and what the
//! other directors said until the daemon has room for it: of each the newest on a topic, so a
//! daemon that takes nothing costs no more than that. What a director said that is gone is
//! forgotten.

use std::collections::BTreeMap;

use super::events::{Event, Teller};
use super::links::Links;
use crate::clock::Moment;
use crate::vrrp::link::Topic;

/// The newest words, both ways.
#[derive(Default)]
pub(super) struct Words {
    ours: BTreeMap<Topic, Vec<u8>>,
    untold: BTreeMap<(String, Topic), Vec<u8>>,
}

impl Words {
    /// The daemon wants this known.
    pub(super) fn keep(&mut self, ours: BTreeMap<Topic, Vec<u8>>) {
        self.ours.extend(ours);
    }

    /// Gives it to all links that have not got it.
    pub(super) fn give(&self, links: Option<&mut Links>, now: Moment) {
        let Some(links) = links else { return };
        self.ours.iter().for_each(|(topic, bytes)| links.handle_tell(*topic, bytes, now));
    }

    /// Another director said this.
    pub(super) fn hear(&mut self, peer: String, topic: Topic, bytes: Vec<u8>) {
        self.untold.insert((peer, topic), bytes);
    }

    /// What this one said does not count any more.
    pub(super) fn forget(&mut self, peer: &str) {
        self.untold.retain(|(by, _), _| by != peer);
    }

    /// Tells the daemon, as far as it has room.
    pub(super) fn tell(&mut self, teller: &mut Teller) {
        while teller.has_room_for_words()
            && let Some(((peer, topic), bytes)) = self.untold.pop_first()
        {
            teller.tell(Event::PeerSaid { peer, topic, bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::channel;
    use super::*;

    #[test]
    fn a_daemon_that_takes_nothing_finds_the_newest_words_and_none_of_one_that_is_gone() {
        let (mut teller, mut events) = channel();
        let mut words = Words::default();
        for number in 0..100 {
            words.hear("b".into(), Topic::Pools, vec![number]);
            words.hear("c".into(), Topic::Pools, vec![number]);
            words.tell(&mut teller);
        }
        words.forget("c");
        teller.tell(Event::PeerGone { peer: "c".into() });
        let mut said = Vec::new();
        while let Some(event) = events.wait() {
            said.push(event);
            if matches!(said.last(), Some(Event::PeerGone { .. })) {
                break;
            }
        }
        assert!(said.len() < 20, "{} events hold memory", said.len());
        words.tell(&mut teller);
        let newest = Event::PeerSaid { peer: "b".into(), topic: Topic::Pools, bytes: vec![99] };
        assert_eq!(events.wait(), Some(newest));
    }
}
