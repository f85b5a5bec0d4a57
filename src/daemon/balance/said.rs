//! What operators said, as the resident converge has it: out of the file, from the other directors,
//! and into the file.
//!
//! What is known here holds, whether or not the disk takes it: the file is added to what is known
//! and never takes the place of it, and what it lacks is written into it, again and again if need
//! be. So neither a full disk nor a file that was lost brings a server back that is in maintenance.
//! A drain ends by the clock of the host where it was said; the others' clocks are known from what
//! they tell. Once it has begun nothing here waits for a disk: the file is read, written and
//! listened to on threads beside the loop, one of each. A disk that hangs then keeps the words of
//! this host from being heard, and neither VRRP nor checks, the table nor the others' words.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::clock::Moment;
use crate::control::wall;
use crate::control::words::{self, WordsWatch};
use crate::host::files::Files;
use crate::host::{FileError, chain};
use crate::pool::clocks::{Clocks, UNTOLD};
use crate::pool::words::{Words, WordsError};
use crate::vrrp::driver::{MOST_SAID, now};

/// What could not be written is tried again after so many beats of two seconds.
const AGAIN: u64 = 15;

/// What the file says, and what is wrong with it.
type Read = Result<(Words, Option<WordsError>), FileError>;

/// All of it.
pub struct Sayings {
    files: Files,
    words: Words,
    watch: WordsWatch,
    clocks: Clocks,
    /// Whether the file has all that is known, as far as it was tried.
    kept: Arc<AtomicBool>,
    /// What is to be written next. One thread at a time writes, for the disk may hang.
    next: Arc<Mutex<Next>>,
    /// The file is read, off the main thread as well.
    reading: Option<JoinHandle<Read>>,
    read: Option<Read>,
    is_damaged: bool,
    began: Moment,
}

#[derive(Default)]
struct Next {
    words: Option<Words>,
    is_writing: bool,
}

impl Sayings {
    /// Reads the file, and listens to it from now on.
    pub fn open(name: &str, files: &Files) -> Self {
        let mut sayings = Sayings {
            files: files.clone(),
            words: Words::default(),
            watch: WordsWatch::open(files),
            clocks: Clocks::new(name),
            kept: Arc::new(AtomicBool::new(true)),
            next: Arc::default(),
            reading: None,
            read: None,
            is_damaged: false,
            began: now(),
        };
        sayings.read();
        sayings
    }

    /// All that was said.
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// Waits until the file may have changed, and was read. May be dropped and called again.
    pub async fn changed(&mut self) {
        if self.reading.is_none() {
            self.watch.changed().await;
        }
        let files = &self.files;
        let reading = self.reading.get_or_insert_with(|| {
            let files = files.clone();
            spawn_blocking(move || words::salvage(&files))
        });
        // One that came to nothing is made good by whoever takes it in.
        self.read = reading.await.ok();
        self.reading = None;
    }

