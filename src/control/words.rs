//! The file of what operators said: read, changed under a lock, listened to.
//!
//! Whoever changes it reads it first, under a lock that is waited for but not for ever, and puts a
//! whole file in its place. One that is damaged is never overwritten: it is set aside under another
//! name, what can be read of it goes on to hold, and whoever did so is told. Nothing but the file
//! is kept here; what words mean is in [`crate::pool::words`]. Once it has begun, whoever listens
//! waits for no disk on its own thread.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::wall;
use crate::host::directory::FileNews;
use crate::host::files::Files;
use crate::host::{FileError, chain};
use crate::pool::words::{Words, WordsError};

/// The file.
pub const WORDS: &str = "/var/lib/converge/words.json";
/// Held while it is changed. Beside it, for a lock on a file that is replaced is on the old one.
const LOCK: &str = "/var/lib/converge/words.lock";

/// A change takes milliseconds; whoever holds the lock for so long is stuck.
const LOCK_LIMIT: Duration = Duration::from_secs(3);
const LOCK_PAUSE: Duration = Duration::from_millis(5);
/// So often somebody who listens looks without having heard anything: word may be lost where the
/// directory is on another host's disk.
const LOOK: Duration = Duration::from_secs(60);
/// How soon a directory that went away is listened to again.
const AGAIN: Duration = Duration::from_secs(1);

/// Why the words are not known, or could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum WordsFileError {
    /// The disk's fault.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not what converge writes there.
    #[error("{WORDS} is damaged")]
    Damaged(#[source] WordsError),
    /// Somebody else changes it, and does not come to an end.
    #[error("another process holds {LOCK} for more than {LOCK_LIMIT:?}")]
    Busy,
}

/// How a change ended.
#[derive(Debug)]
pub struct Changed {
    /// All words now.
    pub words: Words,
    /// The file that stood there before could not be read: why, and where it is now.
    pub damaged: Option<(WordsError, PathBuf)>,
}

/// Reads all words; none if nothing was ever said.
pub fn read(files: &Files) -> Result<Words, WordsFileError> {
    match files.read_text(WORDS)? {
        None => Ok(Words::default()),
        Some(text) => Words::from_json(&text).map_err(WordsFileError::Damaged),
    }
}

/// Reads what can be read, and says what is wrong with the rest.
pub fn salvage(files: &Files) -> Result<(Words, Option<WordsError>), FileError> {
    let Some(text) = files.read_text(WORDS)? else {
        return Ok((Words::default(), None));
    };
    Ok(match Words::from_json(&text) {
        Ok(words) => (words, None),
        Err(why) => (Words::salvage(&text).0, Some(why)),
    })
}

/// Changes what was said. A file that is damaged is set aside first; what can be read of it holds.
pub async fn change(
    files: &Files,
    edit: impl FnOnce(&mut Words),
) -> Result<Changed, WordsFileError> {
    let _lock = lock(files).await?;
    amend(files, edit)
}

/// The same for a thread that may be held up: by whoever holds the lock, and by the disk.
pub fn change_here(
    files: &Files,
    edit: impl FnOnce(&mut Words),
) -> Result<Changed, WordsFileError> {
    let end = std::time::Instant::now() + LOCK_LIMIT;
    let _lock = loop {
        match files.lock(LOCK)? {
            Some(lock) => break lock,
            None if std::time::Instant::now() < end => std::thread::sleep(LOCK_PAUSE),
            None => return Err(WordsFileError::Busy),
        }
    };
    amend(files, edit)
}

/// Whoever calls this holds the lock.
fn amend(files: &Files, edit: impl FnOnce(&mut Words)) -> Result<Changed, WordsFileError> {
    let (before, wrong) = salvage(files)?;
    let is_damaged = wrong.is_some();
    let mut damaged = None;
    if let Some(why) = wrong {
        // It keeps its place until a whole one takes it.
        let aside = PathBuf::from(format!("{WORDS}.damaged-{}", wall()));
        files.link(WORDS, &aside)?;
        damaged = Some((why, aside));
    }
    let mut words = before.clone();
    edit(&mut words);
    words.prune(wall());
    if is_damaged || words != before {
        let replaced = files.replace(WORDS, words.to_json().as_bytes(), Some(0o644), None);
        if let (Err(_), Some((_, aside))) = (&replaced, &damaged) {
            // There is one still, and it is tried again.
            files.remove(aside)?;
        }
        replaced?;
    }
    Ok(Changed { words, damaged })
}

async fn lock(files: &Files) -> Result<File, WordsFileError> {
    let end = Instant::now() + LOCK_LIMIT;
    loop {
        match files.lock(LOCK)? {
            Some(lock) => return Ok(lock),
            None if Instant::now() < end => sleep(LOCK_PAUSE).await,
            None => return Err(WordsFileError::Busy),
        }
    }
}

