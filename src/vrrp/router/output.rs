//! What a virtual router wants done or known.
//!
//! Outputs come in the order in which they are to be carried out. Whether the VIPs belong on this
//! host is not among them: that is a level, [`holds`](super::Router::holds), and is followed after
//! every input.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::notice::Notice;
use crate::vrrp::packet::Advert;

/// The states of RFC 9568 6.3, and Fault, in which a router is while it must not be Active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Not yet or no longer taking part.
    Initialize,
    /// Watches the Active one.
    Backup,
    /// Holds the VIPs.
    Active,
    /// Cannot hold them.
    Fault,
}

impl State {
    /// What keepalived and RFC 5798 call it.
    pub fn alias(self) -> &'static str {
        match self {
            State::Initialize => "INIT",
            State::Backup => "BACKUP",
            State::Active => "MASTER",
            State::Fault => "FAULT",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Initialize => "Initialize",
            State::Backup => "Backup",
            State::Active => "Active",
            State::Fault => "Fault",
        })
    }
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To the group or to every peer, as the configuration says.
    Send(Advert),
    /// One gratuitous ARP or unsolicited NA for each VIP, now. The VIPs must be there by then.
    Announce,
    /// The state is another.
    Changed {
        /// The state before.
        from: State,
        /// The state now.
        to: State,
        /// The cause.
        why: Why,
    },
    /// To be logged; comes once per episode.
    Noticed(Notice),
    /// After a release: the VIPs may go, and so may the process.
    Done,
}

impl Output {
    /// Whether it is still to be carried out when the router is no longer Active. Several inputs
    /// may come before the outputs are drained, and a Backup must not say that it is Active.
    pub(crate) fn outlives_active(&self) -> bool {
        match self {
            Output::Send(advert) => advert.priority == 0,
            Output::Announce => false,
            Output::Changed { .. } | Output::Noticed(_) | Output::Done => true,
        }
    }
}

/// Why a state changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The start, with its delay.
    Started,
    /// The process before this one was Active and was replaced as planned.
    Resumed,
    /// This host owns the addresses (priority 255).
    Owner,
    /// Every other director is known not to be Active, and this one ranks first.
    FirstOfAll,
    /// No advertisement for this long.
    Silence {
        /// Active_Down_Interval, or what was left of it.
        after: Duration,
    },
    /// The Active one resigned.
    Resigned {
        /// Its address.
        by: IpAddr,
    },
    /// The Active one's process has ended.
    Gone {
        /// Its address.
        peer: IpAddr,
    },
    /// One of lower priority was Active for as long as the configuration lets it.
    Preempted {
        /// Its address.
        from: IpAddr,
    },
    /// Another Active one ranks higher.
    Yielded {
        /// Its address.
        to: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// Another Active one ranks higher and says so itself, for its advertisements do not come.
    Unheard {
        /// Its address.
        to: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// Tracking found faults.
    Faults(BTreeSet<String>),
    /// The faults are gone.
    Recovered,
    /// This process was not run for so long that another may have taken over.
    Stalled {
        /// How late the timer was.
        by: Duration,
    },
    /// Nobody had taken over in the meantime.
    StillFirst,
    /// Another router of the sync group went first.
    Group {
        /// Its name.
        member: String,
    },
    /// The service stops.
    Released,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Started => f.write_str("started"),
            Why::Resumed => f.write_str("was Active before the planned restart"),
            Why::Owner => f.write_str("this host owns the addresses (priority 255)"),
            Why::FirstOfAll => f.write_str("no other director is Active, and this one ranks first"),
            Why::Silence { after } => write!(f, "heard nobody for {}", rounded(*after)),
            Why::Resigned { by } => write!(f, "{by} resigned"),
            Why::Gone { peer } => write!(f, "the process on {peer} has ended"),
            Why::Preempted { from } => write!(f, "{from} is of lower priority, and its time is up"),
            Why::Yielded { to, priority } => {
                write!(f, "{to} is Active and ranks higher (priority {priority})")
            }
            Why::Unheard { to, priority } => write!(
                f,
                "{to} is Active and ranks higher (priority {priority}), and its advertisements \
                 are not heard: protocol 112 seems blocked"
            ),
            Why::Faults(faults) => {
                let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
                f.write_str(&faults.join("; "))
            }
            Why::Recovered => f.write_str("no fault is left"),
            Why::Stalled { by } => {
                let by = rounded(*by);
                write!(f, "this process was not run for {by}, and others may have taken over")
            }
            Why::StillFirst => f.write_str("nobody had taken over"),
            Why::Group { member } => write!(f, "follows {member} of its sync group"),
            Why::Released => f.write_str("the service stops, or the files have it no more"),
        }
    }
}

/// A span as a person reads it: to the millisecond.
pub(super) fn rounded(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    format!("{:?}", Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_to_the_millisecond() {
        let after = Duration::from_micros(3_609_375);
        assert_eq!(Why::Silence { after }.to_string(), "heard nobody for 3.609s");
        let by = Duration::from_nanos(36_093_750);
        let said = Why::Stalled { by }.to_string();
        assert!(said.starts_with("this process was not run for 36ms,"), "{said}");
    }
}
