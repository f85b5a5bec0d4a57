//! When addresses come to a host and go from it, by the kernel's own word.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::segment::Net;

/// `RTMGRP_IPV4_IFADDR`.
const GROUP: u32 = 0x10;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const IFA_LOCAL: u16 = 2;
/// How long the reader does not notice that it is to end.
const LOOK: i64 = 100;
/// Of a burst of 255 addresses nothing must be lost.
const BUFFER: usize = 4 << 20;

/// An address that came to the host or went from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// When we heard of it.
    pub(crate) at: Instant,
    /// Whether it came; it went otherwise.
    pub(crate) came: bool,
}

#[derive(Default)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    grown: Condvar,
    end: AtomicBool,
}

/// Listens until it goes.
pub(crate) struct Watch {
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to listen.
    pub(crate) fn of(net: &Net) -> Self {
        let socket = net.within(open);
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        Self { log, reader: Some(thread::spawn(move || listen(&socket, &shared))) }
    }

    /// Everything so far that `fits`.
    pub(crate) fn seen(&self, fits: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        let seen = self.log.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|s| fits(s)).copied().collect()
    }

    /// Waits until `count` addresses have come since then, and says when the last of them did.
    pub(crate) fn came(&self, since: Instant, count: usize, limit: Duration) -> Option<Instant> {
        let comes = |s: &&Seen| s.came && s.at >= since;
        let deadline = Instant::now() + limit;
        let mut seen = self.log.seen.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(last) = seen.iter().filter(comes).nth(count - 1) {
                return Some(last.at);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let woken = self.log.grown.wait_timeout(seen, left);
            seen = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.log.end.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
    }
}

fn open() -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC;
    let route = SockProtocol::NetlinkRoute;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, route).expect("a socket");
    setsockopt(&socket, sockopt::RcvBuf, &BUFFER).expect("a buffer");
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(LOOK)).expect("a limit");
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUP)).expect("the group");
    socket
}

fn listen(socket: &OwnedFd, log: &Log) {
    let mut buffer = vec![0; 64 << 10];
    let mut here = BTreeSet::new();
    while !log.end.load(Ordering::Relaxed) {
        let Ok(length) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) else {
            continue;
        };
        let at = Instant::now();
        let mut seen = log.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (address, came) in messages(&buffer[..length]).filter_map(change) {
            // An address that is there is told of again whenever its lifetime is changed.
            if if came { here.insert(address) } else { here.remove(&address) } {
                seen.push(Seen { at, came });
            }
        }
        log.grown.notify_all();
    }
}

/// Type and body of each message of a datagram.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (length, _) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
        let message = bytes.get(..length)?;
        let kind = u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, message.get(16..)?))
    })
}

fn change((kind, body): (u16, &[u8])) -> Option<(Ipv4Addr, bool)> {
    let came = match kind {
        RTM_NEWADDR => true,
        RTM_DELADDR => false,
        _ => return None,
    };
    // An address message begins with 8 bytes of its own; attributes follow.
    let mut attributes = body.get(8..)?;
    while let Some((&[l0, l1, k0, k1], _)) = attributes.split_first_chunk() {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        if u16::from_ne_bytes([k0, k1]) == IFA_LOCAL {
            let octets: [u8; 4] = attributes.get(4..length)?.try_into().ok()?;
            return Some((octets.into(), came));
        }
        attributes = attributes.get(length.next_multiple_of(4).max(4)..)?;
    }
    None
}
