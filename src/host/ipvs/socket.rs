//! A generic-netlink socket that blocks, with a deadline, and the buffers around it.
//!
//! It moves datagrams and takes them apart into messages; it does not know what they say. The
//! kernel carries a request out within the call that sends it, so there is nothing to wait for
//! asynchronously.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, MultiHeaders, NetlinkAddr, SockFlag, SockProtocol, SockType,
    setsockopt, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::error::IpvsError;
use crate::ipvs::wire::DecodeError;
use crate::ipvs::wire::frame::{self, Messages};

/// A dump fills datagrams of at most 32 KiB, however large the buffer (`netlink_dump`).
const DATAGRAM: usize = 32 * 1024;
/// Most datagrams received in one system call.
const DATAGRAMS: usize = 8;
/// Room for answers that wait in the kernel. A batch that fails entirely takes about 100 KiB.
const RECEIVE_BUFFER: usize = 1024 * 1024;
/// The kernel answers within the system call that asked; this bounds a kernel that does not.
const DEADLINE_SECONDS: i64 = 10;

/// The socket, and buffers that are used again and again.
pub(super) struct Channel {
    socket: OwnedFd,
    datagrams: [Vec<u8>; DATAGRAMS],
    headers: MultiHeaders<NetlinkAddr>,
}

impl Channel {
    /// Opens a socket in the network namespace of this thread.
    pub(super) fn open() -> Result<Self, IpvsError> {
        Ok(Self {
            socket: open_socket()?,
            datagrams: std::array::from_fn(|_| vec![0; DATAGRAM]),
            headers: MultiHeaders::preallocate(DATAGRAMS, None),
        })
    }

    /// Gives the kernel one datagram of requests; it carries them out before this returns.
    pub(super) fn send(&self, requests: &[u8]) -> Result<(), IpvsError> {
        let failed = |errno| IpvsError::Socket { step: "send to the kernel", errno };
        let fd = self.socket.as_raw_fd();
        socket::send(fd, requests, MsgFlags::empty()).map(drop).map_err(failed)
    }

    /// Receives until `each` says that it has seen the last message. To look for more datagrams
    /// than there are costs as much as receiving one, so the caller says how many to expect; when
    /// there are more, it takes another system call and nothing else.
    pub(super) fn receive(
        &mut self,
        expected: usize,
        mut each: impl FnMut(frame::Incoming<'_>) -> Result<bool, IpvsError>,
    ) -> Result<(), IpvsError> {
        let failed = |errno| IpvsError::Socket { step: "receive from the kernel", errno };
        loop {
            let mut slices = self.datagrams.each_mut().map(|d| [IoSliceMut::new(d)]);
            let received = socket::recvmmsg(
                self.socket.as_raw_fd(),
                &mut self.headers,
                slices.iter_mut().take(expected),
                // Waits for the first datagram and takes the others that are there.
                MsgFlags::MSG_WAITFORONE,
                None,
            );
            let received = match received {
                Err(Errno::EINTR) => continue,
                other => other.map_err(failed)?,
            };
            let mut done = false;
            for datagram in received {
                if datagram.flags.contains(MsgFlags::MSG_TRUNC) {
                    let what = "datagram, which is larger than the kernel says it makes them,";
                    return Err(DecodeError::Truncated { what }.into());
                }
                for bytes in datagram.iovs() {
                    for message in Messages::new(bytes) {
                        done |= each(message?)?;
                    }
                }
            }
            if done {
                return Ok(());
            }
        }
    }
}

fn open_socket() -> Result<OwnedFd, IpvsError> {
    let failed = |errno| IpvsError::Socket { step: "open a netlink socket", errno };
    let fd = socket::socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkGeneric,
    )
    .map_err(failed)?;
    socket::bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(failed)?;
    // Beyond the limit of the host if we may; what the host allows is enough in most cases.
    if setsockopt(&fd, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER).map_err(failed)?;
    }
    let deadline = TimeVal::seconds(DEADLINE_SECONDS);
    setsockopt(&fd, sockopt::ReceiveTimeout, &deadline).map_err(failed)?;
    setsockopt(&fd, sockopt::SendTimeout, &deadline).map_err(failed)?;
    Ok(fd)
}
