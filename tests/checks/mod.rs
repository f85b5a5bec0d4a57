//! Checks and the servers they ask: real ones of each kind, and bad ones of our own.
//!
//! The conversations know no sockets. Here a blocking loop drives one over a stream, as the engine
//! does with many; what needs the engine's own sockets and TLS is asked by it ([`engine`]). Which
//! kind meets what stands with [`kinds`].

mod agents;
mod asking;
mod databases;
mod directories;
mod engine;
mod http;
/// Every kind over TCP meets a server that refuses, is silent, stops in the middle, drips, closes,
/// tears the connection down, talks of something else and never ends; every datagram one that is
/// refused, junk and silence: over IPv4 and IPv6. Beside that each meets a real server, told good
/// from bad, where Debian has one:
///
/// | kind       | real server                    | login | TLS | STARTTLS | IPv6 | frozen |
/// |------------|--------------------------------|-------|-----|----------|------|--------|
/// | `http`     | nginx, Apache (1.0, 1.1, 2)    |       | x   |          | x    | slow   |
/// | `smtp`     | Exim                           |       | x   | x        | x    | x      |
/// | `ftp`      | vsftpd                         | x     |     | x        | x    | x      |
/// | `imap`     | Dovecot                        | x     | x   | x        | x    |        |
/// | `pop3`     | Dovecot                        | x     | x   | x        | x    |        |
/// | `nntp`     | JamNNTPd                       | x     |     | refused  |      | x      |
/// | `redis`    | Redis                          | x     | x   |          | x    | x      |
/// | `mysql`    | MariaDB; MySQL as recorded     | x     |     | x        | x    | x      |
/// | `postgres` | PostgreSQL                     | x     |     | x        | x    |        |
/// | `ldap`     | slapd                          | x     | x   | x        | x    | x      |
/// | `dns`      | Unbound (UDP, TCP)             |       |     |          | x    | x      |
/// | `sip`      | Kamailio (UDP, TCP)            |       |     |          | x    | gone   |
/// | `radius`   | FreeRADIUS                     | x     |     |          | x    | x      |
/// | `expect`   | memcached, rsync               |       | x   |          | x    | x      |
/// | `udp`      | memcached                      |       |     |          | x    | x      |
/// | `agent`    | agents that HAProxy judges too |       |     |          |      |        |
/// | `script`   | plugins of Nagios              |       |     |          |      |        |
///
/// `tcp`, `ping`, `vip` and `file` have no server to speak of; they are tested with the engine, in
/// user-mode Linux and in the lab. With TLS the certificate is good, for another name, signed by a
/// stranger, and not looked at.
mod kinds;
mod mail;
mod news;
mod others;
mod plugins;
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
