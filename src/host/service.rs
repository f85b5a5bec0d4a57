//! The door to whoever started us: systemd, told by datagrams on `NOTIFY_SOCKET`.
//!
//! Without systemd every call does nothing. What cannot be told is logged once at DEBUG: the
//! service manager draws its own conclusions from silence.

use std::time::Duration;

use sd_notify::NotifyState;

/// Longest status line; systemd cuts longer ones.
const MOST_STATUS: usize = 200;

/// The service that this process is.
#[derive(Debug, Default)]
pub struct Service {
    status: String,
}

impl Service {
    /// It does what it is for.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// It reads its files again; [`Service::ready`] ends that.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// It ends, and that may take so long.
    pub fn stopping(&self, at_most: Duration) {
        let micros = u32::try_from(at_most.as_micros()).unwrap_or(u32::MAX);
        tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros)]);
    }

    /// It lives.
    pub fn alive(&self) {
        tell(&[NotifyState::Watchdog]);
    }

    /// A line for `systemctl status`.
    pub fn status(&mut self, line: &str) {
        let line: String = line.chars().take(MOST_STATUS).collect();
        if line != self.status {
            tell(&[NotifyState::Status(&line)]);
            self.status = line;
        }
    }

    /// How often [`Service::alive`] has to be called, if at all.
    pub fn watchdog(&self) -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
