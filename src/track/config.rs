//! What is tracked and what follows from it: plain data, as the role file says.
//!
//! A track is good or bad. With a weight of 0 a bad one is a fault: the router cannot be Active.
//! With another weight it moves the priority, as keepalived does it: a positive weight is added
//! while the track is good, a negative one while it is bad. How it is found out is not known here.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

/// The largest weight: priorities are 1 to 254, so more could move nothing further.
pub const MOST_WEIGHT: i16 = 253;

/// One thing to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackConfig {
    /// Its name, for messages.
    pub name: String,
    /// What is watched.
    pub what: Watch,
    /// How often it is looked at; what tells by itself is not asked.
    pub every: Duration,
    /// How long a look may take; one that takes longer has failed. Not zero.
    pub timeout: Duration,
    /// As many good looks in a row make a bad track good.
    pub rise: NonZeroU8,
    /// As many bad looks in a row make a good track bad.
    pub fall: NonZeroU8,
    /// What it does to the priority, -253 to 253; 0: a bad track is a fault.
    pub weight: i16,
    /// Good and bad change places.
    pub reverse: bool,
    /// The routers that it matters to; none stands for all.
    pub routers: Vec<String>,
}

/// What is watched, and when it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// A network interface that is up and has a carrier.
    Interface(String),
    /// At least one process of this name.
    Process {
        /// The name, of at most 15 bytes, as the kernel keeps it (proc(5): comm).
        name: String,
        /// The name is the whole command line instead, its arguments parted by spaces.
        full_command: bool,
    },
    /// A systemd unit that is active.
    Unit(String),
    /// A file whose number is 0, or that is not there. Its number times the weight is added to the
    /// priority.
    File(PathBuf),
    /// A program that ends with status 0. One that cannot be run has failed.
    Script {
        /// The program and its arguments; no shell is involved.
        argv: Vec<String>,
        /// Who it runs as; without, as converge itself.
        user: Option<String>,
    },
    /// A TCP port that takes a connection.
    Tcp(SocketAddr),
    /// A page that answers with one of these statuses.
    Http {
        /// `http://…` or `https://…`.
        url: String,
        /// The statuses that are good.
        status: Statuses,
    },
}

/// HTTP statuses: ranges, each with its first and its last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Statuses(pub Vec<(u16, u16)>);

impl Statuses {
    /// Whether this status is among them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

impl Default for Statuses {
    /// 200 to 399, as HAProxy has it.
    fn default() -> Self {
        Statuses(vec![(200, 399)])
    }
}

impl TrackConfig {
    /// Whether it matters to this router.
    pub fn concerns(&self, router: &str) -> bool {
        self.routers.is_empty() || self.routers.iter().any(|name| name == router)
    }

    /// Whether a bad track keeps the router from being Active.
    pub fn is_fault(&self) -> bool {
        self.weight == 0
    }

    /// What it adds to the priority while it is good, or bad.
    pub fn adjust(&self, good: bool) -> i16 {
        match good != self.reverse {
            true => self.weight.max(0),
            false => self.weight.min(0),
        }
    }

    /// What a file's number adds to the priority.
    pub fn adjust_by(&self, number: i64) -> i16 {
        let weight = i64::from(if self.reverse { -self.weight } else { self.weight });
        let most = i64::from(MOST_WEIGHT);
        let sum = number.saturating_mul(weight).clamp(-most, most);
        i16::try_from(sum).expect("253 fits")
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Watch::Interface(name) => write!(f, "interface {name}"),
            Watch::Process { name, full_command: false } => write!(f, "process {name}"),
            Watch::Process { name, full_command: true } => write!(f, "process \"{name}\""),
            Watch::Unit(name) => write!(f, "unit {name}"),
            Watch::File(path) => write!(f, "file {}", path.display()),
            Watch::Script { argv, .. } => write!(f, "script {}", argv.join(" ")),
            Watch::Tcp(at) => write!(f, "tcp {at}"),
            Watch::Http { url, .. } => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(weight: i16, reverse: bool) -> TrackConfig {
        let once = NonZeroU8::MIN;
        TrackConfig {
            name: "t".into(),
            what: Watch::Unit("nginx.service".into()),
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise: once,
            fall: once,
            weight,
            reverse,
            routers: Vec::new(),
        }
    }

    #[test]
    fn a_weight_adds_while_good_or_takes_while_bad() {
        let cases = [(2, false, 2, 0), (-20, false, 0, -20), (2, true, 0, 2), (-20, true, -20, 0)];
        for (weight, reverse, good, bad) in cases {
            let track = track(weight, reverse);
            assert_eq!((track.adjust(true), track.adjust(false)), (good, bad), "{weight}");
        }
    }

    #[test]
    fn a_files_number_moves_the_priority_within_bounds() {
        assert_eq!(track(2, false).adjust_by(-10), -20);
        assert_eq!(track(2, true).adjust_by(-10), 20);
        assert_eq!(track(2, false).adjust_by(i64::MIN), -MOST_WEIGHT);
        assert_eq!(track(-2, false).adjust_by(i64::MIN), MOST_WEIGHT);
    }

    #[test]
    fn a_track_that_names_no_router_concerns_all() {
        assert!(track(0, false).concerns("web"));
        let named = TrackConfig { routers: vec!["db".into()], ..track(0, false) };
        assert!(named.concerns("db") && !named.concerns("web"));
    }
}
