//! Mere steps of weights, for whoever takes them at a price.
//!
//! The kernel's table takes a new weight in microseconds. nginx reloads for it: it tests all of its
//! files, starts new processes and keeps the old ones until their clients have gone. A server that
//! climbs to its weight, or asks for another one with each check, must not have it do so every
//! second. So new weights are handed on together, and then not again for a while; a server that
//! leaves or comes back is handed on at once, and all that waited with it. Pure; told the time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::pool::standing::{Share, Shares};

/// From one reload to the next for weights alone: some steps of a climb of half a minute, and old
/// processes with short connections are gone by then.
const REST: Duration = Duration::from_secs(5);

/// What was handed on.
#[derive(Debug, Default)]
pub(super) struct Steps {
    given: BTreeMap<String, Arc<Shares>>,
    /// Nothing but weights is handed on before.
    rest: Option<Instant>,
    /// Some wait until then.
    due: Option<Instant>,
}

impl Steps {
    /// These are the shares now. What is to be handed on is in [`Steps::given`] then.
    pub(super) fn take(&mut self, newest: BTreeMap<String, Arc<Shares>>, now: Instant) {
        let differs = |change: fn(&Shares, &Shares) -> bool| {
            let of = |(name, new): (&String, &Arc<Shares>)| {
                self.given.get(name).is_none_or(|old| change(old, new))
            };
            newest.iter().any(of)
        };
        let (moved, stepped) = (differs(has_moved), differs(has_stepped));
        let rests = self.rest.is_some_and(|rest| now < rest);
        if stepped && rests && !moved {
            self.due = self.rest;
            for (name, mut shares) in newest {
                if let Some(given) = self.given.get(&name) {
                    keep_weights(given, Arc::make_mut(&mut shares));
                }
                self.given.insert(name, shares);
            }
            return;
        }
        if moved || stepped {
            self.rest = Some(now + REST);
        }
        (self.given, self.due) = (newest, None);
    }

    /// What a pool has by now.
    pub(super) fn given(&self, pool: &str) -> Option<&Arc<Shares>> {
        self.given.get(pool)
    }

    /// When weights that wait are due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }
}

/// Another set of servers, or another spare.
fn has_moved(old: &Shares, new: &Shares) -> bool {
    fn serving(shares: &Shares) -> BTreeSet<&std::net::SocketAddr> {
        let members = shares.members.iter();
        members.filter(|(_, share)| weight(share) > 0).map(|(server, _)| server).collect()
    }
    old.spare != new.spare
        || !old.members.keys().eq(new.members.keys())
        || serving(old) != serving(new)
}

fn has_stepped(old: &Shares, new: &Shares) -> bool {
    !old.members.values().map(weight).eq(new.members.values().map(weight))
}

fn keep_weights(old: &Shares, new: &mut Shares) {
    for (server, share) in &mut new.members {
        if let Some(old) = old.members.get(server).filter(|_| weight(share) > 0) {
            share.weight = old.weight;
        }
    }
}

/// nginx does not know one without weight from one that is out.
fn weight(share: &Share) -> u32 {
    share.weight.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::standing::Standing;

    const POOL: &str = "upstream app";

    fn shares(weights: &[u32]) -> BTreeMap<String, Arc<Shares>> {
        let share = |weight: &u32| Share {
            weight: Some(*weight),
            standing: Standing::Up,
            why: String::new(),
        };
        let members = weights.iter().zip(1..).map(|(w, n)| (([192, 0, 2, n], 80).into(), share(w)));
        [(POOL.to_owned(), Shares { members: members.collect(), spare: None }.into())].into()
    }

    fn given(steps: &Steps) -> Vec<u32> {
        let shares = steps.given(POOL).expect("it was handed on");
        shares.members.values().map(weight).collect()
    }

    #[test]
    fn a_climb_is_handed_on_in_few_steps_and_to_its_end() {
        let (mut steps, begin) = (Steps::default(), Instant::now());
        let second = |n| begin + Duration::from_secs(n);
        steps.take(shares(&[10, 0]), begin);
        let mut seen = Vec::new();
        for climbed in 1..=10 {
            steps.take(shares(&[10, climbed]), second(u64::from(climbed)));
            seen.push(given(&steps)[1]);
        }
        assert_eq!(seen, [1, 1, 1, 1, 1, 6, 6, 6, 6, 6]);
        assert_eq!(steps.due(), Some(second(11)));
        steps.take(shares(&[10, 10]), second(11));
        assert_eq!((given(&steps), steps.due()), (vec![10, 10], None));
    }

    #[test]
    fn who_leaves_or_returns_is_handed_on_at_once_and_what_waits_with_it() {
        let (mut steps, begin) = (Steps::default(), Instant::now());
        steps.take(shares(&[10, 1, 10]), begin);
        steps.take(shares(&[10, 2, 10]), begin);
        assert_eq!(given(&steps), [10, 1, 10]);
        steps.take(shares(&[10, 3, 0]), begin);
        assert_eq!((given(&steps), steps.due()), (vec![10, 3, 0], None));
        steps.take(shares(&[10, 4, 10]), begin);
        assert_eq!(given(&steps), [10, 4, 10]);
    }

    #[test]
    fn a_reason_is_handed_on_at_once_and_costs_nothing() {
        let (mut steps, begin) = (Steps::default(), Instant::now());
        steps.take(shares(&[10, 1]), begin);
        let mut worded = shares(&[10, 2]);
        let last = worded.get_mut(POOL).map(Arc::make_mut);
        let last = last.and_then(|shares| shares.members.values_mut().last());
        last.expect("two").why = "said so".to_owned();
        steps.take(worded, begin);
        assert_eq!(given(&steps), [10, 1]);
        let share = steps.given(POOL).and_then(|shares| shares.members.values().last());
        assert_eq!(share.map(|share| share.why.as_str()), Some("said so"));
    }
}
