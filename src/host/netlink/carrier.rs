//! Whether an interface can carry packets, and word when that changes.
//!
//! The word is only that something about some interface changed; how things stand is asked for
//! afterwards. So nothing depends on having heard each word.

use std::fmt;
use std::pin::Pin;

use futures_util::{FutureExt, Stream, StreamExt};
use nix::errno::Errno;
use rtnetlink::packet_route::link::LinkFlags;
use rtnetlink::{Handle, MulticastGroup, new_multicast_connection};
use tokio::task::JoinHandle;

use super::NetlinkError;

/// Whether an interface can carry packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// It can.
    Yes,
    /// It is up and has no carrier.
    No,
    /// It is down.
    Down,
    /// There is no such interface.
    Absent,
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Carrier::Yes => "has a carrier",
            Carrier::No => "no carrier",
            Carrier::Down => "down",
            Carrier::Absent => "there is no such interface",
        })
    }
}

/// Hears of changes.
pub struct CarrierNews {
    handle: Handle,
    words: Pin<Box<dyn Stream<Item = ()> + Send + Sync>>,
    serving: JoinHandle<()>,
}

impl CarrierNews {
    /// Opens a socket of its own; it is served by a task of the runtime that this is called in.
    pub fn open() -> Result<Self, NetlinkError> {
        let opened = new_multicast_connection(&[MulticastGroup::Link]);
        let (connection, handle, words) = opened.map_err(|source| NetlinkError {
            doing: "listen to",
            what: "changes of interfaces".into(),
            source,
        })?;
        let words = Box::pin(words.map(drop));
        Ok(CarrierNews { handle, words, serving: tokio::spawn(connection) })
    }

    /// How an interface stands now.
    pub async fn look(&self, name: &str) -> Result<Carrier, NetlinkError> {
        let mut answer = std::pin::pin!(self.handle.link().get().match_name(name).execute());
        let flags = match answer.next().await {
            Some(Ok(message)) => message.header.flags,
            Some(Err(error)) => {
                let error = NetlinkError::new("look at", &format!("interface {name}"), error);
                return match error.errno() {
                    Some(Errno::ENODEV) => Ok(Carrier::Absent),
                    _ => Err(error),
                };
            }
            None => return Ok(Carrier::Absent),
        };
        // Running is carrier and operational state together: a bond or a port with 802.1X may have
        // a carrier and yet carry nothing.
        Ok(match (flags.contains(LinkFlags::Up), flags.contains(LinkFlags::Running)) {
            (true, true) => Carrier::Yes,
            (true, false) => Carrier::No,
            (false, _) => Carrier::Down,
        })
    }

    /// Waits until something may have changed. `false`: no word will come any more.
    pub async fn changed(&mut self) -> bool {
        let heard = self.words.next().await.is_some();
        // One look answers all words that are there by now.
        while let Some(Some(())) = self.words.next().now_or_never() {}
        heard
    }
}

impl Drop for CarrierNews {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
