//! The door to the kernel's IPVS table: one generic-netlink socket, blocking, with a deadline.
//!
//! Opens, asks, applies; what to ask for and what to apply is decided elsewhere. It belongs to the
//! network namespace of the thread that opens it. Two things make it fast: many commands go in one
//! system call, and many datagrams of a dump come in one.

mod error;
mod socket;

use std::collections::BTreeMap;
use std::path::Path;

use nix::errno::Errno;

pub use error::IpvsError;

use crate::ipvs::model::{
    Destination, DestinationId, Family, FamilyError, Info, ServerSettings, SyncDaemon, Timeouts,
    VirtualServer, VirtualServerId,
};
use crate::ipvs::refusal::Refusal;
use crate::ipvs::wire::frame::{self, Answer, Content};
use crate::ipvs::wire::{Command, DecodeError, Query, Reply, control};
use socket::Channel;

/// The family's name (`IPVS_GENL_NAME`).
const FAMILY_NAME: &str = "IPVS";
/// Only there when IPVS is loaded or built in.
const LOADED_SIGN: &str = "/proc/self/net/ip_vs";
/// Commands in one system call. More gains nothing measurable, and 100 of the longest stay far
/// below the smallest default send buffer (160 KiB).
const BATCH: usize = 100;
/// How often a table that changes while it is read is read again.
const READS: u32 = 5;

/// A socket to the kernel's IPVS table.
///
/// After an error other than [`IpvsError::Refused`] answers may be under way still: open another.
pub struct Client {
    channel: Channel,
    family: u16,
    sequence: u32,
    out: Vec<u8>,
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
            channel: Channel::open()?,
            family: control::CONTROL_FAMILY,
            sequence: 0,
            out: Vec::new(),
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
                Err(error) if error.errno() == Errno::ENOBUFS => self.channel = Channel::open()?,
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

    /// No command asks for an answer: the kernel carries out the messages of a datagram one after
    /// the other, within the system call, and reports a failure unasked. A question closes the
    /// batch; once it is answered, each command either has its failure in the queue before the
    /// answer or succeeded. (Asking for the last command's answer instead would not do: the kernel
    /// swallows that of one that was interrupted, such as stopping a daemon that has just started.)
    fn apply_batch(&mut self, batch: &[Command], results: &mut Vec<Result<(), IpvsError>>) {
        let first = self.sequence.wrapping_add(1);
        let start = results.len();
        results.extend(batch.iter().map(|_| Ok(())));
        self.out.clear();
        for command in batch {
            self.append(Answer::Brief, |out| command.encode(out));
        }
        self.append(Answer::Brief, |out| Query::Info.encode(out));
        let outcome = self.channel.send(&self.out).and_then(|()| {
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

    /// Receives until the closing question is answered.
    fn collect_failures(&mut self, mut failed: impl FnMut(u32, Errno)) -> Result<(), IpvsError> {
        let closing = self.sequence;
        self.channel.receive(|message| {
            match message.content {
                Content::Failed(code) => failed(message.sequence, Errno::from_raw(code)),
                Content::Overrun => return Err(overrun()),
                Content::Data(_)
                | Content::Acknowledged
                | Content::Done { .. }
                | Content::Nothing => {}
            }
            Ok(message.sequence == closing)
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
        self.channel.receive(|message| {
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
        self.channel.receive(|message| match message.content {
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
        self.out.clear();
        self.append(answer, |out| query.encode(out));
        self.channel.send(&self.out)?;
        Ok(self.sequence)
    }

    /// Adds a message to what is sent next.
    fn append(&mut self, answer: Answer, payload: impl FnOnce(&mut Vec<u8>)) {
        self.sequence = self.sequence.wrapping_add(1);
        frame::request(&mut self.out, self.family, answer, self.sequence, payload);
    }

    fn look_up(&mut self) -> Result<u16, IpvsError> {
        self.out.clear();
        self.append(Answer::Brief, |out| {
            control::encode_lookup(out, FAMILY_NAME)
        });
        self.channel.send(&self.out)?;
        let mut family = None;
        self.channel.receive(|message| match message.content {
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
