//! TCP sockets of checks: nonblocking, used again and again, never left in TIME_WAIT.
//!
//! A connection that is let go is reset (`SO_LINGER` 0), and its socket dissolved by connecting it
//! to nothing, which frees the port and keeps the descriptor: two system calls for a check instead
//! of six. `TCP_DEFER_ACCEPT` on the side that connects puts off the last packet of the handshake:
//! a mere look is over before the server's program hears of it, and a question goes out in it.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt::SetUsize};
use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::check::outcome::{Failure, Outcome};

/// Puts off the acknowledgement of the server's half of the handshake.
#[derive(Clone, Copy)]
struct DeferAccept;

nix::setsockopt_impl!(DeferAccept, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, usize, SetUsize);

/// A socket that can be connected.
pub(super) fn open(family: AddressFamily) -> Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    // Without it there is one packet more, and no harm.
    setsockopt(&socket, DeferAccept, &1).ok();
    Ok(socket)
}

/// Begins to connect.
pub(super) fn connect(socket: BorrowedFd<'_>, to: SocketAddr) -> Result<()> {
    match rustix::net::connect(socket, &to) {
        Err(Errno::INPROGRESS) => Ok(()),
        other => other,
    }
}

/// Lets the connection go, whatever has become of it. The socket can be connected again.
pub(super) fn dissolve(socket: BorrowedFd<'_>) -> Result<()> {
    rustix::net::connect_unspec(socket)
}

/// Has the other side know at once that the connection stands: we have nothing to say that could
/// tell it.
pub(super) fn acknowledge(socket: BorrowedFd<'_>) {
    // If it cannot be sent now, the timer sends it.
    sockopt::set_tcp_quickack(socket, true).ok();
}

/// What the kernel has against the connection.
pub(super) fn error(socket: BorrowedFd<'_>) -> Option<Errno> {
    sockopt::socket_error(socket).and_then(|error| error).err()
}

/// Whether the socket is connected to itself. To a port of this host that nobody listens on, a
/// connection can begin from that very port, and both halves of the handshake meet (RFC 9293
/// section 3.5, simultaneous open).
pub(super) fn is_own_echo(socket: BorrowedFd<'_>, to: SocketAddr) -> bool {
    let own = rustix::net::getsockname(socket).ok().and_then(|own| SocketAddr::try_from(own).ok());
    own.is_some_and(|own| own.port() == to.port() && own.ip() == to.ip())
}

/// Bytes that came. `Ok(0)`: the other side has said all.
pub(super) fn read(socket: impl AsFd, buffer: &mut [u8]) -> Result<usize> {
    rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT).map(|(length, _)| length)
}

/// Sends what there is room for.
pub(super) fn write(socket: impl AsFd, bytes: &[u8]) -> Result<usize> {
    match rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN) => Ok(0),
        other => other,
    }
}

/// What it says of a server that something came back as an error.
pub(super) fn failure(error: Errno) -> Failure {
    match error {
        Errno::CONNREFUSED => Failure::answered("connection refused"),
        Errno::CONNRESET | Errno::CONNABORTED | Errno::PIPE => {
            Failure::answered("connection reset")
        }
        Errno::TIMEDOUT => unanswered(),
        Errno::HOSTUNREACH | Errno::HOSTDOWN => Failure::silent("host unreachable"),
        Errno::NETUNREACH | Errno::NETDOWN => Failure::silent("network unreachable"),
        // A router between us forbids it.
        Errno::ACCESS => Failure::silent("forbidden on the way"),
        other => Failure::silent(words(other)),
    }
}

/// Nothing came back at all.
pub(super) fn unanswered() -> Failure {
    Failure::silent("connection timed out")
}

/// What it means that the kernel would not even begin.
pub(super) fn refusal(error: Errno) -> Outcome {
    match error {
        Errno::CONNREFUSED
        | Errno::CONNRESET
        | Errno::TIMEDOUT
        | Errno::HOSTUNREACH
        | Errno::HOSTDOWN
        | Errno::NETUNREACH
        | Errno::NETDOWN => Outcome::Bad(failure(error)),
        other => Outcome::Unmade(local(other)),
    }
}

/// What is wrong with this host that a check could not be made.
pub(super) fn local(error: Errno) -> String {
    match error {
        Errno::MFILE => "this process has no descriptor left; LimitNOFILE= is too low".to_owned(),
        Errno::NFILE => "this host has no descriptor left; fs.file-max is too low".to_owned(),
        Errno::ADDRNOTAVAIL => {
            "no local port is left; net.ipv4.ip_local_port_range is too narrow".to_owned()
        }
        Errno::NOBUFS | Errno::NOMEM => "the kernel has no memory for a socket".to_owned(),
        Errno::PERM => "a firewall rule of this host forbids checks".to_owned(),
        Errno::ACCESS => "a rule of this host forbids checks".to_owned(),
        Errno::AFNOSUPPORT => "this host has no IPv6".to_owned(),
        other => words(other),
    }
}

/// The kernel's words, without the number.
fn words(error: Errno) -> String {
    let text = std::io::Error::from(error).to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::outcome::Evidence;

    #[test]
    fn a_socket_that_is_connected_to_itself_is_told_from_one_that_is_not() {
        let socket = open(AddressFamily::INET).expect("a socket");
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let own = rustix::net::getsockname(&socket).expect("an address");
        let own = SocketAddr::try_from(own).expect("an address of IPv4");
        connect(socket.as_fd(), own).expect("meets itself");
        assert!(is_own_echo(socket.as_fd(), own));
        dissolve(socket.as_fd()).expect("lets go");
        let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = server.local_addr().expect("an address");
        connect(socket.as_fd(), to).expect("connects");
        assert!(!is_own_echo(socket.as_fd(), to));
    }

    #[test]
    fn what_came_back_is_told_apart_from_what_never_left() {
        let evidence = |error| match refusal(error) {
            Outcome::Bad(failure) => Some(failure.evidence),
            Outcome::Good(_) | Outcome::Unmade(_) => None,
        };
        assert_eq!(evidence(Errno::CONNREFUSED), Some(Evidence::Answered));
        assert_eq!(evidence(Errno::NETUNREACH), Some(Evidence::Silent));
        for local in [Errno::MFILE, Errno::ADDRNOTAVAIL, Errno::PERM, Errno::INVAL] {
            assert_eq!(evidence(local), None, "{local}");
        }
        assert_eq!(failure(Errno::PROTO).what, "protocol error");
    }
}