    /// Takes in the file, as it was read last or is now. What was said before goes on to hold if it
    /// cannot be read.
    pub fn read(&mut self) {
        let read = self.read.take().unwrap_or_else(|| words::salvage(&self.files));
        let (mut words, damaged) = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(error = chain(&error), "what was said cannot be read");
                return;
            }
        };
        if let Some(why) = damaged.as_ref().filter(|_| !self.is_damaged) {
            let known = words.len();
            tracing::error!(
                error = chain(why),
                known,
                "{} is damaged; what can be read of it holds",
                words::WORDS
            );
        }
        self.is_damaged = damaged.is_some();
        let before = words.clone();
        words.merge(&self.words);
        words.prune(wall());
        let differs = words != before;
        self.words = words;
        if differs || self.is_damaged {
            self.keep();
        }
    }

    /// Another director knows this. Returns whether it was news.
    pub fn heard(&mut self, peer: &str, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        let words = match Words::from_json(&text) {
            Ok(words) => words,
            Err(error) => {
                tracing::warn!(%error, "{peer} tells of its operator's word in other words");
                Words::salvage(&text).0
            }
        };
        let mut known = self.words.clone();
        known.merge(&words);
        known.prune(wall());
        if known == self.words {
            return false;
        }
        self.words = known;
        self.keep();
        true
    }

    /// It is this time on another director's wall clock.
    pub fn clock(&mut self, peer: &str, told: u64) {
        if let Some(seconds) = self.clocks.take(peer, told, wall(), now()) {
            tracing::warn!("{}", off(peer, seconds));
        }
    }

    /// Has drains end whose time is over. Returns whether there was one.
    pub fn expire(&mut self) -> bool {
        let (wall, now, clocks) = (wall(), now(), &self.clocks);
        let is_new = now.since(self.began) < UNTOLD;
        let is_any = self.words.expire(|by| clocks.there(by, wall, now, is_new));
        if is_any {
            self.keep();
        }
        is_any
    }

    /// How long it is until the next drain ends.
    pub fn next_end(&self) -> Option<Duration> {
        let (wall, now) = (wall(), now());
        let is_new = now.since(self.began) < UNTOLD;
        self.words.next_end(|by| self.clocks.there(by, wall, now, is_new))
    }

    /// What the other directors are to know.
    pub fn to_tell(&self, turn: u64) -> Vec<u8> {
        let mut words = self.words.clone();
        words.prune(wall());
        words.to_json_within(MOST_SAID, turn).into_bytes()
    }

    /// What could not be written is tried again.
    pub fn beat(&self, beats: u64) {
        if !self.kept.load(Ordering::Relaxed) && beats.is_multiple_of(AGAIN) {
            self.keep();
        }
    }

    /// Writes what is known into the file. Somebody may hold it for a while, and so may the disk;
    /// nobody waits.
    fn keep(&self) {
        let (files, kept, next) = (self.files.clone(), Arc::clone(&self.kept), self.next.clone());
        {
            let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
            next.words = Some(self.words.clone());
            if std::mem::replace(&mut next.is_writing, true) {
                return;
            }
        }
        spawn_blocking(move || {
            while let Some(words) = to_write(&next) {
                write(&files, &words, &kept);
            }
        });
    }
}

/// That another clock is so many seconds ahead of this one, or behind it.
fn off(peer: &str, seconds: i64) -> String {
    let side = if seconds < 0 { "behind" } else { "ahead of" };
    format!(
        "the clock of {peer} is {} s {side} this one's; each drain ends by the clock of the host \
         where it was said",
        seconds.unsigned_abs()
    )
}

/// What is to be written now. When there is nothing, whoever asked writes no more.
fn to_write(next: &Mutex<Next>) -> Option<Words> {
    let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
    next.is_writing = next.words.is_some();
    next.words.take()
}

