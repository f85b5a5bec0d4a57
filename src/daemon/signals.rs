//! What a signal asks for.
//!
//! SIGTERM and SIGINT: stop. SIGHUP: read the files again. SIGUSR2: end, but only to be started
//! again at once, so leave the VIPs where they are.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To end.
    Stop,
    /// To end and come back.
    Restart,
    /// To read the files again.
    Reload,
}

/// The signals that are waited for.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user2: Signal,
}

impl Signals {
    /// From now on these signals are heard here, and end nothing by themselves.
    pub fn new() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next one. May be dropped and called again.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.user2.recv() => Asked::Restart,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}
