//! TCP sockets for the connections between directors: listening, dialling, none of it blocking.
//!
//! A refusal counts as the proof of a death, so it is looked at closely: a firewall that answers
//! in the place of the host, by ICMP, has proven nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::socket::CONTROL;
use crate::frame::socket::PRIORITY;
use crate::vrrp::link::{MAX_FRAME, MOST_SAID, Topic};

/// Connections that wait to be accepted: one of each director, and some that are nobody's.
const BACKLOG: i32 = 16;

/// How long bytes may be on their way. A machine that answers nothing for so long is lost.
const UNANSWERED: Duration = Duration::from_secs(3);

/// The buffer for what is under way. Nobody waits until there is room, so it holds all that is ever
/// said at once: every router, the digests of the files, and a word on each topic. The kernel
/// doubles it for what it has to keep beside the bytes.
const SEND_BUFFER: usize = 2 * MAX_FRAME + Topic::ALL.len() * MOST_SAID;

/// Descriptors from here on are the links'. When a process dies the kernel closes the highest one
/// first, and for each packet socket it waits for tens of milliseconds; until it has come to these,
/// the other director does not know.
const HIGH: i32 = 256;

/// How dialling stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialling {
    UnderWay,
    Connected,
    Refused,
    TimedOut,
    Unreachable,
}

/// Waits for connections to that address, which this host need not have yet.
pub(super) fn listen(at: SocketAddr) -> io::Result<Socket> {
    let socket = open(at)?;
    socket.set_reuse_address(true)?;
    match at {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
    }
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// The next connection, and whose it is.
pub(super) fn accept(listener: &Socket) -> io::Result<(Socket, Option<IpAddr>)> {
    let (socket, from) = listener.accept()?;
    let socket = raise(socket);
    socket.set_nonblocking(true)?;
    let from = from.as_socket().map(|from| from.ip().to_canonical());
    prepare(&socket, from)?;
    Ok((socket, from))
}

/// Begins to connect. `device`: the link that both ends are on, by no other way.
pub(super) fn dial(from: IpAddr, to: SocketAddr, device: Option<&str>) -> io::Result<Socket> {
    let socket = open(to)?;
    prepare(&socket, Some(to.ip()))?;
    match to {
        SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
        SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
    }
    if let Some(device) = device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    socket.bind(&SockAddr::from(SocketAddr::new(from, 0)))?;
    match socket.connect(&to.into()) {
        Err(e) if e.raw_os_error() == Some(Errno::EINPROGRESS as i32) => Ok(socket),
        other => other.map(|()| socket),
    }
}

/// What became of dialling, once poll(2) says that something has.
pub(super) fn outcome(socket: &Socket) -> Dialling {
    match socket.take_error() {
        Err(e) => judge(&e, Some(socket)),
        Ok(Some(e)) => judge(&e, Some(socket)),
        Ok(None) if socket.peer_addr().is_ok() => Dialling::Connected,
        Ok(None) => Dialling::UnderWay,
    }
}

/// What an error of dialling says about the other host.
pub(super) fn judge(error: &io::Error, socket: Option<&Socket>) -> Dialling {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ECONNREFUSED) if socket.is_some_and(by_icmp) => Dialling::Unreachable,
        Some(Errno::ECONNREFUSED) => Dialling::Refused,
        Some(Errno::ETIMEDOUT) => Dialling::TimedOut,
        Some(_) | None => Dialling::Unreachable,
    }
}

/// Whether it was not TCP that refused: the error queue holds what ICMP said.
fn by_icmp(socket: &Socket) -> bool {
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    recv(socket.as_raw_fd(), &mut [0; 64], flags).is_ok()
}

/// Bytes that came. `Ok(0)`: the other end is closed.
pub(super) fn read(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)
}

/// Writes all of it, or says that it did not.
pub(super) fn write(socket: BorrowedFd<'_>, bytes: &[u8]) -> bool {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    send(socket.as_raw_fd(), bytes, flags) == Ok(bytes.len())
}

fn open(of: SocketAddr) -> io::Result<Socket> {
    let socket = raise(Socket::new(Domain::for_address(of), Type::STREAM, Some(Protocol::TCP))?);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The same socket under a high number, if there is one left.
fn raise(socket: Socket) -> Socket {
    rustix::io::fcntl_dupfd_cloexec(&socket, HIGH).map_or(socket, Socket::from)
}

/// Each word is sent at once, before other traffic, and is not waited for in vain.
fn prepare(socket: &Socket, to: Option<IpAddr>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(UNANSWERED))?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    match to {
        Some(IpAddr::V6(_)) => socket.set_tclass_v6(CONTROL)?,
        Some(IpAddr::V4(_)) | None => socket.set_tos_v4(CONTROL)?,
    }
    socket.set_priority(PRIORITY)
}
