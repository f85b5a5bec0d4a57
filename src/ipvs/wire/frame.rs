//! Netlink messages: the header before a family's own bytes, and the walk over many of them.
//!
//! `struct nlmsghdr` of `linux/netlink.h`, `struct genlmsghdr` of `linux/genetlink.h`. Messages are
//! padded to four bytes and follow each other, in what is sent and in what comes.

use super::attribute::DecodeError;

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// The version of the `IPVS` family, and of the one that numbers families.
const GENL_VERSION: u8 = 1;

/// It is a request (`NLM_F_REQUEST`).
const REQUEST: u16 = 0x1;
/// All entries are wanted (`NLM_F_DUMP`).
const DUMP: u16 = 0x300;
/// The table changed while it was dumped (`NLM_F_DUMP_INTR`).
const DUMP_INTERRUPTED: u16 = 0x10;

/// `NLMSG_*`: the types that are no family.
const NOOP: u16 = 1;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const OVERRUN: u16 = 4;

/// How a request is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Only when it fails, or with what was asked for.
    Brief,
    /// With every entry and an end mark.
    Dump,
}

/// Appends a whole request: header, then what `payload` appends.
pub fn request(
    out: &mut Vec<u8>,
    family: u16,
    answer: Answer,
    sequence: u32,
    payload: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    let flags = match answer {
        Answer::Brief => REQUEST,
        Answer::Dump => REQUEST | DUMP,
    };
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&family.to_ne_bytes());
    out.extend_from_slice(&flags.to_ne_bytes());
    out.extend_from_slice(&sequence.to_ne_bytes());
    // The sender's port: the kernel fills it in.
    out.extend_from_slice(&[0; 4]);
    payload(out);
    let length = u32::try_from(out.len() - start);
    assert!(length.is_ok(), "one message of bounded fields is far below 4 GiB");
    out[start..start + 4].copy_from_slice(&length.unwrap_or_default().to_ne_bytes());
}

/// Appends a `struct genlmsghdr`.
pub(super) fn genl_header(out: &mut Vec<u8>, command: u8) {
    out.extend_from_slice(&[command, GENL_VERSION, 0, 0]);
}

/// A message that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming<'a> {
    /// Of the request that it answers.
    pub sequence: u32,
    /// What it says.
    pub content: Content<'a>,
}

/// What an incoming message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// An answer of a family: genl header and attributes.
    Data(&'a [u8]),
    /// The request was carried out.
    Acknowledged,
    /// The request, or a dump under way, failed with this errno (positive).
    Failed(i32),
    /// The end of a dump. `complete` is false when the table changed meanwhile.
    Done {
        /// The dump saw one state of the table, as far as the kernel can tell.
        complete: bool,
    },
    /// Nothing to do with us.
    Nothing,
    /// Messages were lost.
    Overrun,
}

/// Walks over the messages of one datagram.
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// Takes what one receive call returned.
    pub fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }

    fn take(&mut self) -> Result<Option<Incoming<'a>>, DecodeError> {
        let cut = DecodeError::Truncated { what: "netlink message" };
        if self.rest.is_empty() {
            return Ok(None);
        }
        let Some((header, _)) = self.rest.split_first_chunk::<HEADER>() else {
            return Err(cut);
        };
        let &[l0, l1, l2, l3, t0, t1, f0, f1, s0, s1, s2, s3, _, _, _, _] = header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(payload) = self.rest.get(HEADER..length) else {
            return Err(cut);
        };
        let flags = u16::from_ne_bytes([f0, f1]);
        let content = content(u16::from_ne_bytes([t0, t1]), flags, payload)?;
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Ok(Some(Incoming { sequence: u32::from_ne_bytes([s0, s1, s2, s3]), content }))
    }
}

fn content(kind: u16, flags: u16, payload: &[u8]) -> Result<Content<'_>, DecodeError> {
    let code = payload.first_chunk().map(|code| i32::from_ne_bytes(*code));
    match (kind, code) {
        (NOOP, _) => Ok(Content::Nothing),
        (OVERRUN, _) => Ok(Content::Overrun),
        (ERROR, Some(0)) => Ok(Content::Acknowledged),
        // The end mark of a dump that failed half-way carries its errno.
        (ERROR | DONE, Some(code)) if code < 0 => Ok(Content::Failed(code.saturating_neg())),
        (DONE, _) => Ok(Content::Done { complete: flags & DUMP_INTERRUPTED == 0 }),
        (ERROR, _) => Err(DecodeError::Truncated { what: "netlink error" }),
        (_, _) => Ok(Content::Data(payload)),
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Incoming<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.take() {
            Ok(message) => message.map(Ok),
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}
