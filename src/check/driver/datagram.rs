//! A question over UDP: one socket for each, connected, so that only the server can answer and its
//! refusal is heard.
//!
//! Each has a port of its own, so that what comes late is not taken for the answer to a later
//! question.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::tcp;
use crate::check::config::{CheckConfig, Datagram, Probe};
use crate::check::machine::Run;
use crate::check::outcome::{Failure, Outcome};
use crate::check::probe::datagram::{Question, judge, question, silence};

/// Datagrams that are looked at in a row. A server that floods us is heard again later.
const READS: usize = 16;

/// A question that waits for its answer.
pub(super) struct Asking {
    pub(super) run: Run,
    check: Arc<CheckConfig>,
    question: Question,
}

/// A socket towards the server.
pub(super) fn open(to: SocketAddr) -> Result<OwnedFd> {
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
    rustix::net::connect(&socket, &to)?;
    Ok(socket)
}

impl Asking {
    /// Asks.
    pub(super) fn begin(
        run: Run,
        check: &Arc<CheckConfig>,
        random: [u8; 16],
        socket: impl AsFd,
    ) -> std::result::Result<Asking, Outcome> {
        let Some(datagram) = datagram(check) else { return Err(expired(check)) };
        let question = question(datagram, &check.target, random).map_err(Outcome::Unmade)?;
        match tcp::write(socket, &question.send) {
            Ok(_) => Ok(Asking { run, check: Arc::clone(check), question }),
            Err(error) => Err(tcp::refusal(error)),
        }
    }

    /// Something came. `None`: not the answer.
    pub(super) fn handle_event(
        &mut self,
        socket: BorrowedFd<'_>,
        buffer: &mut [u8],
    ) -> Option<Outcome> {
        for _ in 0..READS {
            match tcp::read(socket, buffer) {
                Ok(length) => {
                    let reply = &buffer[..length.min(buffer.len())];
                    let outcome =
                        datagram(&self.check).and_then(|d| judge(d, &self.question, reply));
                    if outcome.is_some() {
                        return outcome;
                    }
                }
                Err(Errno::AGAIN) => return None,
                Err(Errno::INTR) => {}
                Err(Errno::CONNREFUSED) => {
                    return Some(Outcome::Bad(Failure::answered("port unreachable")));
                }
                Err(error) => return Some(Outcome::Bad(tcp::failure(error))),
            }
        }
        None
    }

    /// Its time is up.
    pub(super) fn expire(&self) -> Outcome {
        expired(&self.check)
    }
}

/// What it means that no answer came.
fn expired(check: &CheckConfig) -> Outcome {
    let unmade = || Outcome::Unmade("a datagram is no way to ask this".to_owned());
    datagram(check).map_or_else(unmade, silence)
}

fn datagram(check: &CheckConfig) -> Option<&Datagram> {
    match &*check.probe {
        Probe::Ask(datagram) => Some(datagram),
        Probe::Connect(_)
        | Probe::Speak { .. }
        | Probe::Ping
        | Probe::ThroughVip(_)
        | Probe::Script(_)
        | Probe::File(_) => None,
    }
}
