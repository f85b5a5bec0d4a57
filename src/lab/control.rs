//! What the lab's daemon can be asked, and what it answers: one line of JSON each. Pure.
//!
//! After the answer to [`Request::Open`] the connection carries [`frame`](super::frame)s, in both
//! directions, until the command has ended.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::frame::Start;
use super::switch::{Damage, Direction, Impairment};

/// The longest request: a command line of the kernel's maximum and its JSON escapes.
pub const MAX_LINE: usize = 1024 * 1024;

/// What the daemon can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// How is everybody?
    Status,
    /// Answer when the host has booted.
    Await {
        /// Which.
        host: String,
        /// Give up after this long.
        patience: Duration,
    },
    /// Run a command on the host.
    Open {
        /// Where.
        host: String,
        /// What.
        start: Start,
    },
    /// Pull the plug.
    Kill {
        /// Whose.
        host: String,
    },
    /// Power on.
    Boot {
        /// Whom.
        host: String,
    },
    /// Let no instruction of the host run.
    Stop {
        /// Whose.
        host: String,
    },
    /// Let it run on.
    Resume {
        /// Whom.
        host: String,
    },
    /// Change what the host's link does to frames.
    Damage {
        /// Whose.
        host: String,
        /// Which way.
        direction: Direction,
        /// How.
        damage: Damage,
    },
    /// Write frames to a pcap file from now on.
    Capture {
        /// Only what this host sends and receives; everything that is sent if `None`.
        host: Option<String>,
        /// Where to.
        path: PathBuf,
    },
    /// Kill all machines and end.
    Down,
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It is so.
    Done,
    /// The answer to [`Request::Status`].
    Status(Vec<HostStatus>),
    /// It is not so.
    Refused(Refusal),
}

/// One machine, as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Its role in the cluster file.
    pub role: String,
    /// Its address.
    pub address: ipnet::IpNet,
    /// How far it is.
    pub life: Life,
    /// Stopped, and not yet resumed.
    pub stopped: bool,
    /// How long its last boot took.
    pub boot: Option<Duration>,
    /// How often it was powered on.
    pub boots: u32,
    /// What its link does to what it sends.
    pub outward: Impairment,
    /// What its link does to what it would receive.
    pub inward: Impairment,
}

/// How far a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// Without power.
    Down,
    /// Powered on.
    Booting,
    /// Its agent answers, its boot is not complete.
    Reachable,
    /// Booted.
    Ready,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// No machine of this name.
    #[error("no host `{host}` in this lab; there are {}", .hosts.join(", "))]
    NoSuchHost {
        /// Asked for.
        host: String,
        /// Those there are.
        hosts: Vec<String>,
    },
    /// The machine is without power, or not far enough to listen.
    #[error("`{host}` is not up: `converge lab boot {host}` powers it on")]
    NotUp {
        /// Which.
        host: String,
    },
    /// The machine has power already.
    #[error("`{host}` is running already: `converge lab kill {host}` pulls its plug")]
    Running {
        /// Which.
        host: String,
    },
    /// The machine has lost power while something was awaited of it.
    #[error("`{host}` went down")]
    WentDown {
        /// Which.
        host: String,
    },
    /// It took too long.
    #[error("`{host}` did not boot within {} s", .patience.as_secs())]
    NotInTime {
        /// Which.
        host: String,
        /// How long was waited.
        patience: Duration,
    },
    /// The operating system did not let us.
    #[error("cannot {what}: {reason}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        reason: String,
    },
    /// Another version of converge asks.
    #[error("the lab's daemon does not understand the request: {reason}")]
    NotUnderstood {
        /// What is wrong with it.
        reason: String,
    },
}

/// A message as its line.
pub fn to_line(message: &impl Serialize) -> String {
    let mut line = serde_json::to_string(message).expect("our messages have a JSON form");
    line.push('\n');
    line
}

/// A request from its line.
pub fn parse_request(line: &str) -> Result<Request, Refusal> {
    serde_json::from_str(line).map_err(|error| Refusal::NotUnderstood { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_survives_its_line() {
        let requests = [
            Request::Status,
            Request::Await { host: "web1".into(), patience: Duration::from_millis(1500) },
            Request::Damage {
                host: "web1".into(),
                direction: Direction::Out,
                damage: Damage::Loss(0.25),
            },
            Request::Capture { host: None, path: "/tmp/x.pcap".into() },
        ];
        for request in requests {
            let line = to_line(&request);
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(parse_request(&line), Ok(request));
        }
    }

    proptest! {
        #[test]
        fn an_arbitrary_line_is_refused_or_understood(line in "\\PC*") {
            parse_request(&line).ok();
        }

        #[test]
        fn a_damaged_request_does_not_panic(at in 0usize..60, byte in any::<u8>()) {
            let request = Request::Kill { host: "web1".into() };
            let mut bytes = to_line(&request).into_bytes();
            let place = at % bytes.len();
            bytes[place] = byte;
            parse_request(&String::from_utf8_lossy(&bytes)).ok();
        }
    }
}
