//! Word when a process becomes another program or takes another name: the process connector.
//!
//! The kernel has it in the first network namespace only, and for CAP_NET_ADMIN. Where nothing
//! answers, whoever listens looks now and then instead. Every start on the host is heard of, so it
//! is open only while something is missing.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, recv, send};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::ready;

/// `NETLINK_CONNECTOR`, and the connector's number for processes (`linux/connector.h`).
const CONNECTOR: i32 = 11;
const PROCESSES: u32 = 1;

/// `PROC_CN_MCAST_LISTEN`, and what happened (`linux/cn_proc.h`).
const LISTEN: u32 = 1;
const ANSWER: u32 = 0;
const EXEC: u32 = 0x2;
const COMM: u32 = 0x200;

/// Bytes of `struct nlmsghdr` and `struct cn_msg`, and where the event's own data begin.
const HEADER: usize = 16;
const MESSAGE: usize = 20;
const DATA: usize = HEADER + MESSAGE + 16;

/// The kernel answers from within the call, or not at all.
const ANSWER_LIMIT: Duration = Duration::from_millis(200);

/// Hears of processes.
#[derive(Debug)]
pub struct Births(AsyncFd<OwnedFd>);

impl Births {
    /// Listens. An error says that there is nothing to listen to here.
    pub async fn open() -> io::Result<Self> {
        let kind = Type::DGRAM.nonblocking().cloexec();
        let domain = Domain::from(nix::libc::AF_NETLINK);
        let socket = Socket::new(domain, kind, Some(Protocol::from(CONNECTOR)))?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, PROCESSES))?;
        let births = Births(ready::readable(socket.into())?);
        send(births.0.get_ref().as_raw_fd(), &request(), MsgFlags::empty())?;
        let silent = io::Error::from(io::ErrorKind::TimedOut);
        timeout(ANSWER_LIMIT, births.answered()).await.map_err(|_| silent)??;
        Ok(births)
    }

    async fn answered(&self) -> io::Result<()> {
        loop {
            match self.next().await? {
                Some((ANSWER, 0)) => return Ok(()),
                Some((ANSWER, error)) => {
                    return Err(io::Error::from_raw_os_error(error.cast_signed()));
                }
                Some(_) | None => {}
            }
        }
    }

    /// Waits for a process that may have a new name. `None`: there were more than the kernel could
    /// keep, and all may.
    pub async fn changed(&self) -> io::Result<Option<u32>> {
        loop {
            match self.next().await {
                Ok(Some((EXEC | COMM, process))) => return Ok(Some(process)),
                Ok(Some(_) | None) => {}
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What happened, and the first number that comes with it after the thread's: the process, or
    /// of an answer the error.
    async fn next(&self) -> io::Result<Option<(u32, u32)>> {
        let mut buffer = [0; 256];
        loop {
            let mut ready = self.0.readable().await?;
            match recv(self.0.get_ref().as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => return Ok(event(&buffer[..length])),
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn event(datagram: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from_ne_bytes(datagram.get(at..at + 4)?.try_into().ok()?));
    let what = number(HEADER + MESSAGE)?;
    // An answer has its error first; an event the thread, then the process.
    let at = if what == ANSWER { DATA } else { DATA + 4 };
    Some((what, number(at)?))
}

fn request() -> Vec<u8> {
    let length = u32::try_from(HEADER + MESSAGE + 4).expect("40");
    let done = 3_u16; // NLMSG_DONE
    let mut bytes = Vec::new();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(done.to_ne_bytes());
    bytes.extend([0; 10]);
    // struct cn_msg: the connector's two numbers, sequence, acknowledgement, length, flags.
    for number in [PROCESSES, PROCESSES, 0, 0] {
        bytes.extend(number.to_ne_bytes());
    }
    bytes.extend(4_u16.to_ne_bytes());
    bytes.extend([0; 2]);
    bytes.extend(LISTEN.to_ne_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn the_start_of_a_program_is_heard_of_where_the_kernel_tells() {
        let births = match Births::open().await {
            Ok(births) => births,
            Err(error) => {
                let line = format!("\n######## SKIPPED: no process connector: {error} ########\n");
                return std::io::stderr().write_all(line.as_bytes()).expect("stderr");
            }
        };
        let mut child = Command::new("/bin/true").spawn().expect("starts");
        let heard = async { while births.changed().await.expect("hears") != Some(child.id()) {} };
        timeout(Duration::from_secs(5), heard).await.expect("its start");
        child.wait().expect("ours");
    }
}