/// Hears when somebody says something.
#[derive(Debug)]
pub struct WordsWatch {
    path: PathBuf,
    news: Option<FileNews>,
    /// It is listened to anew, beside whatever else runs: the disk may hang.
    opening: Option<JoinHandle<io::Result<FileNews>>>,
    /// When to look unasked, or to listen again; kept over waits that were given up.
    due: Instant,
}

impl WordsWatch {
    /// Listens from now on. The directory is made if it is not there; if it cannot be, or cannot be
    /// listened to, that is said, and it is looked at all the time: real servers are checked
    /// whatever the disk is like.
    pub fn open(files: &Files) -> Self {
        let path = files.real(WORDS);
        let wrap = |source| FileError { doing: "listen to", path: WORDS.into(), source };
        let made = files.make_parents(WORDS);
        let news = match made.and_then(|()| FileNews::open(&path).map_err(wrap)) {
            Ok(news) => Some(news),
            Err(error) => {
                tracing::error!(error = chain(&error), "what is said is heard a second late");
                None
            }
        };
        let due = Instant::now() + if news.is_some() { LOOK } else { AGAIN };
        WordsWatch { path, news, opening: None, due }
    }

    /// Waits until the words may have changed. May be dropped and called again.
    pub async fn changed(&mut self) {
        if self.opening.is_none() && self.is_told().await {
            return;
        }
        let path = &self.path;
        let opening = self.opening.get_or_insert_with(|| {
            let path = path.clone();
            spawn_blocking(move || FileNews::open(&path))
        });
        // Where that fails it is tried again.
        self.news = opening.await.ok().and_then(Result::ok);
        self.opening = None;
        self.due = Instant::now() + if self.news.is_some() { LOOK } else { AGAIN };
    }

