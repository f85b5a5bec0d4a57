//! The door to the kernel's IPVS table: one generic-netlink socket, blocking, with a deadline.
//!
//! Opens, asks, applies; what to ask for and what to apply is decided elsewhere. It belongs to the
//! network namespace of the thread that opens it. Two things make it fast: many commands go in one
//! system call, and many datagrams of a dump come in one.

use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, MultiHeaders, NetlinkAddr, SockFlag, SockProtocol, SockType,
    setsockopt, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::ipvs::model::{
    Destination, DestinationId, Family, FamilyError, Info, ServerSettings, SyncDaemon, Timeouts,
    VirtualServer, VirtualServerId,
};
use crate::ipvs::refusal::Refusal;
use crate::ipvs::wire::frame::{self, Answer, Content, Messages};
use crate::ipvs::wire::{Command, DecodeError, Query, Reply, control};

/// The family's name (`IPVS_GENL_NAME`).
const FAMILY_NAME: &str = "IPVS";
/// Only there when IPVS is loaded or built in.
const LOADED_SIGN: &str = "/proc/self/net/ip_vs";
/// Commands in one system call. More gains nothing measurable, and 100 of the longest stay far
/// below the smallest default send buffer (160 KiB).
const BATCH: usize = 100;
/// A dump fills datagrams of at most 32 KiB, however large the buffer (`netlink_dump`).
const DATAGRAM: usize = 32 * 1024;
/// Datagrams received in one system call.
const DATAGRAMS: usize = 8;
/// Room for answers that wait in the kernel. A batch that fails entirely takes about 100 KiB.
const RECEIVE_BUFFER: usize = 1024 * 1024;
/// The kernel answers within the system call that asked; this bounds a kernel that does not.
const DEADLINE_SECONDS: i64 = 10;
/// How often a table that changes while it is read is read again.
const READS: u32 = 5;

/// What went wrong with the IPVS table.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IpvsError {
    /// The kernel has no IPVS, and no module to load.
    #[error("this kernel has no IPVS: module ip_vs (CONFIG_IP_VS) is neither loaded nor loadable")]
    Absent,
    /// A system call failed.
    #[error("cannot {step}: {errno}")]
    Socket {
        /// What was being done.
        step: &'static str,
        /// Why it failed.
        errno: Errno,
    },
    /// The kernel refused a question.
    #[error("the kernel does not answer about its IPVS table: {errno}{}", privilege(*errno))]
    Asked {
        /// Its reason.
        errno: Errno,
    },
    /// The kernel refused a command.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// A command was sent and its outcome is not known.
    #[error("it is not known whether the kernel could {command}: {errno}")]
    Lost {
        /// What was to be done.
        command: Box<Command>,
        /// Why the answer is missing.
        errno: Errno,
    },
    /// An answer makes no sense.
    #[error("the kernel's answer about its IPVS table is not understood")]
    Answer(#[from] DecodeError),
    /// The table changed each time it was read.
    #[error("the IPVS table changed while it was read, {READS} times in a row")]
    Unsteady,
}

impl IpvsError {
    /// The kernel's number for it, or `EBADMSG` for what is not understood.
    pub fn errno(&self) -> Errno {
        match self {
            Self::Socket { errno, .. } | Self::Asked { errno } | Self::Lost { errno, .. } => *errno,
            Self::Refused(refusal) => refusal.errno,
            Self::Absent => Errno::ENOENT,
            Self::Unsteady => Errno::EAGAIN,
            Self::Answer(_) => Errno::EBADMSG,
        }
    }
}

fn privilege(errno: Errno) -> &'static str {
    if errno == Errno::EPERM {
        " (it needs CAP_NET_ADMIN, run it as root)"
    } else {
        ""
    }
}

/// A socket to the kernel's IPVS table.
///
/// After an error other than [`IpvsError::Refused`] answers may be under way still: open another.
pub struct Client {
    socket: OwnedFd,
    family: u16,
    sequence: u32,
    out: Vec<u8>,
    datagrams: Vec<Vec<u8>>,
    headers: MultiHeaders<NetlinkAddr>,
}

