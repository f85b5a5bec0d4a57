//! A generic-netlink family, asked now and then: one socket for each question.
//!
//! Commands and attributes are numbers and bytes here; the families give them meaning. IPVS, where
//! thousands of entries go at once, has a socket of its own.

use std::io;

use futures_util::StreamExt;
use nix::errno::Errno;
use rtnetlink::packet_core::{
    DecodeError, DefaultNla, Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable,
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable, NlasIterator,
};
use rtnetlink::proto::new_connection;
use rtnetlink::sys::SocketAddr;
use rtnetlink::sys::protocols::NETLINK_GENERIC;

/// The family that numbers the others, and how it is asked (`linux/genetlink.h`).
const CONTROL: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

/// Bytes of `struct genlmsghdr`, and the version that all families of ours have.
const HEADER: usize = 4;
const VERSION: u8 = 1;

/// Attributes by their number, in order.
pub(super) type Attributes = Vec<(u16, Vec<u8>)>;

/// A family and how to reach it.
pub(super) struct Family(u16);

impl Family {
    /// Finds a family by its name; the kernel may load a module for it. `None` if it has none.
    pub(super) async fn find(name: &str) -> io::Result<Option<Self>> {
        let mut word = name.as_bytes().to_vec();
        word.push(0);
        let answers = exchange(CONTROL, GET_FAMILY, NLM_F_ACK, vec![(FAMILY_NAME, word)]).await;
        let answers = match answers {
            Err(e) if e.raw_os_error() == Some(Errno::ENOENT as i32) => return Ok(None),
            other => other?,
        };
        let id = answers.iter().flatten().find(|(kind, _)| *kind == FAMILY_ID);
        let id = id.and_then(|(_, value)| value.as_slice().try_into().ok());
        Ok(id.map(|id| Family(u16::from_ne_bytes(id))))
    }

    /// Gives a command.
    pub(super) async fn command(&self, command: u8, attributes: Attributes) -> io::Result<()> {
        exchange(self.0, command, NLM_F_ACK, attributes).await.map(drop)
    }

    /// Asks for all entries.
    pub(super) async fn dump(&self, command: u8) -> io::Result<Vec<Attributes>> {
        exchange(self.0, command, NLM_F_DUMP, Vec::new()).await
    }
}

async fn exchange(
    family: u16,
    command: u8,
    flags: u16,
    attributes: Attributes,
) -> io::Result<Vec<Attributes>> {
    let (connection, handle, _unsolicited) = new_connection::<Message>(NETLINK_GENERIC)?;
    let serving = tokio::spawn(connection);
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    let payload = NetlinkPayload::InnerMessage(Message { family, command, attributes });
    let request = NetlinkMessage::new(header, payload);
    let mut answers = handle.request(request, SocketAddr::new(0, 0)).map_err(io::Error::other)?;
    let mut found = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer.payload {
            NetlinkPayload::InnerMessage(message) => found.push(message.attributes),
            NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
            NetlinkPayload::Overrun(_) => return Err(Errno::ENOBUFS.into()),
            _ => {}
        }
    }
    serving.abort();
    Ok(found)
}

/// One message of any family.
#[derive(Debug)]
struct Message {
    family: u16,
    command: u8,
    attributes: Attributes,
}

impl Message {
    fn nlas(&self) -> Vec<DefaultNla> {
        self.attributes.iter().map(|(kind, value)| DefaultNla::new(*kind, value.clone())).collect()
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.family
    }

    fn buffer_len(&self) -> usize {
        HEADER + self.nlas().as_slice().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer[..HEADER].copy_from_slice(&[self.command, VERSION, 0, 0]);
        self.nlas().as_slice().emit(&mut buffer[HEADER..]);
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let Some((&[command, ..], rest)) = payload.split_first_chunk::<HEADER>() else {
            return Err(DecodeError::buffer_too_small(payload.len(), HEADER));
        };
        let mut attributes = Attributes::new();
        for nla in NlasIterator::new(rest) {
            let nla = nla?;
            attributes.push((nla.kind(), nla.value().to_vec()));
        }
        Ok(Message { family: header.message_type, command, attributes })
    }
}
