//! What is wrong with this host, said once per episode.
//!
//! An episode is over when nothing of the kind was seen for a minute. Pure; told the time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Moment;

/// An episode ends after so long without another case of it.
const QUIET: Duration = Duration::from_secs(60);

/// Different episodes at the same time; others are not told.
const MOST: usize = 64;

/// What is wrong, and when it was last seen.
#[derive(Default)]
pub(super) struct Notices(BTreeMap<String, Moment>);

impl Notices {
    /// Something was seen. `true`: it has just begun, so somebody should be told.
    pub(super) fn is_news(&mut self, what: &str, now: Moment) -> bool {
        if let Some(seen) = self.0.get_mut(what) {
            let quiet = now.since(*seen);
            *seen = now;
            return quiet >= QUIET;
        }
        self.0.retain(|_, seen| now.since(*seen) < QUIET);
        if self.0.len() >= MOST {
            return false;
        }
        self.0.insert(what.to_owned(), now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn an_episode_is_told_when_it_begins_and_again_after_a_quiet_time() {
        let mut notices = Notices::default();
        assert!(notices.is_news("a", at(0)));
        assert!((1..100).all(|second| !notices.is_news("a", at(second))));
        assert!(notices.is_news("b", at(99)));
        assert!(notices.is_news("a", at(159)));
        let mut some = (0..1000).filter(|n| notices.is_news(&format!("c{n}"), at(160)));
        assert_eq!(some.by_ref().count(), MOST - 1);
    }
}
