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
    Connections, Destination, DestinationId, Family, FamilyError, Info, ServerSettings, SyncDaemon,
    Timeouts, VirtualServer, VirtualServerId, Weight,
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
/// Datagrams of an answer that is one message; where nothing failed, so is that of a batch.
const ONE: usize = 1;
/// Datagrams of a dump that fits into one: the entries, and the end mark.
const FEW: usize = 2;
/// Datagrams of a long dump, received in one system call: about 700 virtual servers.
const MANY: usize = 8;
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

/// What the destinations of a virtual server weigh and carry.
pub type Load = BTreeMap<DestinationId, (Weight, Connections)>;

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
            out: Vec::with_capacity(BATCH * 256),
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

    /// Reads the weights of one virtual server's destinations, and how many connections they have
    /// now; none if there is no such virtual server.
    pub fn load(&mut self, id: VirtualServerId) -> Result<Load, IpvsError> {
        for _ in 0..READS {
            let mut load = Load::new();
            let dump = self.dump(Query::Destinations(id), id.family(), FEW, |reply| {
                if let Reply::Destination(id, to, connections) = reply {
                    load.insert(id, (to.weight, connections));
                }
            })?;
            if matches!(dump, Dump::Complete) {
                return Ok(load);
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
            let dump = self.dump(Query::Daemons, Family::Ipv4, FEW, |reply| {
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
        let mut results: Vec<Result<(), IpvsError>> = commands.iter().map(|_| Ok(())).collect();
        let mut pass = self.pass();
        for command in commands {
            pass.push(*command);
        }
        for (at, error) in pass.finish() {
            results[at] = Err(error);
        }
        results
    }

    /// Begins to carry out commands that are not all known yet.
    pub fn pass(&mut self) -> Pass<'_> {
        let batch = Vec::with_capacity(BATCH);
        Pass { client: self, batch, pushed: 0, failures: Vec::new() }
    }

    /// Receives until the closing question is answered.
    fn collect_failures(&mut self, mut failed: impl FnMut(u32, Errno)) -> Result<(), IpvsError> {
        let closing = self.sequence;
        self.channel.receive(ONE, |message| {
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
        let dump = self.dump(Query::Servers, Family::Ipv4, MANY, |reply| match reply {
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
        let dump = self.dump(Query::Destinations(id), id.family(), FEW, |reply| {
            if let Reply::Destination(id, destination, _) = reply {
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
        datagrams: usize,
        mut each: impl FnMut(Reply),
    ) -> Result<Dump, IpvsError> {
        let sequence = self.request(query, Answer::Dump)?;
        let mut dump = Dump::Complete;
        self.channel.receive(datagrams, |message| {
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
                    return Err(IpvsError::Asked { errno: Errno::from_raw(code) });
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
        self.channel.receive(ONE, |message| match message.content {
            _ if message.sequence != sequence => Ok(false),
            Content::Data(payload) => {
                answer = pick(Reply::decode(payload, Family::Ipv4)?);
                Ok(true)
            }
            Content::Failed(code) => Err(IpvsError::Asked { errno: Errno::from_raw(code) }),
            Content::Overrun => Err(overrun()),
            Content::Acknowledged | Content::Done { .. } | Content::Nothing => Ok(false),
        })?;
        answer.ok_or(IpvsError::Answer(DecodeError::Missing { attribute: "answer" }))
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
        self.append(Answer::Brief, |out| control::encode_lookup(out, FAMILY_NAME));
        self.channel.send(&self.out)?;
        let mut family = None;
        self.channel.receive(ONE, |message| match message.content {
            Content::Data(payload) => {
                family = Some(control::decode_family(payload)?);
                Ok(true)
            }
            Content::Failed(code) => {
                let errno = Errno::from_raw(code);
                let absent = errno == Errno::ENOENT;
                Err(if absent { IpvsError::Absent } else { IpvsError::Asked { errno } })
            }
            Content::Overrun => Err(overrun()),
            Content::Acknowledged | Content::Done { .. } | Content::Nothing => Ok(false),
        })?;
        family.ok_or(IpvsError::Absent)
    }
}

/// Commands on their way to the kernel, in order, many in one system call.
///
/// A command that fails does not keep the next from being tried.
pub struct Pass<'a> {
    client: &'a mut Client,
    batch: Vec<Command>,
    pushed: usize,
    failures: Vec<(usize, IpvsError)>,
}

impl Pass<'_> {
    /// Adds a command. It may be carried out now or later, but before [`Pass::finish`] returns.
    pub fn push(&mut self, command: Command) {
        self.batch.push(command);
        self.pushed += 1;
        if self.batch.len() == BATCH {
            self.flush();
        }
    }

    /// How many commands have been added.
    pub fn pushed(&self) -> usize {
        self.pushed
    }

    /// Carries out the rest. Returns what failed, in order, by how many commands were added before.
    pub fn finish(mut self) -> Vec<(usize, IpvsError)> {
        if !self.batch.is_empty() {
            self.flush();
        }
        self.failures
    }

    /// No command asks for an answer: the kernel carries out the messages of a datagram one after
    /// the other, within the system call, and reports a failure unasked. A question closes the
    /// batch; once it is answered, each command either has its failure in the queue before the
    /// answer or succeeded. (Asking for the last command's answer instead would not do: the kernel
    /// swallows that of one that was interrupted, such as stopping a daemon that has just started.)
    fn flush(&mut self) {
        let Self { client, batch, pushed, failures } = self;
        let start = *pushed - batch.len();
        let known = failures.len();
        let first = client.sequence.wrapping_add(1);
        client.out.clear();
        for command in batch.iter() {
            client.append(Answer::Brief, |out| command.encode(out));
        }
        client.append(Answer::Brief, |out| Query::Info.encode(out));
        let outcome = client.channel.send(&client.out).and_then(|()| {
            client.collect_failures(|sequence, errno| {
                let at = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                if let Some(command) = batch.get(at) {
                    let refusal = Box::new(Refusal { command: *command, errno });
                    failures.push((start + at, IpvsError::Refused(refusal)));
                }
            })
        });
        if let Err(error) = outcome {
            let errno = error.errno();
            // Those that are known to have failed did; of the others nothing is known.
            for (at, command) in (start..).zip(batch.iter()) {
                if failures[known..].iter().all(|(failed, _)| *failed != at) {
                    let command = Box::new(*command);
                    failures.push((at, IpvsError::Lost { command, errno }));
                }
            }
            failures[known..].sort_unstable_by_key(|(at, _)| *at);
        }
        batch.clear();
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
    IpvsError::Socket { step: "receive from the kernel", errno: Errno::ENOBUFS }
}
