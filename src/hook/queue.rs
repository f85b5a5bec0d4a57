//! What happened to the routers and was not told yet.
//!
//! At most one thing for each router, its last: what came in between is left out, and the number
//! that each gets shows the gap. The router that waits longest is first.

use std::collections::{BTreeMap, VecDeque};

use crate::vrrp::router::State;

/// A router has come into another state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// The router's name.
    pub router: String,
    /// The state before.
    pub from: State,
    /// The state now; Initialize: it has stopped.
    pub to: State,
    /// Its priority now, with all weights.
    pub priority: u8,
    /// Why, in plain words.
    pub reason: String,
}

/// A thing to tell and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// 1 for the first thing that happened to the router since the start.
    pub sequence: u64,
    /// What happened.
    pub happening: Happening,
}

/// What waits.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Numbered>,
    sequences: BTreeMap<String, u64>,
}

impl Queue {
    /// Takes a thing in. It takes the place of what waits for the same router.
    pub fn push(&mut self, happening: Happening) {
        let sequence = self.sequences.entry(happening.router.clone()).or_default();
        *sequence += 1;
        let new = Numbered { sequence: *sequence, happening };
        let same = |old: &&mut Numbered| old.happening.router == new.happening.router;
        match self.waiting.iter_mut().find(same) {
            Some(old) => *old = new,
            None => self.waiting.push_back(new),
        }
    }

    /// The next to be told.
    pub fn pop(&mut self) -> Option<Numbered> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn happening(router: &str, to: State) -> Happening {
        let from = State::Backup;
        Happening { router: router.into(), from, to, priority: 100, reason: String::new() }
    }

    #[test]
    fn only_the_last_state_of_a_router_waits_and_its_number_shows_the_gap() {
        let mut queue = Queue::default();
        queue.push(happening("a", State::Active));
        queue.push(happening("b", State::Active));
        queue.push(happening("a", State::Fault));
        let mut told = std::iter::from_fn(|| queue.pop())
            .map(|next| (next.happening.router.clone(), next.happening.to, next.sequence));
        assert_eq!(told.next(), Some(("a".into(), State::Fault, 2)));
        assert_eq!(told.next(), Some(("b".into(), State::Active, 1)));
        assert_eq!(told.next(), None);
    }

    proptest! {
        /// Each step: a router that changes, or what waits is told.
        #[test]
        fn in_the_end_each_router_was_told_its_last_state_in_order(
            steps in proptest::collection::vec((0..4_usize, any::<bool>(), any::<bool>()), 0..60),
        ) {
            let mut queue = Queue::default();
            let (mut last, mut told) = (BTreeMap::new(), BTreeMap::<String, Numbered>::new());
            let mut tell = |next: Numbered| {
                let before = told.insert(next.happening.router.clone(), next.clone());
                before.is_none_or(|before| before.sequence < next.sequence)
            };
            for (router, is_active, is_told) in steps {
                let to = if is_active { State::Active } else { State::Backup };
                last.insert(router.to_string(), to);
                queue.push(happening(&router.to_string(), to));
                if is_told {
                    prop_assert!(queue.pop().is_none_or(&mut tell));
                }
                prop_assert!(queue.waiting.len() <= last.len());
            }
            while let Some(next) = queue.pop() {
                prop_assert!(tell(next));
            }
            let told = told.into_iter().map(|(name, told)| (name, told.happening.to));
            prop_assert_eq!(told.collect::<BTreeMap<_, _>>(), last);
        }
    }
}
