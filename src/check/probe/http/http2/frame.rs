//! Frames of HTTP/2 (RFC 9113 section 4), taken one at a time out of a stream that is cut anywhere.
//!
//! Keeps at most one frame, and refuses one that is longer than what we allow, which is the least
//! that can be allowed. Knows the kinds by number, and nothing of what they mean.

use std::mem;

use crate::check::probe::quote::quote;

/// RFC 9113 section 4.2.
pub(super) const MAX_FRAME: usize = 16384;
/// RFC 9113 section 4.1.
const HEADER: usize = 9;

/// A kind of frame (RFC 9113 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data = 0,
    Headers = 1,
    Priority = 2,
    ResetStream = 3,
    Settings = 4,
    PushPromise = 5,
    Ping = 6,
    Goaway = 7,
    WindowUpdate = 8,
    Continuation = 9,
}

impl Kind {
    fn new(number: u8) -> Option<Kind> {
        let kinds = [
            Kind::Data,
            Kind::Headers,
            Kind::Priority,
            Kind::ResetStream,
            Kind::Settings,
            Kind::PushPromise,
            Kind::Ping,
            Kind::Goaway,
            Kind::WindowUpdate,
            Kind::Continuation,
        ];
        kinds.get(usize::from(number)).copied()
    }
}

/// On DATA and HEADERS: the last of the stream.
pub(super) const END_STREAM: u8 = 0x1;
/// On SETTINGS and PING.
pub(super) const ACK: u8 = 0x1;
/// On HEADERS and CONTINUATION: the last of the block.
pub(super) const END_HEADERS: u8 = 0x4;
/// On DATA and HEADERS.
pub(super) const PADDED: u8 = 0x8;
/// On HEADERS.
pub(super) const PRIORITY: u8 = 0x20;

/// A frame that came.
#[derive(Debug)]
pub(super) struct Frame {
    /// None is for what is newer than us, and not for us to mind (RFC 9113 section 4.1).
    pub(super) kind: Option<Kind>,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The payload without its padding (RFC 9113 section 6.1), if it is longer than that.
    pub(super) fn unpadded(&self) -> Option<&[u8]> {
        if !self.has(PADDED) {
            return Some(&self.payload);
        }
        let (length, rest) = self.payload.split_first()?;
        rest.get(..rest.len().checked_sub(usize::from(*length))?)
    }
}

/// Takes frames out of a stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    frame: Vec<u8>,
    /// The first frame came, and was what the first one has to be.
    greeted: bool,
}

impl Reader {
    /// The next frame, if all of it has come. `Err` says why none can.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Frame>, String> {
        if !self.fill(HEADER, bytes) {
            return Ok(None);
        }
        let [a, b, c, kind, flags, stream @ ..] = self.header();
        let kind = Kind::new(kind);
        // RFC 9113 section 3.4: the first that a server says is its settings.
        if !self.greeted && (kind != Some(Kind::Settings) || flags & ACK != 0) {
            return Err(self.strange());
        }
        self.greeted = true;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if length > MAX_FRAME {
            return Err("HTTP/2: a frame is longer than was allowed".to_owned());
        }
        if !self.fill(HEADER + length, bytes) {
            return Ok(None);
        }
        let payload = mem::take(&mut self.frame).split_off(HEADER);
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        Ok(Some(Frame { kind, flags, stream, payload }))
    }

    /// Whether anything came.
    pub(super) fn is_untouched(&self) -> bool {
        !self.greeted && self.frame.is_empty()
    }

    /// Whether what came is HTTP/2.
    pub(super) fn has_greeted(&self) -> bool {
        self.greeted
    }

    /// What came instead of a greeting.
    pub(super) fn strange(&self) -> String {
        if self.frame.starts_with(b"HTTP/1.") {
            return "the server speaks HTTP/1, not HTTP/2".to_owned();
        }
        format!("the answer is not HTTP/2: \"{}\"", quote(&self.frame))
    }

    /// Takes bytes until there are so many.
    fn fill(&mut self, length: usize, bytes: &mut &[u8]) -> bool {
        let missing = length.saturating_sub(self.frame.len());
        let (ours, rest) = bytes.split_at(missing.min(bytes.len()));
        self.frame.extend_from_slice(ours);
        *bytes = rest;
        self.frame.len() >= length
    }

    fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header.copy_from_slice(&self.frame[..HEADER]);
        header
    }

    /// So many bytes are kept.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.frame.len()
    }
}

/// Writes a frame. Ours are never longer than [`MAX_FRAME`].
pub(super) fn write(kind: Kind, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind as u8, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// The name of an error code (RFC 9113 section 7).
pub(super) fn error_name(code: u32) -> String {
    let names = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    names.get(code as usize).map_or_else(|| format!("error {code}"), |name| (*name).to_owned())
}