/// Virtual servers by what they are.
pub type Table = BTreeMap<VirtualServerId, VirtualServer>;

/// Whether a dump saw the table in one state.
enum Dump {
    Complete,
    Interrupted,
}

impl Client {
    /// Opens the table. The kernel loads `ip_vs` if it may and can.
    pub fn open() -> Result<Self, IpvsError> {
        let mut client = Self {
            socket: open_socket()?,
            family: control::CONTROL_FAMILY,
            sequence: 0,
            out: Vec::new(),
            datagrams: vec![vec![0; DATAGRAM]; DATAGRAMS],
            headers: MultiHeaders::preallocate(DATAGRAMS, None),
        };
        client.family = client.look_up()?;
        Ok(client)
    }

    /// Opens the table if there is one. Unlike [`Client::open`] it changes nothing, not even which
    /// modules are loaded.
    pub fn open_loaded() -> Result<Option<Self>, IpvsError> {
        if !Path::new(LOADED_SIGN).exists() {
            return Ok(None);
        }
        match Self::open() {
            Ok(client) => Ok(Some(client)),
            Err(IpvsError::Absent) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the virtual servers that `pick` picks, with their destinations.
    ///
    /// An entry that is not understood is left out and logged: what other programs made with
    /// means that we do not know must not keep us from our own.
    pub fn table(&mut self, pick: impl Fn(&VirtualServerId) -> bool) -> Result<Table, IpvsError> {
        for _ in 0..READS {
            match self.read_table(&pick) {
                Ok(Some(table)) => return Ok(table),
                Ok(None) => {}
                // Answers were lost, and more of them may be under way on this socket.
                Err(error) if error.errno() == Errno::ENOBUFS => self.socket = open_socket()?,
                Err(error) => return Err(error),
            }
        }
        Err(IpvsError::Unsteady)
    }

    /// Reads the timeouts.
    pub fn timeouts(&mut self) -> Result<Timeouts, IpvsError> {
        self.ask(Query::Timeouts, |reply| match reply {
            Reply::Timeouts(timeouts) => Some(timeouts),
            Reply::Server(..) | Reply::Destination(..) | Reply::Daemon(_) | Reply::Info(_) => None,
        })
    }

    /// Reads version and size.
    pub fn info(&mut self) -> Result<Info, IpvsError> {
        self.ask(Query::Info, |reply| match reply {
            Reply::Info(info) => Some(info),
            Reply::Server(..) | Reply::Destination(..) | Reply::Daemon(_) | Reply::Timeouts(_) => {
                None
            }
        })
    }

    /// Reads which synchronisation daemons run.
    pub fn daemons(&mut self) -> Result<Vec<SyncDaemon>, IpvsError> {
        for _ in 0..READS {
            let mut daemons = Vec::new();
            let dump = self.dump(Query::Daemons, Family::Ipv4, |reply| {
                if let Reply::Daemon(daemon) = reply {
                    daemons.push(daemon);
                }
            })?;
            if matches!(dump, Dump::Complete) {
                return Ok(daemons);
            }
        }
        Err(IpvsError::Unsteady)
    }

    /// Carries out commands in order; one result for each, in the same order. A command that fails
    /// does not keep the next from being tried.
    pub fn apply(&mut self, commands: &[Command]) -> Vec<Result<(), IpvsError>> {
        let mut results = Vec::with_capacity(commands.len());
        for batch in commands.chunks(BATCH) {
            self.apply_batch(batch, &mut results);
        }
        results
    }

    /// Only the last command asks for an answer. The kernel carries out the messages of a datagram
    /// one after the other, within the system call, and reports a failure unasked; so when the last
    /// one is answered, every other either has its failure in the queue before it or succeeded.
    fn apply_batch(&mut self, batch: &[Command], results: &mut Vec<Result<(), IpvsError>>) {
        let first = self.sequence.wrapping_add(1);
        let start = results.len();
        results.extend(batch.iter().map(|_| Ok(())));
        self.out.clear();
        for (at, command) in batch.iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            let last = at + 1 == batch.len();
            let answer = if last {
                Answer::Acknowledge
            } else {
                Answer::Brief
            };
            frame::request(&mut self.out, self.family, answer, self.sequence, |out| {
                command.encode(out);
            });
        }
        let outcome = self.send().and_then(|()| {
            self.collect_failures(|sequence, errno| {
                let at = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                let (Some(command), Some(result)) = (batch.get(at), results.get_mut(start + at))
                else {
                    return;
                };
                *result = Err(IpvsError::Refused(Box::new(Refusal {
                    command: *command,
                    errno,
                })));
            })
        });
        let Err(error) = outcome else { return };
        let errno = error.errno();
        for (command, result) in batch.iter().zip(&mut results[start..]) {
            if result.is_ok() {
                *result = Err(IpvsError::Lost {
                    command: Box::new(*command),
                    errno,
                });
            }
        }
    }

    /// Receives until the last message sent is answered.
    fn collect_failures(&mut self, mut failed: impl FnMut(u32, Errno)) -> Result<(), IpvsError> {
        let last = self.sequence;
        self.receive(|message| {
            let errno = match message.content {
                Content::Failed(code) => Some(Errno::from_raw(code)),
                Content::Acknowledged => None,
                Content::Overrun => return Err(overrun()),
                Content::Data(_) | Content::Done { .. } | Content::Nothing => return Ok(false),
            };
            if let Some(errno) = errno {
                failed(message.sequence, errno);
            }
            Ok(message.sequence == last)
        })
    }

    fn read_table(
        &mut self,
        pick: impl Fn(&VirtualServerId) -> bool,
    ) -> Result<Option<Table>, IpvsError> {
        let mut servers: Vec<(VirtualServerId, ServerSettings)> = Vec::new();
        let dump = self.dump(Query::Servers, Family::Ipv4, |reply| match reply {
            Reply::Server(id, settings) if pick(&id) => servers.push((id, settings)),
            Reply::Server(..)
            | Reply::Destination(..)
            | Reply::Daemon(_)
            | Reply::Timeouts(_)
            | Reply::Info(_) => {}
        })?;
        if matches!(dump, Dump::Interrupted) {
            return Ok(None);
        }
        servers.sort_unstable_by_key(|(id, _)| *id);
        // The kernel continues a dump by position: an entry removed meanwhile shifts the others,
        // one added makes another come twice.
        if servers.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Ok(None);
        }
        let mut table = Vec::with_capacity(servers.len());
        let mut destinations = Vec::new();
        for (id, settings) in servers {
            if !self.read_destinations(id, &mut destinations)? {
                return Ok(None);
            }
            match assemble(id, settings, &destinations) {
                Ok(server) => table.push((id, server)),
                Err(error) => tracing::warn!(%error, "left out of what the IPVS table holds"),
            }
        }
        Ok(Some(table.into_iter().collect()))
    }