    /// Waits for word. `false`: it is time to listen anew, for the directory may have been made
    /// anew, and then nothing would be heard any more.
    async fn is_told(&mut self) -> bool {
        let Some(news) = &mut self.news else {
            sleep_until(self.due).await;
            return false;
        };
        match timeout_at(self.due, news.changed()).await {
            Ok(true) => true,
            Ok(false) => {
                self.news = None;
                self.due = Instant::now() + AGAIN;
                true
            }
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::host::scratch::{Hanging, Scratch};
    use crate::pool::words::{Said, Whom, Word};

    fn said(word: Word) -> Said {
        Said { word, at: wall(), by: "dr1".into(), until: None }
    }

    fn whom(host: &str) -> Whom {
        Whom { host: host.into(), pool: None }
    }

    async fn drain(files: &Files, host: &str) -> Changed {
        let changed = change(files, |words| words.say(whom(host), said(Word::Drain))).await;
        changed.expect("it can be changed")
    }

    #[tokio::test]
    async fn what_is_said_is_there_for_the_next_one_and_nothing_is_written_in_vain() {
        let scratch = Scratch::new();
        let host = scratch.host();
        assert!(read(host.files()).expect("nothing is no fault").is_empty());
        drain(host.files(), "web1").await;
        drain(host.files(), "web2").await;
        let words = read(host.files()).expect("it can be read");
        assert_eq!(words.len(), 2);
        let inode = || {
            use std::os::unix::fs::MetadataExt;
            std::fs::metadata(scratch.real(WORDS)).expect("it is there").ino()
        };
        let before = inode();
        change(host.files(), |_| {}).await.expect("it can be changed");
        assert_eq!(inode(), before, "it was written again");
    }

    #[tokio::test]
    async fn a_damaged_file_is_set_aside_whole_and_its_place_is_told() {
        let scratch = Scratch::new();
        let host = scratch.host();
        scratch.write(WORDS, "[{\"host\":");
        let error = read(host.files()).expect_err("it is damaged");
        assert_eq!(error.to_string(), format!("{WORDS} is damaged"));
        let changed = drain(host.files(), "web1").await;
        let (_, aside) = changed.damaged.expect("it says so");
        assert_eq!(scratch.read(&aside.display().to_string()).as_deref(), Some("[{\"host\":"));
        assert_eq!(read(host.files()).expect("it is whole"), changed.words);
        assert!(drain(host.files(), "web2").await.damaged.is_none());
    }

    #[tokio::test]
    async fn what_can_be_read_of_a_damaged_file_goes_on_to_hold() {
        let scratch = Scratch::new();
        let host = scratch.host();
        drain(host.files(), "web1").await;
        let whole = drain(host.files(), "web2").await.words.to_json();
        // As after a power cut on a disk that does not keep its word.
        scratch.write(WORDS, &whole[..whole.len() - 30]);
        let (words, why) = salvage(host.files()).expect("it can be read");
        assert!(why.is_some() && words.len() == 1, "{words:?}");
        let changed = change(host.files(), |_| {}).await.expect("it can be changed");
        assert!(changed.damaged.is_some());
        let words = read(host.files()).expect("it is whole again");
        assert!(words.of("web1", "any", 0).is_some() && words.len() == 1);
    }

    #[tokio::test]
    async fn a_damaged_file_that_cannot_be_replaced_stays_where_it_is() {
        let scratch = Scratch::new();
        let host = scratch.host();
        let whole = drain(host.files(), "web1").await.words.to_json();
        scratch.write(WORDS, &format!("{whole}?"));
        // Something stands where the new one is written before it takes its place.
        let directory = scratch.real("/var/lib/converge");
        let names = || std::fs::read_dir(&directory).expect("it is there").count();
        let before = names();
        let in_the_way = "/var/lib/converge/.words.json.converge-new";
        std::fs::create_dir(scratch.real(in_the_way)).expect("it is ours");
        for _ in 0..2 {
            let failed = change(host.files(), |_| {}).await;
            assert!(matches!(failed, Err(WordsFileError::File(_))), "{failed:?}");
            let (words, why) = salvage(host.files()).expect("it can be read");
            assert!(why.is_some() && words.of("web1", "any", 0).is_some());
            assert_eq!(names(), before + 1, "nothing is left over");
        }
        std::fs::remove_dir(scratch.real(in_the_way)).expect("it is ours");
        let changed = change(host.files(), |_| {}).await.expect("it can be changed");
        assert!(changed.damaged.is_some());
        assert_eq!(read(host.files()).expect("it is whole"), changed.words);
    }

    #[tokio::test]
    async fn who_cannot_listen_looks() {
        let scratch = Scratch::new();
        let host = scratch.host();
        // Something stands where the directory should be.
        scratch.write("/var/lib/converge", "");
        let mut watch = WordsWatch::open(host.files());
        timeout(Duration::from_secs(5), watch.changed()).await.expect("it looks all the time");
        std::fs::remove_file(scratch.real("/var/lib/converge")).expect("it is ours");
        drain(host.files(), "web1").await;
        timeout(Duration::from_secs(5), watch.changed()).await.expect("it is seen");
    }

    #[tokio::test]
    async fn a_disk_that_hangs_is_listened_to_anew_beside_whatever_else_runs() {
        let scratch = Scratch::new();
        let host = scratch.host();
        let mut watch = WordsWatch::open(host.files());
        let Some(disk) = Hanging::over(scratch.real("/var/lib")) else { return };
        watch.due = Instant::now();
        let short = Duration::from_millis(50);
        assert!(timeout(short, watch.changed()).await.is_err(), "it hangs, and this does not");
        drop(disk);
        timeout(Duration::from_secs(20), watch.changed()).await.expect("it goes on");
    }

    #[tokio::test]
    async fn changes_at_the_same_time_are_all_kept() {
        let scratch = Scratch::new();
        let host = scratch.host();
        let names: Vec<String> = (0..20).map(|n| format!("web{n}")).collect();
        let all = names.iter().map(|name| drain(host.files(), name));
        futures_util::future::join_all(all).await;
        assert_eq!(read(host.files()).expect("it is whole").len(), 20);
    }

    #[tokio::test]
    async fn a_lock_that_is_never_given_back_is_not_waited_for_longer() {
        let scratch = Scratch::new();
        let host = scratch.host();
        let _held = host.files().lock(LOCK).expect("it can be locked").expect("it is free");
        let stuck = change(host.files(), |_| {}).await;
        assert!(matches!(stuck, Err(WordsFileError::Busy)), "{stuck:?}");
    }

    #[tokio::test]
    async fn who_listens_hears_of_each_change_and_of_none_when_there_is_none() {
        let scratch = Scratch::new();
        let host = scratch.host();
        let mut watch = WordsWatch::open(host.files());
        let short = Duration::from_millis(50);
        assert!(timeout(short, watch.changed()).await.is_err(), "nothing has changed");
        for name in ["web1", "web2"] {
            drain(host.files(), name).await;
            timeout(Duration::from_secs(5), watch.changed()).await.expect("it has changed");
        }
        // A directory that is made anew is found again.
        std::fs::remove_dir_all(scratch.real("/var/lib/converge")).expect("it is ours");
        timeout(Duration::from_secs(5), watch.changed()).await.expect("it is gone");
        drain(host.files(), "web3").await;
        timeout(Duration::from_secs(5), watch.changed()).await.expect("it is looked for");
        drain(host.files(), "web4").await;
        timeout(Duration::from_secs(5), watch.changed()).await.expect("it is heard again");
    }
}
