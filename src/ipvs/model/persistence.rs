//! Sticking a client to its real server: for how long, and how much of its address counts.
//!
//! Also the type of every time in the table, [`Seconds`]. A mask of the wrong address family cannot
//! be told here; the virtual server refuses it.

use std::fmt;
use std::net::Ipv4Addr;

use serde::Serialize;

use super::name::KernelName;

/// A time in whole seconds that every kernel can hold: 1 to 2147483.
///
/// The kernel counts in ticks of up to 1000 a second and refuses, or wraps at, more than a signed
/// 32-bit number of them (`INT_MAX / HZ`, `net/netfilter/ipvs/ip_vs_ctl.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Seconds(u32);

/// A time that is out of range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{seconds} s is not between 1 s and {} s", Seconds::MAX.get())]
pub struct SecondsError {
    /// What was asked for.
    pub seconds: u64,
}

impl Seconds {
    /// The shortest time, 1 s.
    pub const MIN: Self = Self(1);
    /// The longest time that every kernel takes: 24 days and 20 hours.
    pub const MAX: Self = Self(i32::MAX.cast_unsigned() / 1000);

    /// Takes a number of seconds.
    pub fn new(seconds: u32) -> Result<Self, SecondsError> {
        if (Self::MIN.0..=Self::MAX.0).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(SecondsError { seconds: seconds.into() })
        }
    }

    /// Takes what a kernel reports. A kernel of few ticks a second can hold more than
    /// [`Seconds::MAX`], which is brought into range: it differs from anything wanted anyway.
    pub fn saturating(seconds: u32) -> Self {
        Self(seconds.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// The number of seconds.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Seconds {
    type Error = SecondsError;

    fn try_from(seconds: u32) -> Result<Self, SecondsError> {
        Self::new(seconds)
    }
}

impl TryFrom<std::time::Duration> for Seconds {
    type Error = SecondsError;

    /// Fractions of a second are cut off: the kernel has none.
    fn try_from(time: std::time::Duration) -> Result<Self, SecondsError> {
        let seconds = time.as_secs();
        let whole = u32::try_from(seconds).map_err(|_| SecondsError { seconds })?;
        Self::new(whole)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}

/// Which clients count as one: those that agree in this part of their address.
///
/// On the wire both are `IPVS_SVC_ATTR_NETMASK`: a mask in network order for IPv4, a prefix length
/// in host order for IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientMask {
    /// A mask over an IPv4 address; the kernel takes any bits, 0.0.0.0 makes all clients one.
    V4(Ipv4Addr),
    /// A prefix length of an IPv6 address.
    V6(PrefixLength6),
}

/// A prefix length of an IPv6 address, 1 to 128: the kernel refuses 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrefixLength6(u8);

/// A prefix length that the kernel would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientMaskError {
    /// IPv6 prefix lengths go from 1 to 128.
    #[error("/{length} is not an IPv6 prefix length from 1 to 128")]
    Length6 {
        /// What was asked for.
        length: u32,
    },
    /// IPv4 prefix lengths go from 0 to 32.
    #[error("/{length} is not an IPv4 prefix length from 0 to 32")]
    Length4 {
        /// What was asked for.
        length: u32,
    },
}

impl PrefixLength6 {
    /// The whole address.
    pub const WHOLE: Self = Self(128);

    /// Takes a prefix length, 1 to 128.
    pub fn new(length: u32) -> Result<Self, ClientMaskError> {
        match u8::try_from(length) {
            Ok(length @ 1..=128) => Ok(Self(length)),
            Ok(_) | Err(_) => Err(ClientMaskError::Length6 { length }),
        }
    }

    /// The number of leading bits.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl ClientMask {
    /// Every IPv4 client by itself.
    pub const EACH_V4: Self = Self::V4(Ipv4Addr::BROADCAST);
    /// Every IPv6 client by itself.
    pub const EACH_V6: Self = Self::V6(PrefixLength6::WHOLE);

    /// The IPv4 mask of a prefix length, 0 to 32.
    pub fn prefix4(length: u32) -> Result<Self, ClientMaskError> {
        if length > 32 {
            return Err(ClientMaskError::Length4 { length });
        }
        let host_bits = u32::MAX.checked_shr(length).unwrap_or(0);
        Ok(Self::V4(Ipv4Addr::from_bits(!host_bits)))
    }

    /// The IPv6 mask of a prefix length, 1 to 128.
    pub fn prefix6(length: u32) -> Result<Self, ClientMaskError> {
        PrefixLength6::new(length).map(Self::V6)
    }

    /// Whether every client is on its own, which is what ipvsadm does without `-M`.
    pub fn is_each(&self) -> bool {
        *self == Self::EACH_V4 || *self == Self::EACH_V6
    }
}

impl fmt::Display for ClientMask {
    /// As `ipvsadm -M` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(mask) => mask.fmt(f),
            Self::V6(length) => length.get().fmt(f),
        }
    }
}

impl Serialize for ClientMask {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::V4(mask) => serializer.collect_str(mask),
            Self::V6(length) => serializer.serialize_u8(length.get()),
        }
    }
}

/// A client comes back to the real server that it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Persistence {
    /// How long after its last connection a client is remembered.
    pub timeout: Seconds,
    /// Which clients count as one; of the family of the virtual server.
    pub netmask: ClientMask,
    /// What else tells clients apart, `sip` (the Call-ID) for one; kernel module `ip_vs_pe_*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<KernelName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stays_within_what_every_kernel_holds() {
        assert_eq!(Seconds::new(0), Err(SecondsError { seconds: 0 }));
        assert_eq!(Seconds::new(1), Ok(Seconds::MIN));
        assert_eq!(Seconds::new(2_147_483), Ok(Seconds::MAX));
        assert!(Seconds::new(2_147_484).is_err());
        assert_eq!(Seconds::saturating(u32::MAX), Seconds::MAX);
        assert!(Seconds::try_from(std::time::Duration::from_secs(u64::MAX)).is_err());
    }

    #[test]
    fn masks_follow_their_family() {
        assert_eq!(ClientMask::prefix4(24).map(|m| m.to_string()), Ok("255.255.255.0".into()));
        assert_eq!(ClientMask::prefix4(0).map(|m| m.to_string()), Ok("0.0.0.0".into()));
        assert_eq!(ClientMask::prefix4(32), Ok(ClientMask::EACH_V4));
        assert_eq!(ClientMask::prefix4(33), Err(ClientMaskError::Length4 { length: 33 }));
        assert_eq!(ClientMask::prefix6(128), Ok(ClientMask::EACH_V6));
        assert_eq!(ClientMask::prefix6(0), Err(ClientMaskError::Length6 { length: 0 }));
        assert_eq!(ClientMask::prefix6(300), Err(ClientMaskError::Length6 { length: 300 }));
    }
}
