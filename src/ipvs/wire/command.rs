//! What changes the kernel's table.
//!
//! A [`Command`] is one message, and says in words what it does, for errors and logs. It can be
//! read back from the bytes of any program that changes IPVS, which is how it is tested against
//! ipvsadm.

use std::fmt;

use super::attribute::{DecodeError, Writer};
use super::{Parts, cmd, destination, frame, server, settings, top};
use crate::ipvs::model::{
    Destination, DestinationId, ServerSettings, SyncDaemon, SyncState, Timeouts, VirtualServerId,
};

/// One change of the kernel's table, which is one message.
///
/// The kernel has no transaction: each stands for itself, and they are carried out in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    /// Adds a virtual server without destinations; `EEXIST` if it is there.
    NewServer(VirtualServerId, ServerSettings),
    /// Changes how a virtual server works; its destinations and connections stay.
    SetServer(VirtualServerId, ServerSettings),
    /// Removes a virtual server and its destinations.
    DelServer(VirtualServerId),
    /// Adds a destination; `EEXIST` if it is there.
    NewDestination(VirtualServerId, DestinationId, Destination),
    /// Changes how a destination is served; its connections stay.
    SetDestination(VirtualServerId, DestinationId, Destination),
    /// Removes a destination. The kernel keeps it aside while connections use it.
    DelDestination(VirtualServerId, DestinationId),
    /// Starts a synchronisation daemon; `EEXIST` if one of that state runs.
    NewDaemon(SyncDaemon),
    /// Stops a synchronisation daemon.
    DelDaemon(SyncState),
    /// Sets the timeouts.
    SetTimeouts(Timeouts),
    /// Sets counters to zero, of one virtual server or of all.
    Zero(Option<VirtualServerId>),
    /// Removes every virtual server of the network namespace.
    Flush,
}

impl Command {
    /// Appends the genl header and the attributes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        frame::genl_header(out, self.number());
        let out = &mut Writer::new(out);
        match self {
            Self::NewServer(id, settings) | Self::SetServer(id, settings) => {
                out.nest(top::SERVICE, |nest| {
                    server::write_id(nest, id);
                    server::write_settings(nest, id.family(), settings);
                });
            }
            Self::DelServer(id) | Self::Zero(Some(id)) => {
                out.nest(top::SERVICE, |nest| server::write_id(nest, id));
            }
            Self::NewDestination(of, id, settings) | Self::SetDestination(of, id, settings) => {
                out.nest(top::SERVICE, |nest| server::write_id(nest, of));
                out.nest(top::DEST, |nest| {
                    destination::write_id(nest, id);
                    destination::write_settings(nest, settings);
                });
            }
            Self::DelDestination(of, id) => {
                out.nest(top::SERVICE, |nest| server::write_id(nest, of));
                out.nest(top::DEST, |nest| destination::write_id(nest, id));
            }
            Self::NewDaemon(daemon) => {
                out.nest(top::DAEMON, |nest| settings::write_daemon(nest, daemon));
            }
            Self::DelDaemon(state) => {
                out.nest(top::DAEMON, |nest| settings::write_state(nest, *state));
            }
            Self::SetTimeouts(timeouts) => settings::write_timeouts(out, timeouts),
            Self::Zero(None) | Self::Flush => {}
        }
    }

    fn number(&self) -> u8 {
        match self {
            Self::NewServer(..) => cmd::NEW_SERVICE,
            Self::SetServer(..) => cmd::SET_SERVICE,
            Self::DelServer(_) => cmd::DEL_SERVICE,
            Self::NewDestination(..) => cmd::NEW_DEST,
            Self::SetDestination(..) => cmd::SET_DEST,
            Self::DelDestination(..) => cmd::DEL_DEST,
            Self::NewDaemon(_) => cmd::NEW_DAEMON,
            Self::DelDaemon(_) => cmd::DEL_DAEMON,
            Self::SetTimeouts(_) => cmd::SET_CONFIG,
            Self::Zero(_) => cmd::ZERO,
            Self::Flush => cmd::FLUSH,
        }
    }

    /// Reads the genl header and the attributes of a command, ours or another program's.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let parts = Parts::of(payload)?;
        match parts.cmd {
            cmd::NEW_SERVICE | cmd::SET_SERVICE => {
                let fields = server::Fields::read(parts.server()?)?;
                let id = fields.id()?;
                let settings = fields.settings(id.family())?;
                let new = parts.cmd == cmd::NEW_SERVICE;
                Ok(if new { Self::NewServer(id, settings) } else { Self::SetServer(id, settings) })
            }
            cmd::DEL_SERVICE => server_id(parts.server()?).map(Self::DelServer),
            cmd::NEW_DEST | cmd::SET_DEST | cmd::DEL_DEST => decode_destination(&parts),
            cmd::NEW_DAEMON => settings::read_daemon(parts.daemon()?).map(Self::NewDaemon),
            cmd::DEL_DAEMON => settings::read_state(parts.daemon()?).map(Self::DelDaemon),
            cmd::SET_CONFIG => settings::read_timeouts(parts.attributes).map(Self::SetTimeouts),
            cmd::ZERO => parts.server.map(server_id).transpose().map(Self::Zero),
            cmd::FLUSH => Ok(Self::Flush),
            command => Err(DecodeError::Command { command }),
        }
    }
}

fn server_id(nest: &[u8]) -> Result<VirtualServerId, DecodeError> {
    server::Fields::read(nest)?.id()
}

fn decode_destination(parts: &Parts<'_>) -> Result<Command, DecodeError> {
    let of = server_id(parts.server()?)?;
    let fields = destination::Fields::read(parts.destination()?)?;
    let id = fields.id(of.family())?;
    match parts.cmd {
        cmd::NEW_DEST => Ok(Command::NewDestination(of, id, fields.settings()?)),
        cmd::SET_DEST => Ok(Command::SetDestination(of, id, fields.settings()?)),
        _ => Ok(Command::DelDestination(of, id)),
    }
}

impl fmt::Display for Command {
    /// What it does, in words: `add 192.0.2.9:80 to TCP 192.0.2.1:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewServer(id, _) => write!(f, "add virtual server {id}"),
            Self::SetServer(id, _) => write!(f, "change virtual server {id}"),
            Self::DelServer(id) => write!(f, "remove virtual server {id}"),
            Self::NewDestination(of, id, _) => write!(f, "add {id} to {of}"),
            Self::SetDestination(of, id, _) => write!(f, "change {id} of {of}"),
            Self::DelDestination(of, id) => write!(f, "remove {id} from {of}"),
            Self::NewDaemon(daemon) => {
                let (state, interface) = (daemon.state.word(), daemon.interface);
                write!(f, "start the {state} synchronisation daemon on {interface}")
            }
            Self::DelDaemon(state) => {
                write!(f, "stop the {} synchronisation daemon", state.word())
            }
            Self::SetTimeouts(t) => {
                write!(f, "set timeouts tcp {}, tcp-fin {}, udp {}", t.tcp, t.tcp_fin, t.udp)
            }
            Self::Zero(Some(id)) => write!(f, "zero the counters of {id}"),
            Self::Zero(None) => f.write_str("zero all counters"),
            Self::Flush => f.write_str("remove all virtual servers"),
        }
    }
}
