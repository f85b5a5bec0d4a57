//! What it means that the kernel refused a command.
//!
//! The kernel answers with an errno and no words. What each means depends on the command, and is
//! taken from `net/netfilter/ipvs/ip_vs_ctl.c`.

use std::fmt;

use nix::errno::Errno;

use super::model::Forward;
use super::wire::Command;

/// A command that the kernel did not carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was to be done.
    pub command: Command,
    /// The kernel's reason.
    pub errno: Errno,
}

/// What an errno means whatever the command is.
const MEANINGS: &[(Errno, &str)] = &[
    (Errno::EPERM, "this needs CAP_NET_ADMIN, run it as root"),
    (Errno::EEXIST, "it is there already"),
    (Errno::ERANGE, "a weight or threshold is out of range"),
    (Errno::EAFNOSUPPORT, "this kernel balances no IPv6 (CONFIG_IP_VS_IPV6)"),
    (Errno::ENODEV, "there is no such interface in this network namespace"),
    (Errno::ENOMEM, "the kernel has no memory left for it"),
];

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {} ({})", self.command, self.meaning(), self.errno)
    }
}

impl Refusal {
    /// Whether what was to be removed is not there, which is as good as having removed it.
    pub fn gone_already(&self) -> bool {
        match self.command {
            Command::DelServer(_) => self.errno == Errno::ESRCH,
            Command::DelDestination(..) => matches!(self.errno, Errno::ESRCH | Errno::ENOENT),
            Command::DelDaemon(_) => self.errno == Errno::ESRCH,
            Command::NewServer(..)
            | Command::SetServer(..)
            | Command::NewDestination(..)
            | Command::SetDestination(..)
            | Command::NewDaemon(_)
            | Command::SetTimeouts(_)
            | Command::Zero(_)
            | Command::Flush => false,
        }
    }

    /// In words, what the errno means for this command.
    fn meaning(&self) -> String {
        let by_command = [
            (Errno::ESRCH, Self::not_found as fn(&Self) -> String),
            (Errno::ENOENT, Self::no_entry),
            (Errno::EINVAL, Self::invalid),
        ];
        if let Some((_, meaning)) = by_command.iter().find(|(errno, _)| *errno == self.errno) {
            return meaning(self);
        }
        let known = MEANINGS.iter().find(|(errno, _)| *errno == self.errno);
        known.map_or("the kernel refused it", |(_, meaning)| meaning).to_owned()
    }

    fn not_found(&self) -> String {
        match self.command {
            Command::DelDaemon(_) => "no such daemon runs".to_owned(),
            Command::NewServer(..)
            | Command::SetServer(..)
            | Command::DelServer(_)
            | Command::NewDestination(..)
            | Command::SetDestination(..)
            | Command::DelDestination(..)
            | Command::NewDaemon(_)
            | Command::SetTimeouts(_)
            | Command::Zero(_)
            | Command::Flush => "the kernel has no such virtual server".to_owned(),
        }
    }

    fn no_entry(&self) -> String {
        match &self.command {
            Command::NewServer(_, settings) | Command::SetServer(_, settings) => {
                let scheduler = settings.scheduler.name;
                let engine = settings.persistence.and_then(|p| p.engine);
                let engine = engine
                    .map(|e| format!(", or no persistence engine {e} (module ip_vs_pe_{e})"))
                    .unwrap_or_default();
                format!(
                    "the kernel has no scheduler {scheduler} (module ip_vs_{scheduler}, in the \
                     package of the kernel's modules){engine}"
                )
            }
            Command::SetDestination(..) | Command::DelDestination(..) => {
                "the virtual server has no such destination".to_owned()
            }
            Command::DelServer(_)
            | Command::NewDestination(..)
            | Command::NewDaemon(_)
            | Command::DelDaemon(_)
            | Command::SetTimeouts(_)
            | Command::Zero(_)
            | Command::Flush => "something that it names is not there".to_owned(),
        }
    }

    fn invalid(&self) -> String {
        match &self.command {
            Command::NewDestination(server, id, to) | Command::SetDestination(server, id, to) => {
                let mixed = id.addr.is_ipv6() != (server.family() == super::Family::Ipv6);
                match to.forward {
                    Forward::Tunnel(_) if mixed => {
                        "a destination of the other family cannot be synchronised: stop the \
                         synchronisation daemons first"
                    }
                    Forward::Tunnel(_)
                    | Forward::Masquerade
                    | Forward::Local
                    | Forward::Route
                    | Forward::Bypass => {
                        "its address is not one that packets can be sent to, or no interface of \
                         this network namespace has an address yet"
                    }
                }
                .to_owned()
            }
            Command::NewDaemon(_) => {
                "is the interface up, and has every destination the family of its virtual server?"
                    .to_owned()
            }
            Command::SetTimeouts(_) => "a time is longer than this kernel can count".to_owned(),
            Command::NewServer(..)
            | Command::SetServer(..)
            | Command::DelServer(_)
            | Command::DelDestination(..)
            | Command::DelDaemon(_)
            | Command::Zero(_)
            | Command::Flush => "the kernel takes no such setting".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{SchedulerName, ServerSettings};
    use super::*;

    #[test]
    fn a_missing_scheduler_names_its_module() {
        let id = "TCP 192.0.2.1:80".parse().unwrap_or_else(|e| panic!("{e}"));
        let settings = ServerSettings::new(SchedulerName::Twos.into());
        let command = Command::NewServer(id, settings);
        let text = Refusal { command, errno: Errno::ENOENT }.to_string();
        assert!(text.starts_with("cannot add virtual server TCP 192.0.2.1:80: "), "{text}");
        assert!(text.contains("module ip_vs_twos"), "{text}");
        assert!(text.contains("ENOENT"), "{text}");
    }

    #[test]
    fn only_a_removal_can_be_done_already() {
        let id = "FWM 7".parse().unwrap_or_else(|e| panic!("{e}"));
        assert!(Refusal { command: Command::DelServer(id), errno: Errno::ESRCH }.gone_already());
        assert!(!Refusal { command: Command::DelServer(id), errno: Errno::EPERM }.gone_already());
        assert!(!Refusal { command: Command::Zero(Some(id)), errno: Errno::ESRCH }.gone_already());
    }
}
