//! `converge key`: a fresh key for the link between directors.
//!
//! It goes to standard output and nowhere else: who makes the file decides who may read it.

use std::io::{self, Write};

use ring::rand::{SecureRandom, SystemRandom};

use super::Exit;
use super::load::error_line;
use crate::vrrp::key::{KEY_BYTES, Key};

/// What `converge key --help` ends with.
pub const KEY_HELP: &str = "\
The key lets directors believe each other: over a connection of their own they learn at once that
one of them has died, and are told where their files differ. Without a key they speak VRRP only.

It goes into /etc/converge/cluster.key, mode 0600, the same on every director and on no other host:
  umask 077; converge key > /etc/converge/cluster.key
  scp -p /etc/converge/cluster.key root@OTHER-DIRECTOR:/etc/converge/cluster.key
  systemctl reload converge              on each of them";

/// Prints a fresh key.
pub fn run() -> Exit {
    let key = match fresh() {
        Ok(key) => key,
        Err(error) => {
            error_line(&error.to_string(), None);
            return Exit::Failed;
        }
    };
    // Unlike a report that nobody reads, a key that is not written is missed.
    let mut out = io::stdout().lock();
    match writeln!(out, "{key}").and_then(|()| out.flush()) {
        Ok(()) => Exit::Done,
        Err(error) => {
            error_line(&format!("cannot write the key: {error}"), None);
            Exit::Failed
        }
    }
}

/// The text of a fresh key.
pub fn fresh() -> io::Result<String> {
    let mut bytes = [0; KEY_BYTES];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| io::Error::other("the kernel has no random numbers (getrandom)"))?;
    Ok(Key::text(&bytes))
}
