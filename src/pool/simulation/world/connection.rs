//! The connection between the directors: made, lost and made again, and what goes over it.
//!
//! What one tells is with the other a moment later; a death is seen at once where there is a way.

use std::time::Duration;

use super::{Event, Rules, World};
use crate::pool::simulation::director::Director;

/// After a cut, until the connection is given up.
const SILENCE: Duration = Duration::from_secs(3);
/// What one director tells is with the other after this time, and not more often than that.
const WAY: Duration = Duration::from_millis(20);
const EVERY: Duration = Duration::from_millis(100);

impl World<'_> {
    /// The connection is given up.
    pub(super) fn part(&mut self, rules: &mut Rules) -> Result<(), String> {
        self.connection = None;
        self.note(|| "they are not connected any more".into());
        rules.connected(self.now);
        for d in 0..2 {
            if let Some(process) = &mut self.directors[d].process {
                process.loses();
                // One that is stopped turns when it goes on.
                if self.directors[d].stopped.is_none() {
                    self.turn(d, true, rules)?;
                }
            }
        }
        self.look();
        Ok(())
    }

    /// The truth about the connection may be another.
    pub(super) fn look(&mut self) {
        self.looks += 1;
        let look = self.looks;
        let goes = |d: &Director| d.process.is_some() && d.stopped.is_none();
        let can = self.link && self.directors.iter().all(goes);
        let numbers = self.numbers();
        match self.connection {
            None if can => {
                let span = self.random.between(EVERY, EVERY * 10);
                self.push(self.now + span, Event::Join(look));
            }
            None => {}
            // It goes on, and what was lost is told again.
            Some((_, ends)) if can && ends == numbers => {
                (0..2).for_each(|d| self.push(self.now, Event::Tell(d)));
            }
            Some((_, ends)) => {
                // A death is seen at once, if there is a way.
                let is_seen = self.link && ends != numbers;
                let span = if is_seen { WAY } else { SILENCE };
                self.push(self.now + span, Event::Part(look));
            }
        }
    }

    pub(super) fn numbers(&self) -> [Option<u64>; 2] {
        [0, 1].map(|d: usize| self.directors[d].process.as_ref().map(|process| process.number))
    }

    pub(super) fn hear(
        &mut self,
        d: usize,
        pools: &[u8],
        words: &[u8],
        rules: &mut Rules,
    ) -> Result<(), String> {
        let (now, director) = (self.now, &mut self.directors[d]);
        let wall = director.wall(now);
        let Some(process) = &mut director.process else { return Ok(()) };
        process.hears_pools(pools, wall, now);
        rules.knows_clock(d);
        if process.hears_words(words) {
            director.file.merge(&process.words);
        }
        self.turn(d, true, rules)
    }

    /// Tells the other director what is new.
    pub(super) fn tell(&mut self, d: usize) {
        let (Some((connection, _)), true) = (self.connection, self.link) else { return };
        let director = &self.directors[d];
        let Some(process) = director.process.as_ref().filter(|_| director.stopped.is_none()) else {
            return;
        };
        let news = process.tells();
        if self.last[d].as_ref() == Some(&news) {
            return;
        }
        if self.now < self.not_before[d] {
            return self.push(self.not_before[d], Event::Tell(d));
        }
        self.not_before[d] = self.now + EVERY;
        self.last[d] = Some(news.clone());
        self.push(self.now + WAY, Event::Message(1 - d, connection, news.0, news.1));
    }
}
