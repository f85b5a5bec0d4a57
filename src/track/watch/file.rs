//! A file with a number in it.
//!
//! One that is not there, or is empty, stands for 0: so it is while somebody writes it anew. With
//! a weight the number is what counts, at once; without one, 0 is good and all else is bad.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::{Outcome, Source, bad, word, words};
use crate::host::blocking::Blocking;
use crate::host::directory::FileNews;

/// More than a number and the blanks around it need.
const LENGTH: u64 = 256;

pub(super) struct File {
    path: PathBuf,
    /// Whether the number is what counts.
    number: bool,
    news: Option<FileNews>,
    blocking: Blocking,
}

impl File {
    pub(super) fn new(path: PathBuf, number: bool) -> Self {
        File { path, number, news: None, blocking: Blocking::default() }
    }
}

impl Source for File {
    async fn look(&mut self) -> Outcome {
        if self.news.is_none() {
            // Listening comes first. Without a directory there is nothing to listen to, and the
            // beat looks again.
            self.news = FileNews::open(&self.path).ok();
        }
        let path = self.path.clone();
        match self.blocking.call(move || read(&path)).await {
            Some(Ok(number)) if self.number => Outcome::Number(number),
            Some(Ok(0)) => Outcome::Good,
            Some(Ok(number)) => bad(format!("its number is {number}")),
            Some(Err(words)) => bad(words),
            None => bad("the end is near"),
        }
    }

    async fn changed(&mut self) {
        word(&mut self.news).await;
    }

    fn tells(&self) -> bool {
        self.news.is_some()
    }
}

fn read(path: &Path) -> Result<i64, String> {
    // A pipe that nobody writes to would be waited for.
    let nonblocking = OFlag::O_NONBLOCK.bits();
    let file = match fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other.map_err(|error| words(&error))?,
    };
    let mut bytes = Vec::new();
    file.take(LENGTH).read_to_end(&mut bytes).map_err(|error| words(&error))?;
    let text = String::from_utf8_lossy(&bytes);
    match text.trim() {
        "" => Ok(0),
        text => text.parse().map_err(|_| {
            let start: String = text.chars().take(20).collect();
            format!("{start:?} is not a number")
        }),
    }
}