    /// Reads the destinations of one virtual server; false if the table changed meanwhile.
    fn read_destinations(
        &mut self,
        id: VirtualServerId,
        destinations: &mut Vec<(DestinationId, Destination)>,
    ) -> Result<bool, IpvsError> {
        destinations.clear();
        let dump = self.dump(Query::Destinations(id), id.family(), |reply| {
            if let Reply::Destination(id, destination) = reply {
                destinations.push((id, destination));
            }
        })?;
        destinations.sort_unstable_by_key(|(id, _)| *id);
        let twice = destinations.windows(2).any(|pair| pair[0].0 == pair[1].0);
        Ok(matches!(dump, Dump::Complete) && !twice)
    }

    /// Asks for many answers.
    fn dump(
        &mut self,
        query: Query,
        family: Family,
        mut each: impl FnMut(Reply),
    ) -> Result<Dump, IpvsError> {
        let sequence = self.request(query, Answer::Dump)?;
        let mut dump = Dump::Complete;
        self.receive(|message| {
            if message.sequence != sequence {
                return Ok(false);
            }
            match message.content {
                Content::Data(payload) => match Reply::decode(payload, family) {
                    Ok(reply) => each(reply),
                    Err(error) => tracing::warn!(%error, "an IPVS entry is not understood"),
                },
                Content::Done { complete } => {
                    if !complete {
                        dump = Dump::Interrupted;
                    }
                    return Ok(true);
                }
                Content::Failed(code) => {
                    return Err(IpvsError::Asked {
                        errno: Errno::from_raw(code),
                    });
                }
                Content::Overrun => return Err(overrun()),
                Content::Acknowledged | Content::Nothing => {}
            }
            Ok(false)
        })?;
        Ok(dump)
    }