fn write(files: &Files, words: &Words, kept: &AtomicBool) {
    let changed = words::change_here(files, |own| {
        own.merge(words);
    });
    match changed {
        Ok(changed) => {
            kept.store(true, Ordering::Relaxed);
            if let Some((_, aside)) = changed.damaged {
                tracing::warn!("the damaged file is {} now", aside.display());
            }
        }
        Err(error) if kept.swap(false, Ordering::Relaxed) => tracing::error!(
            error = chain(&error),
            "what was said holds, but cannot be kept for the time after a restart"
        ),
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::words::WORDS;
    use crate::host::scratch::Scratch;
    use crate::pool::words::{Said, Whom, Word};

    fn say(words: &mut Words, host: &str, said: Said) {
        words.say(Whom { host: host.into(), pool: None }, said);
    }

    fn drain(by: &str) -> Said {
        Said { word: Word::Drain, at: wall(), by: by.into(), until: None }
    }

    async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
        for _ in 0..500 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never {what}");
    }

    fn known(sayings: &Sayings) -> Vec<(String, Word)> {
        sayings.words().iter().map(|(host, _, said)| (host.to_owned(), said.word)).collect()
    }

    #[tokio::test]
    async fn what_is_heard_holds_at_once_and_is_written_when_the_disk_takes_it() {
        let scratch = Scratch::new();
        let host = scratch.host();
        // Something stands where the file should be.
        std::fs::create_dir_all(scratch.real(WORDS)).expect("it is ours");
        let mut sayings = Sayings::open("a", host.files());
        let mut told = Words::default();
        say(&mut told, "web1", drain("b"));
        assert!(sayings.heard("b", told.to_json().as_bytes()));
        assert!(!sayings.heard("b", told.to_json().as_bytes()), "it is no news any more");
        assert_eq!(known(&sayings), [("web1".to_owned(), Word::Drain)]);
        until("noticed", || !sayings.kept.load(Ordering::Relaxed)).await;
        sayings.read();
        assert_eq!(known(&sayings).len(), 1, "what cannot be read does not take its place");
        std::fs::remove_dir(scratch.real(WORDS)).expect("it is ours");
        sayings.beat(1);
        sayings.beat(AGAIN);
        let written = || scratch.read(WORDS).is_some_and(|text| text.contains("web1"));
        until("written", written).await;
    }

    #[test]
    fn a_clock_that_is_behind_is_not_called_ahead() {
        assert!(off("b", -500).starts_with("the clock of b is 500 s behind this one's; "));
        assert!(off("b", 90).starts_with("the clock of b is 90 s ahead of this one's; "));
    }

    #[tokio::test]
    async fn a_disk_that_hangs_holds_up_nobody_and_gets_all_of_it_in_the_end() {
        let scratch = Scratch::new();
        let host = scratch.host();
        let mut sayings = Sayings::open("a", host.files());
        // Whoever opens a pipe to read it hangs until somebody writes into it.
        let path = scratch.real(WORDS);
        let everybody = nix::sys::stat::Mode::S_IRWXU;
        nix::unistd::mkfifo(&path, everybody).expect("it is ours");
        let mut told = Words::default();
        for name in ["web1", "web2", "web3"] {
            say(&mut told, name, drain("b"));
            assert!(sayings.heard("b", told.to_json().as_bytes()));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(known(&sayings).len(), 3);
        let short = Duration::from_millis(100);
        let hears = tokio::time::timeout(short, sayings.changed()).await;
        assert!(hears.is_err(), "reading hangs, and this does not");
        // Both go on, and find nothing.
        let mut writes = std::fs::OpenOptions::new();
        let pipe = writes.read(true).write(true).open(&path).expect("somebody reads it");
        std::fs::remove_file(&path).expect("it is ours");
        drop(pipe);
        let written = || scratch.read(WORDS).is_some_and(|text| text.contains("web3"));
        until("written", written).await;
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, sayings.changed()).await.expect("it was read");
        sayings.read();
        assert_eq!(known(&sayings).len(), 3);
    }

    #[tokio::test]
    async fn a_file_that_is_lost_or_damaged_loses_no_word_and_is_written_anew() {
        let scratch = Scratch::new();
        let host = scratch.host();
        let mut words = Words::default();
        say(&mut words, "web1", drain("a"));
        say(&mut words, "web2", drain("a"));
        scratch.write(WORDS, &words.to_json());
        let mut sayings = Sayings::open("a", host.files());
        let whole = || {
            let text = scratch.read(WORDS).unwrap_or_default();
            Words::from_json(&text).is_ok_and(|words| words.len() == 2)
        };
        for damage in ["", "[{\"host\":\"web1\"", "[]"] {
            scratch.write(WORDS, damage);
            sayings.read();
            assert_eq!(known(&sayings).len(), 2, "{damage}");
            until("whole again", whole).await;
            std::fs::remove_file(scratch.real(WORDS)).expect("it is ours");
            sayings.read();
            assert_eq!(known(&sayings).len(), 2);
            until("whole again", whole).await;
        }
    }

    #[tokio::test]
    async fn a_drain_ends_by_the_clock_of_who_said_it_and_not_before_that_is_known() {
        let scratch = Scratch::new();
        let host = scratch.host();
        let mut words = Words::default();
        // Said on b an hour ago by our clock; ours is two hours ahead.
        let hour = 3_600_000;
        let said = Said { at: wall() - 2 * hour, until: Some(wall() - hour), ..drain("b") };
        say(&mut words, "web1", said);
        scratch.write(WORDS, &words.to_json());
        let mut sayings = Sayings::open("a", host.files());
        assert!(!sayings.expire());
        sayings.clock("b", wall() - 2 * hour);
        assert!(!sayings.expire());
        assert_eq!(known(&sayings), [("web1".to_owned(), Word::Drain)]);
        let left = sayings.next_end().expect("it has an end");
        assert!(left > Duration::from_secs(3500) && left <= Duration::from_secs(3601), "{left:?}");
        sayings.clock("b", wall() - hour);
        assert!(sayings.expire());
        assert_eq!(known(&sayings), [("web1".to_owned(), Word::Maintenance)]);
        let written = || scratch.read(WORDS).is_some_and(|text| text.contains("maintenance"));
        until("written", written).await;
    }
}
