//! UDP ports that the kernel unwraps packets from (foo over UDP, `linux/fou.h`).
//!
//! Ports on all addresses of a family, with a GUE header or bare packets of one protocol; ports of
//! a single address or interface are read as if they were on all.

use std::io;

use nix::errno::Errno;
use nix::libc::{AF_INET, AF_INET6};

use super::generic::{Attributes, Family};
use super::{Netlink, NetlinkError};

const FAMILY: &str = "fou";
const ADD: u8 = 1;
const DELETE: u8 = 2;
const GET: u8 = 3;

const PORT: u16 = 1;
const ADDRESS_FAMILY: u16 = 2;
const PROTOCOL: u16 = 3;
const TYPE: u16 = 4;

const TYPE_DIRECT: u8 = 1;
const TYPE_GUE: u8 = 2;

/// A port as the kernel has it, or is to have it, on all addresses of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FouPort {
    /// The UDP port.
    pub port: u16,
    /// The family.
    pub ipv6: bool,
    /// The IP protocol inside of bare packets; `None` if a GUE header tells it.
    pub bare: Option<u8>,
}

impl Netlink {
    /// All ports; none where the kernel has no such family.
    pub async fn fou_ports(&self) -> Result<Vec<FouPort>, NetlinkError> {
        let failed = |source| error("read", "the list of FOU ports".into(), source);
        let Some(family) = Family::find(FAMILY).await.map_err(failed)? else {
            return Ok(Vec::new());
        };
        let entries = family.dump(GET).await.map_err(failed)?;
        Ok(entries.iter().filter_map(read).collect())
    }

    /// Opens a port.
    pub async fn add_fou_port(&self, port: FouPort) -> Result<(), NetlinkError> {
        let failed = |source| error("open", shown(port), source);
        let family = Family::find(FAMILY).await.map_err(failed)?;
        let family = family.ok_or_else(|| failed(Errno::EOPNOTSUPP.into()))?;
        let mut attributes = which(port);
        attributes.push(match port.bare {
            Some(_) => (TYPE, vec![TYPE_DIRECT]),
            None => (TYPE, vec![TYPE_GUE]),
        });
        attributes.extend(port.bare.map(|protocol| (PROTOCOL, vec![protocol])));
        family.command(ADD, attributes).await.map_err(failed)
    }

    /// Closes a port.
    pub async fn delete_fou_port(&self, port: FouPort) -> Result<(), NetlinkError> {
        let failed = |source| error("close", shown(port), source);
        let Some(family) = Family::find(FAMILY).await.map_err(failed)? else {
            return Ok(());
        };
        match family.command(DELETE, which(port)).await {
            // What the kernel says of a port that is not open (`fou_destroy`).
            Err(e) if e.raw_os_error() == Some(Errno::EINVAL as i32) => Ok(()),
            other => other.map_err(failed),
        }
    }
}

/// What the kernel tells ports apart by.
fn which(port: FouPort) -> Attributes {
    let family = if port.ipv6 { AF_INET6 } else { AF_INET };
    let family = u8::try_from(family).expect("address families are small numbers");
    vec![(PORT, port.port.to_be_bytes().to_vec()), (ADDRESS_FAMILY, vec![family])]
}

fn read(entry: &Attributes) -> Option<FouPort> {
    let value = |kind| entry.iter().find(|(k, _)| *k == kind).map(|(_, value)| value.as_slice());
    let byte = |kind| value(kind).and_then(|v| v.first().copied());
    let bare = match byte(TYPE)? {
        TYPE_GUE => None,
        _ => Some(byte(PROTOCOL)?),
    };
    Some(FouPort {
        port: u16::from_be_bytes(value(PORT)?.try_into().ok()?),
        ipv6: i32::from(byte(ADDRESS_FAMILY)?) == AF_INET6,
        bare,
    })
}

fn shown(port: FouPort) -> String {
    let family = if port.ipv6 { " (IPv6)" } else { "" };
    format!("UDP port {} for tunnelled packets{family}", port.port)
}

fn error(doing: &'static str, what: String, source: io::Error) -> NetlinkError {
    NetlinkError { doing, what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written() {
        for bare in [None, Some(4)] {
            let port = FouPort { port: 6080, ipv6: true, bare };
            let mut entry = which(port);
            entry.push((TYPE, vec![if bare.is_some() { TYPE_DIRECT } else { TYPE_GUE }]));
            entry.push((PROTOCOL, vec![4]));
            assert_eq!(read(&entry), Some(port));
        }
        assert_eq!(read(&Attributes::new()), None);
    }
}
