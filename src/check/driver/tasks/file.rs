//! A file with a number in it, which the operator or a program writes.
//!
//! One that is not there, or is empty, says nothing against the server: so it is while somebody
//! writes it anew. One that cannot be read, or holds something else, does.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::OFlag;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::check::config::{CheckConfig, File};
use crate::check::outcome::{Advice, Asked, Failure, Outcome};
use crate::host::blocking::Blocking;

/// More than a number and the blanks around it need.
const LENGTH: u64 = 256;

/// How much of something else is shown.
const SHOWN: usize = 20;

pub(super) async fn ask(
    file: &File,
    room: OwnedSemaphorePermit,
    check: &CheckConfig,
    blocking: &mut Blocking,
    limit: Duration,
) -> Outcome {
    let path = file.path.clone();
    let reading = move || {
        // One that hangs keeps its room although nobody waits for it any more.
        let _room = room;
        read(&path)
    };
    match timeout(limit, blocking.call(reading)).await {
        Ok(Some(Ok(text))) => judge(&text, file.dynamic),
        Ok(Some(Err(error))) if super::is_ours(&error) => Outcome::Unmade(error.to_string()),
        Ok(Some(Err(error))) => bad(format!("{}: {error}", file.path.display())),
        Ok(None) => Outcome::Unmade("the end is near".to_owned()),
        Err(_) => Outcome::Bad(super::late(check)),
    }
}

fn judge(text: &str, dynamic: bool) -> Outcome {
    let weighed = |weight| Outcome::Good(Advice { weight, ..Advice::default() });
    let number = text.parse::<i64>();
    match (text, number, dynamic) {
        ("", _, _) | (_, Ok(0), false) => weighed(None),
        (_, Ok(number), false) => bad(format!("its number is {number}")),
        (_, Ok(number), true) => match u32::try_from(number) {
            Ok(weight) => weighed(Some(Asked::Weight(weight))),
            Err(_) => bad(format!("{number} is no weight")),
        },
        (_, Err(_), _) => {
            let start: String = text.chars().take(SHOWN).collect();
            bad(format!("{start:?} is not a number"))
        }
    }
}

/// What a file says is said on purpose, whatever the way to the server is like.
fn bad(what: String) -> Outcome {
    Outcome::Bad(Failure::answered(what))
}

/// What it holds, without the blanks around it; nothing if it is not there.
fn read(path: &Path) -> io::Result<String> {
    // A pipe that nobody writes to would be waited for.
    let nonblocking = OFlag::O_NONBLOCK.bits();
    let file = match fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        other => other?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LENGTH).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
