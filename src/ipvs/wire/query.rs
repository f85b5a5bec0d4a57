//! What asks the kernel, and what it answers.
//!
//! The kernel answers with the command that would make what it describes: a virtual server comes as
//! `NEW_SERVICE`. Only destinations differ from that, as they come without their virtual server.

use super::attribute::{DecodeError, Writer};
use super::{Parts, cmd, destination, frame, server, settings, top};
use crate::ipvs::model::{
    Connections, Destination, DestinationId, Family, Info, ServerSettings, SyncDaemon, Timeouts,
    VirtualServerId,
};

/// A question, which changes nothing. The kernel wants `CAP_NET_ADMIN` for it all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// All virtual servers, without their destinations; many answers.
    Servers,
    /// One virtual server; `ESRCH` if it is not there.
    Server(VirtualServerId),
    /// The destinations of one virtual server; many answers, none if it is not there.
    Destinations(VirtualServerId),
    /// The running synchronisation daemons; many answers.
    Daemons,
    /// The timeouts.
    Timeouts,
    /// Version and size.
    Info,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// A virtual server.
    Server(VirtualServerId, ServerSettings),
    /// A destination of the virtual server that was asked about.
    Destination(DestinationId, Destination, Connections),
    /// A running daemon.
    Daemon(SyncDaemon),
    /// The timeouts.
    Timeouts(Timeouts),
    /// Version and size.
    Info(Info),
}

impl Query {
    /// Whether many answers come, closed by an end mark (`NLM_F_DUMP`), or just one.
    pub fn is_dump(&self) -> bool {
        match self {
            Self::Servers | Self::Destinations(_) | Self::Daemons => true,
            Self::Server(_) | Self::Timeouts | Self::Info => false,
        }
    }

    /// Appends the genl header and the attributes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let number = match self {
            Self::Servers | Self::Server(_) => cmd::GET_SERVICE,
            Self::Destinations(_) => cmd::GET_DEST,
            Self::Daemons => cmd::GET_DAEMON,
            Self::Timeouts => cmd::GET_CONFIG,
            Self::Info => cmd::GET_INFO,
        };
        frame::genl_header(out, number);
        match self {
            Self::Server(id) | Self::Destinations(id) => {
                Writer::new(out).nest(top::SERVICE, |nest| server::write_id(nest, id));
            }
            Self::Servers | Self::Daemons | Self::Timeouts | Self::Info => {}
        }
    }
}

impl Reply {
    /// Reads the genl header and the attributes of an answer.
    ///
    /// `family` is that of the virtual server whose destinations were asked for: kernels before
    /// 3.18 do not repeat it. Other answers do not need it.
    pub fn decode(payload: &[u8], family: Family) -> Result<Self, DecodeError> {
        let parts = Parts::of(payload)?;
        match parts.cmd {
            cmd::NEW_SERVICE => {
                let fields = server::Fields::read(parts.server()?)?;
                let id = fields.id()?;
                Ok(Self::Server(id, fields.settings(id.family())?))
            }
            cmd::NEW_DEST => {
                let fields = destination::Fields::read(parts.destination()?)?;
                let (to, has) = (fields.settings()?, fields.connections()?);
                Ok(Self::Destination(fields.id(family)?, to, has))
            }
            cmd::NEW_DAEMON => settings::read_daemon(parts.daemon()?).map(Self::Daemon),
            cmd::SET_CONFIG => settings::read_timeouts(parts.attributes).map(Self::Timeouts),
            cmd::SET_INFO => settings::read_info(parts.attributes).map(Self::Info),
            command => Err(DecodeError::Command { command }),
        }
    }
}
