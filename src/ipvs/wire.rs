//! The bytes of the generic-netlink family `IPVS` (`include/uapi/linux/ip_vs.h`).
//!
//! A [`Command`] changes the kernel, a [`Query`] asks it, a [`Reply`] is what it answers; [`frame`]
//! holds the netlink headers around them and [`control`] finds the family's number. Whatever bytes
//! come in, decoding returns a value or a [`DecodeError`] and never panics. Attributes that we do
//! not know, PAD among them, are skipped.
//!
//! Netlink is in host byte order, except for ports and IPv4 masks, which are in network order.

mod attribute;
mod command;
pub mod control;
mod destination;
pub mod frame;
mod query;
mod server;
mod settings;

pub use attribute::DecodeError;
pub use command::Command;
pub use query::{Query, Reply};

/// The commands of the family (`IPVS_CMD_*`).
mod cmd {
    pub(super) const NEW_SERVICE: u8 = 1;
    pub(super) const SET_SERVICE: u8 = 2;
    pub(super) const DEL_SERVICE: u8 = 3;
    pub(super) const GET_SERVICE: u8 = 4;
    pub(super) const NEW_DEST: u8 = 5;
    pub(super) const SET_DEST: u8 = 6;
    pub(super) const DEL_DEST: u8 = 7;
    pub(super) const GET_DEST: u8 = 8;
    pub(super) const NEW_DAEMON: u8 = 9;
    pub(super) const DEL_DAEMON: u8 = 10;
    pub(super) const GET_DAEMON: u8 = 11;
    pub(super) const SET_CONFIG: u8 = 12;
    pub(super) const GET_CONFIG: u8 = 13;
    pub(super) const SET_INFO: u8 = 14;
    pub(super) const GET_INFO: u8 = 15;
    pub(super) const ZERO: u8 = 16;
    pub(super) const FLUSH: u8 = 17;
}

/// The outermost attributes of a message (`IPVS_CMD_ATTR_*`); the timeouts are in `settings`.
mod top {
    pub(super) const SERVICE: u16 = 1;
    pub(super) const DEST: u16 = 2;
    pub(super) const DAEMON: u16 = 3;
}

/// A generic-netlink message taken apart: the command and its outermost attributes.
struct Parts<'a> {
    cmd: u8,
    attributes: &'a [u8],
    server: Option<&'a [u8]>,
    destination: Option<&'a [u8]>,
    daemon: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    /// Takes the genl header (command, version, two reserved bytes) and attributes of a message.
    fn of(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((&[cmd, _version, _, _], attributes)) = payload.split_first_chunk() else {
            return Err(DecodeError::Truncated { what: "generic netlink header" });
        };
        let mut parts = Self { cmd, attributes, server: None, destination: None, daemon: None };
        for attribute in attribute::Attributes::new(attributes) {
            let attribute = attribute?;
            match attribute.kind {
                top::SERVICE => parts.server = Some(attribute.value),
                top::DEST => parts.destination = Some(attribute.value),
                top::DAEMON => parts.daemon = Some(attribute.value),
                _ => {}
            }
        }
        Ok(parts)
    }

    fn server(&self) -> Result<&'a [u8], DecodeError> {
        self.server.ok_or(DecodeError::Missing { attribute: "SERVICE" })
    }

    fn destination(&self) -> Result<&'a [u8], DecodeError> {
        self.destination.ok_or(DecodeError::Missing { attribute: "DEST" })
    }

    fn daemon(&self) -> Result<&'a [u8], DecodeError> {
        self.daemon.ok_or(DecodeError::Missing { attribute: "DAEMON" })
    }
}
