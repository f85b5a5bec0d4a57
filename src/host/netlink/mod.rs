//! The door to links, addresses, routes and rules: rtnetlink.
//!
//! Reads whole tables into small structs of our own and adds, replaces and deletes single entries.
//! Nothing is cached: a kind's `observe` asks once for the table it needs. What is ours carries
//! [`MARK`] wherever the kernel has a field for it. Deleting what is gone already is a success.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the attributes that a kernel may send are an open list"
)]

mod addresses;
mod carrier;
mod changes;
mod fou;
mod generic;
mod links;
mod routes;
mod rules;

use std::io;

use futures_util::{Stream, StreamExt};
use nix::errno::Errno;
use rtnetlink::Handle;

pub use addresses::FoundAddress;
pub use carrier::{Carrier, CarrierNews};
pub use changes::changes;
pub use fou::FouPort;
pub use links::FoundLink;
pub use routes::{FoundRoute, RouteSpec};
pub use rules::FoundRule;

/// Who made it: the protocol number of our addresses (`IFA_PROTO`), routes (`rtm_protocol`) and
/// rules (`FRA_PROTOCOL`). iproute2's `rt_protos` has no other use for it; `ip route show proto
/// 118` lists what is ours. It must never change, or a new version would not know its own.
pub const MARK: u8 = 118;

/// Who holds it: the `IFA_PROTO` of a VIP that VRRP put on an interface. Such an address is VRRP's
/// alone: it comes with a lease and is invisible to everything that looks for [`MARK`].
pub const VIP_MARK: u8 = 119;

/// What went wrong in a conversation with the kernel.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {what}")]
pub struct NetlinkError {
    /// The verb, for the sentence "cannot … THING".
    pub doing: &'static str,
    /// The thing.
    pub what: String,
    /// Why.
    pub source: io::Error,
}

impl NetlinkError {
    fn new(doing: &'static str, what: &str, error: rtnetlink::Error) -> Self {
        let source = match error {
            rtnetlink::Error::NetlinkError(message) => message.to_io(),
            other => io::Error::other(other),
        };
        NetlinkError { doing, what: what.to_owned(), source }
    }

    /// The kernel's own word for it.
    pub fn errno(&self) -> Option<Errno> {
        self.source.raw_os_error().map(Errno::from_raw)
    }

    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        let hint = match self.errno()? {
            Errno::EPERM | Errno::EACCES => "run as root, or with CAP_NET_ADMIN",
            Errno::ENODEV => {
                "there is no interface of that name on this host; `ip link` lists them"
            }
            Errno::ENETDOWN => "the interface is down; a link resource can bring it up",
            Errno::ENETUNREACH | Errno::EHOSTUNREACH => {
                "the next hop is in no network that this host is directly connected to"
            }
            Errno::EOPNOTSUPP => {
                "this kernel cannot do it, or the module for it is not loaded (fou for GUE ports)"
            }
            Errno::ERANGE => "a name is too long; interfaces and labels have at most 15 bytes",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// An open conversation with the kernel.
pub struct Netlink {
    handle: Handle,
}

impl Netlink {
    /// Opens the socket; it is served by a task of the runtime that this is called in.
    pub(super) fn open() -> Result<Self, NetlinkError> {
        let (connection, handle, _unsolicited) = rtnetlink::new_connection().map_err(|source| {
            NetlinkError { doing: "open", what: "a netlink socket".into(), source }
        })?;
        tokio::spawn(connection);
        Ok(Netlink { handle })
    }
}

/// Reads a dump to its end.
async fn gather<T, R>(
    what: &str,
    dump: impl Stream<Item = Result<T, rtnetlink::Error>>,
    convert: impl Fn(T) -> Option<R>,
) -> Result<Vec<R>, NetlinkError> {
    let mut found = Vec::new();
    let mut dump = std::pin::pin!(dump);
    while let Some(message) = dump.next().await {
        let message = message.map_err(|e| NetlinkError::new("read", what, e))?;
        found.extend(convert(message));
    }
    Ok(found)
}

/// The outcome of adding or changing.
fn made(
    doing: &'static str,
    what: &str,
    answer: Result<(), rtnetlink::Error>,
) -> Result<(), NetlinkError> {
    answer.map_err(|e| NetlinkError::new(doing, what, e))
}

/// The outcome of deleting; `gone` are the kernel's words for "there is no such thing".
fn deleted(
    what: &str,
    gone: &[Errno],
    answer: Result<(), rtnetlink::Error>,
) -> Result<(), NetlinkError> {
    match made("delete", what, answer) {
        Err(e) if e.errno().is_some_and(|errno| gone.contains(&errno)) => Ok(()),
        other => other,
    }
}