    /// Asks for one answer.
    fn ask<T>(&mut self, query: Query, pick: impl Fn(Reply) -> Option<T>) -> Result<T, IpvsError> {
        let sequence = self.request(query, Answer::Brief)?;
        let mut answer = None;
        self.receive(|message| match message.content {
            _ if message.sequence != sequence => Ok(false),
            Content::Data(payload) => {
                answer = pick(Reply::decode(payload, Family::Ipv4)?);
                Ok(true)
            }
            Content::Failed(code) => Err(IpvsError::Asked {
                errno: Errno::from_raw(code),
            }),
            Content::Overrun => Err(overrun()),
            Content::Acknowledged | Content::Done { .. } | Content::Nothing => Ok(false),
        })?;
        answer.ok_or(IpvsError::Answer(DecodeError::Missing {
            attribute: "answer",
        }))
    }

    fn request(&mut self, query: Query, answer: Answer) -> Result<u32, IpvsError> {
        self.sequence = self.sequence.wrapping_add(1);
        self.out.clear();
        frame::request(&mut self.out, self.family, answer, self.sequence, |out| {
            query.encode(out)
        });
        self.send()?;
        Ok(self.sequence)
    }

    fn look_up(&mut self) -> Result<u16, IpvsError> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        self.out.clear();
        frame::request(
            &mut self.out,
            control::CONTROL_FAMILY,
            Answer::Brief,
            sequence,
            |out| {
                control::encode_lookup(out, FAMILY_NAME);
            },
        );
        self.send()?;
        let mut family = None;
        self.receive(|message| match message.content {
            Content::Data(payload) => {
                family = Some(control::decode_family(payload)?);
                Ok(true)
            }
            Content::Failed(code) => {
                let errno = Errno::from_raw(code);
                let absent = errno == Errno::ENOENT;
                Err(if absent {
                    IpvsError::Absent
                } else {
                    IpvsError::Asked { errno }
                })
            }
            Content::Overrun => Err(overrun()),
            Content::Acknowledged | Content::Done { .. } | Content::Nothing => Ok(false),
        })?;
        family.ok_or(IpvsError::Absent)
    }

    fn send(&mut self) -> Result<(), IpvsError> {
        let failed = |errno| IpvsError::Socket {
            step: "send to the kernel",
            errno,
        };
        let fd = self.socket.as_raw_fd();
        socket::send(fd, &self.out, MsgFlags::empty())
            .map(drop)
            .map_err(failed)
    }

    /// Receives until `each` says that it has seen the last message.
    fn receive(
        &mut self,
        mut each: impl FnMut(frame::Incoming<'_>) -> Result<bool, IpvsError>,
    ) -> Result<(), IpvsError> {
        let failed = |errno| IpvsError::Socket {
            step: "receive from the kernel",
            errno,
        };
        loop {
            let mut slices: Vec<[IoSliceMut<'_>; 1]> = self
                .datagrams
                .iter_mut()
                .map(|d| [IoSliceMut::new(d)])
                .collect();
            let received = socket::recvmmsg(
                self.socket.as_raw_fd(),
                &mut self.headers,
                slices.iter_mut(),
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
    let failed = |errno| IpvsError::Socket {
        step: "open a netlink socket",
        errno,
    };
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

fn assemble(
    id: VirtualServerId,
    settings: ServerSettings,
    destinations: &[(DestinationId, Destination)],
) -> Result<VirtualServer, FamilyError> {
    VirtualServer::new(id, settings)?.with_destinations(destinations.iter().copied())
}

fn overrun() -> IpvsError {
    IpvsError::Socket {
        step: "receive from the kernel",
        errno: Errno::ENOBUFS,
    }
}
