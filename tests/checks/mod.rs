//! Checks and the servers they ask: real ones of each kind, and bad ones of our own.
//!
//! The conversations know no sockets. Here a blocking loop drives one over a stream, as the engine
//! does with many.

mod asking;
mod databases;
mod directories;
mod http;
mod mail;
mod rogue;
pub(crate) mod server;
mod strangers;
mod transfer;
mod web;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use converge::check::probe::{Dialogue, Step};

/// How a conversation over one stream went.
#[derive(Debug)]
pub(crate) enum Talked {
    /// The conversation wants something else than bytes: it is over, TLS, or a new connection.
    Asks(Step),
    /// The stream's own time ran out, or it broke; and how far the conversation got.
    Broke(ErrorKind, String),
}

/// Drives a conversation until it wants something else than bytes. How long it waits for them is
/// the stream's read timeout.
pub(crate) fn talk(dialogue: &mut dyn Dialogue, stream: &mut TcpStream) -> Talked {
    let mut out = Vec::new();
    let mut step = dialogue.open(&mut out);
    let mut bytes = [0; 4096];
    loop {
        // What the server said before it stopped listening can still be read.
        stream.write_all(&out).ok();
        out.clear();
        if step != Step::More {
            return Talked::Asks(step);
        }
        step = match stream.read(&mut bytes) {
            Ok(0) => dialogue.end(),
            Ok(n) => dialogue.feed(&bytes[..n], &mut out),
            Err(error) => return Talked::Broke(error.kind(), dialogue.so_far()),
        };
    }
}
