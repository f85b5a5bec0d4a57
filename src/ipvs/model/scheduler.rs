//! How a virtual server picks a real server: the algorithm and its flags.
//!
//! The kernel takes any name for which it has a module, and any flag with any scheduler. Both can
//! be held, so that a foreign table is read as it is; flags by name are checked, so that a person's
//! mistake is found.

use std::fmt;
use std::str::FromStr;

use super::name::{KernelName, NameError};

macro_rules! schedulers {
    ($($variant:ident $name:literal $what:literal),+ $(,)?) => {
        /// The algorithms of the mainline kernel, by the names that ipvsadm uses, and any other.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum SchedulerName {
            $(#[doc = $what] $variant,)+
            /// One that this program does not know; the kernel may.
            Other(KernelName),
        }

        impl SchedulerName {
            /// Every algorithm of the mainline kernel.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),+];

            /// The name as the kernel has it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Other(name) => name.as_str(),
                }
            }
        }

        impl From<KernelName> for SchedulerName {
            fn from(name: KernelName) -> Self {
                match name.as_bytes() {
                    $(bytes if bytes == $name.as_bytes() => Self::$variant,)+
                    _ => Self::Other(name),
                }
            }
        }
    };
}

schedulers! {
    Rr "rr" "Round robin.",
    Wrr "wrr" "Weighted round robin.",
    Lc "lc" "Least connections.",
    Wlc "wlc" "Weighted least connections.",
    Lblc "lblc" "Locality-based least connections.",
    Lblcr "lblcr" "Locality-based least connections with replication.",
    Dh "dh" "Destination hashing.",
    Sh "sh" "Source hashing.",
    Sed "sed" "Shortest expected delay.",
    Nq "nq" "Never queue.",
    Fo "fo" "Weighted failover: all to the server of the highest weight.",
    Ovf "ovf" "Weighted overflow: the next server when connections exceed the weight.",
    Mh "mh" "Maglev hashing.",
    Twos "twos" "Power of two choices.",
}

impl FromStr for SchedulerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse::<KernelName>().map(Self::from)
    }
}

impl fmt::Display for SchedulerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl serde::Serialize for SchedulerName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The three flag bits that the kernel hands to a scheduler (`IP_VS_SVC_F_SCHED1..3`).
///
/// Only `sh` and `mh` give them a meaning: the first is their fallback flag, the second their port
/// flag. A foreign table may set them anywhere, so all of them can be held.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchedulerFlags {
    /// `sh-fallback`, `mh-fallback`: go to another server when the hashed one is out.
    pub fallback: bool,
    /// `sh-port`, `mh-port`: hash the client's port too.
    pub port: bool,
    /// `flag-3`: no scheduler of the mainline kernel reads it.
    pub third: bool,
}

impl SchedulerFlags {
    /// No flag.
    pub const NONE: Self = Self { fallback: false, port: false, third: false };

    /// The names of the set flags, as `ipvsadm -b` takes them for this scheduler.
    pub fn names(&self, scheduler: SchedulerName) -> Vec<&'static str> {
        let names = flag_names(scheduler);
        let set = [self.fallback, self.port, self.third];
        names.into_iter().zip(set).filter(|(_, set)| *set).map(|(name, _)| name).collect()
    }
}

/// The names of the three flag bits, in the order of their bits.
fn flag_names(scheduler: SchedulerName) -> [&'static str; 3] {
    if scheduler == SchedulerName::Sh {
        ["sh-fallback", "sh-port", "flag-3"]
    } else if scheduler == SchedulerName::Mh {
        ["mh-fallback", "mh-port", "flag-3"]
    } else {
        ["flag-1", "flag-2", "flag-3"]
    }
}

/// An algorithm with its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scheduler {
    /// The algorithm.
    pub name: SchedulerName,
    /// What it was told beyond its name.
    pub flags: SchedulerFlags,
}

/// Why a scheduler does not take a flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchedulerError {
    /// No flag of this name exists for this scheduler.
    #[error("scheduler {scheduler} has no flag {flag:?}; it knows {}", known.join(", "))]
    UnknownFlag {
        /// The scheduler that was asked.
        scheduler: SchedulerName,
        /// The flag that it does not have.
        flag: String,
        /// The flags that it has.
        known: [&'static str; 3],
    },
}

impl Scheduler {
    /// An algorithm without flags.
    pub const fn plain(name: SchedulerName) -> Self {
        Self { name, flags: SchedulerFlags::NONE }
    }

    /// An algorithm with flags by name: `sh-port`, `mh-fallback`, or the plain `flag-1..3`.
    pub fn with_flags<'a>(
        name: SchedulerName,
        flags: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, SchedulerError> {
        let mut scheduler = Self::plain(name);
        for flag in flags {
            let known = flag_names(name);
            let plain = ["flag-1", "flag-2", "flag-3"];
            let bit = known.iter().position(|n| *n == flag);
            match bit.or_else(|| plain.iter().position(|n| *n == flag)) {
                Some(0) => scheduler.flags.fallback = true,
                Some(1) => scheduler.flags.port = true,
                Some(_) => scheduler.flags.third = true,
                None => {
                    let flag = flag.to_owned();
                    return Err(SchedulerError::UnknownFlag { scheduler: name, flag, known });
                }
            }
        }
        Ok(scheduler)
    }

    /// Whether the kernel's scheduler reads flags at all.
    pub fn reads_flags(&self) -> bool {
        matches!(self.name, SchedulerName::Sh | SchedulerName::Mh)
    }
}

impl From<SchedulerName> for Scheduler {
    fn from(name: SchedulerName) -> Self {
        Self::plain(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_parses_to_itself() {
        for name in SchedulerName::KNOWN {
            assert_eq!(name.as_str().parse(), Ok(*name));
        }
        assert_eq!(
            "pingpong".parse::<SchedulerName>().map(|n| n.to_string()),
            Ok("pingpong".into())
        );
    }

    #[test]
    fn flags_belong_to_their_scheduler() {
        let sh = Scheduler::with_flags(SchedulerName::Sh, ["sh-port"]);
        assert_eq!(sh.map(|s| (s.flags.port, s.flags.fallback)), Ok((true, false)));
        let mh = Scheduler::with_flags(SchedulerName::Mh, ["mh-fallback", "flag-3"]);
        assert_eq!(mh.map(|s| s.flags.names(s.name)), Ok(vec!["mh-fallback", "flag-3"]));
        let error = Scheduler::with_flags(SchedulerName::Rr, ["sh-port"]);
        assert!(error.is_err_and(|e| e.to_string().contains("flag-1")));
    }
}
