//! One request and its answer in HTTP/2 (RFC 9113), over a connection of its own.
//!
//! The least that a client has to be: one stream, no push, windows kept open as the body comes,
//! settings and pings acknowledged. Keeps one frame, one header block and HPACK's table, and bears
//! no more than [`MOST_IDLE`] frames that bring nothing of the answer.

mod fields;
mod frame;
mod hpack;
mod huffman;
mod sending;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use self::frame::{ACK, END_HEADERS, END_STREAM, Frame, Kind, MAX_FRAME, PRIORITY, Reader, write};
use self::hpack::{Decoder, Fault};
use self::sending::Sending;
use super::judge::{Judge, Verdict, bad};
use super::request::{headers, is_bodiless, path};
use crate::check::config::HttpRequest;
use crate::check::probe::MOST_BYTES;

/// What a client says first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The only stream.
const STREAM: u32 = 1;
/// So many frames may come that bring nothing of the answer: settings, pings, empty ones.
const MOST_IDLE: usize = 1000;
/// What speaks of the connection does not belong into HTTP/2 (RFC 9113 section 8.2.2).
const OF_CONNECTION: [&str; 6] =
    ["connection", "host", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// SETTINGS (RFC 9113 section 6.5.2).
const ENABLE_PUSH: u16 = 2;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_HEADER_LIST_SIZE: u16 = 6;

/// What is still to come of an answer.
#[derive(Debug)]
pub(super) struct Exchange {
    method: String,
    reader: Reader,
    decoder: Decoder,
    sending: Sending,
    /// A header block that has begun, and whether the stream ends with it.
    block: Option<(Vec<u8>, bool)>,
    /// The status has come, and the body or the trailer section is next.
    answered: bool,
    /// Frames that brought nothing.
    idle: usize,
    /// Why the server will close the connection.
    goaway: Option<u32>,
}

impl Exchange {
    /// Says the request. There is no need to hear the server's settings first (RFC 9113 section
    /// 3.4).
    pub(super) fn open(
        request: &HttpRequest,
        authority: Option<&str>,
        secure: bool,
        out: &mut Vec<u8>,
    ) -> Exchange {
        out.extend_from_slice(PREFACE);
        let mut settings = Vec::new();
        for (setting, value) in [(ENABLE_PUSH, 0), (MAX_HEADER_LIST_SIZE, MOST_BYTES as u32)] {
            settings.extend_from_slice(&setting.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        write(Kind::Settings, 0, 0, &settings, out);
        write_headers(request, authority, secure, out);
        let mut sending = Sending::new(&request.body);
        sending.proceed(out);
        Exchange {
            method: request.method.clone(),
            reader: Reader::default(),
            decoder: Decoder::default(),
            sending,
            block: None,
            answered: false,
            idle: 0,
            goaway: None,
        }
    }

    /// Bytes came.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        judge: &mut Judge,
        out: &mut Vec<u8>,
    ) -> Verdict {
        loop {
            match self.reader.next(&mut bytes) {
                Ok(Some(frame)) => self.frame(&frame, judge, out)?,
                Ok(None) => return ControlFlow::Continue(()),
                Err(what) => return bad(what),
            }
        }
    }

    /// The server closed its side.
    pub(super) fn end(&self) -> Result<(), String> {
        Err(match (self.goaway, self.reader.has_greeted()) {
            (Some(code), _) => format!("the server closed: {}", frame::error_name(code)),
            (None, true) if self.answered => "the connection was closed within the body".to_owned(),
            (None, false) if !self.reader.is_untouched() => self.reader.strange(),
            (None, _) => "the connection was closed without an answer".to_owned(),
        })
    }

    /// How far it got, in words; the judge knows it once the status is known.
    pub(super) fn so_far(&self) -> String {
        match (self.reader.is_untouched(), self.reader.has_greeted()) {
            (true, _) => "connected, but no answer came".to_owned(),
            (false, true) => "the server speaks HTTP/2, but no answer came".to_owned(),
            (false, false) => self.reader.strange(),
        }
    }

    fn frame(&mut self, frame: &Frame, judge: &mut Judge, out: &mut Vec<u8>) -> Verdict {
        // RFC 9113 section 6.10: nothing comes between the parts of a header block.
        if self.block.is_some() != (frame.kind == Some(Kind::Continuation)) {
            return bad("HTTP/2: a header block is interrupted");
        }
        if frame.kind != Some(Kind::Data) || frame.unpadded().is_none_or(<[u8]>::is_empty) {
            self.idle += 1;
            if self.idle > MOST_IDLE {
                return bad("HTTP/2: frame after frame that brings nothing");
            }
        }
        let Some(kind) = frame.kind else { return ControlFlow::Continue(()) };
        let on_stream = match kind {
            Kind::Data | Kind::Headers | Kind::ResetStream | Kind::Continuation => Some(true),
            Kind::Settings | Kind::Ping | Kind::Goaway => Some(false),
            Kind::Priority | Kind::PushPromise | Kind::WindowUpdate => None,
        };
        let right = if on_stream == Some(true) { STREAM } else { 0 };
        if on_stream.is_some() && frame.stream != right {
            return bad("HTTP/2: a frame on a stream where it cannot be");
        }
        match kind {
            Kind::Data => self.data(frame, judge, out),
            Kind::Headers => self.headers(frame, judge),
            Kind::Continuation => self.block(&frame.payload, frame.has(END_HEADERS), judge),
            Kind::ResetStream => reset(frame),
            Kind::Settings => self.settings(frame, out),
            Kind::Ping => ping(frame, out),
            Kind::Goaway => self.goaway(frame),
            Kind::WindowUpdate => self.window_update(frame, out),
            Kind::PushPromise => bad("HTTP/2: a push, which was forbidden"),
            Kind::Priority => ControlFlow::Continue(()),
        }
    }

    fn data(&mut self, frame: &Frame, judge: &mut Judge, out: &mut Vec<u8>) -> Verdict {
        let Some(data) = frame.unpadded().filter(|_| self.answered) else {
            return bad("HTTP/2: data where none can be");
        };
        judge.body(data)?;
        if frame.has(END_STREAM) {
            return ControlFlow::Break(judge.end());
        }
        // What came is gone already, so the window is as wide again as it was. Padding counts
        // (RFC 9113 section 6.9.1).
        if !frame.payload.is_empty() {
            let by = (frame.payload.len() as u32).to_be_bytes();
            write(Kind::WindowUpdate, 0, 0, &by, out);
            write(Kind::WindowUpdate, 0, STREAM, &by, out);
        }
        ControlFlow::Continue(())
    }

    fn headers(&mut self, frame: &Frame, judge: &mut Judge) -> Verdict {
        let after = if frame.has(PRIORITY) { 5 } else { 0 };
        let Some(fragment) = frame.unpadded().and_then(|bytes| bytes.get(after..)) else {
            return bad("HTTP/2: a malformed frame");
        };
        self.block = Some((Vec::new(), frame.has(END_STREAM)));
        self.block(fragment, frame.has(END_HEADERS), judge)
    }

    /// A part of a header block came.
    fn block(&mut self, fragment: &[u8], last: bool, judge: &mut Judge) -> Verdict {
        let Some((block, _)) = &mut self.block else { return ControlFlow::Continue(()) };
        block.extend_from_slice(fragment);
        if block.len() > MOST_BYTES {
            return bad("the header section is longer than 64 KiB");
        }
        let whole = if last { self.block.take() } else { None };
        let Some((block, ends)) = whole else { return ControlFlow::Continue(()) };
        let mut status = None;
        let decoded = self.decoder.decode(&block, |name, value| {
            if name == b":status" {
                status = Some(number(value));
            }
        });
        match decoded {
            Ok(()) if self.answered => trailers(ends, judge),
            Ok(()) => self.answer(status.flatten(), ends, judge),
            Err(Fault::TooLong) => bad("the header section is longer than 64 KiB"),
            Err(Fault::Malformed) => bad("HTTP/2: a malformed header block"),
        }
    }

    fn answer(&mut self, status: Option<u16>, ends: bool, judge: &mut Judge) -> Verdict {
        // RFC 9113 sections 8.1 and 8.6: interim answers end no stream, and nothing is upgraded.
        let status = match status {
            Some(101) | None => return bad("HTTP/2: an answer without a status"),
            Some(100..200) if ends => return bad("HTTP/2: no answer but an interim one"),
            Some(100..200) => return ControlFlow::Continue(()),
            Some(status) => status,
        };
        self.answered = true;
        judge.status(status)?;
        if ends || is_bodiless(&self.method, status) {
            return ControlFlow::Break(judge.end());
        }
        ControlFlow::Continue(())
    }

    fn settings(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Verdict {
        let (settings, rest) = frame.payload.as_chunks::<6>();
        if !rest.is_empty() || (frame.has(ACK) && !settings.is_empty()) {
            return bad("HTTP/2: malformed settings");
        }
        if frame.has(ACK) {
            return ControlFlow::Continue(());
        }
        for [a, b, value @ ..] in settings {
            let (setting, value) = (u16::from_be_bytes([*a, *b]), u32::from_be_bytes(*value));
            if setting == INITIAL_WINDOW_SIZE && !self.sending.begin_with(value) {
                return bad("HTTP/2: a window that is too large");
            }
        }
        write(Kind::Settings, ACK, 0, &[], out);
        self.sending.proceed(out);
        ControlFlow::Continue(())
    }

    fn window_update(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Verdict {
        let by = frame.payload.first_chunk().filter(|_| frame.payload.len() == 4);
        let by = by.map_or(0, |bytes| u32::from_be_bytes(*bytes) & 0x7fff_ffff);
        if by == 0 {
            return bad("HTTP/2: a malformed frame");
        }
        let fits = match frame.stream {
            0 => self.sending.widen_connection(by),
            STREAM => self.sending.widen_stream(by),
            _ => return bad("HTTP/2: a frame on a stream where it cannot be"),
        };
        if !fits {
            return bad("HTTP/2: a window that is too large");
        }
        self.sending.proceed(out);
        ControlFlow::Continue(())
    }

    fn goaway(&mut self, frame: &Frame) -> Verdict {
        let (Some(last), Some(code)) = (word(&frame.payload, 0), word(&frame.payload, 4)) else {
            return bad("HTTP/2: a malformed frame");
        };
        if last & 0x7fff_ffff < STREAM {
            return bad(format!("the server refuses the request: {}", frame::error_name(code)));
        }
        // RFC 9113 section 6.8: what was begun is still answered.
        self.goaway = Some(code);
        ControlFlow::Continue(())
    }

    /// So many bytes are kept of what came.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let block = self.block.as_ref().map_or(0, |(block, _)| block.len());
        self.reader.held() + self.decoder.held() + block
    }
}

/// The request's header block, in as many frames as it takes.
fn write_headers(request: &HttpRequest, authority: Option<&str>, secure: bool, out: &mut Vec<u8>) {
    let mut block = Vec::new();
    hpack::write(":method", &request.method, &mut block);
    // RFC 9113 section 8.5: CONNECT has neither.
    if request.method != "CONNECT" {
        hpack::write(":scheme", if secure { "https" } else { "http" }, &mut block);
        hpack::write(":path", &path(request), &mut block);
    }
    let named = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("host");
    let given = request.headers.iter().find(named).map(|(_, value)| value.as_str());
    if let Some(authority) = given.or(authority) {
        hpack::write(":authority", authority, &mut block);
    }
    for (name, value) in headers(request) {
        // RFC 9113 section 8.2.1: names are in lower case.
        let name = name.to_ascii_lowercase();
        if !OF_CONNECTION.contains(&name.as_str()) {
            hpack::write(&name, &value, &mut block);
        }
    }
    let mut kind = Kind::Headers;
    let mut ends = if request.body.is_empty() { END_STREAM } else { 0 };
    let mut fragments = block.chunks(MAX_FRAME).peekable();
    while let Some(fragment) = fragments.next() {
        let last = if fragments.peek().is_none() { END_HEADERS } else { 0 };
        write(kind, last | ends, STREAM, fragment, out);
        (kind, ends) = (Kind::Continuation, 0);
    }
}

/// RFC 9113 section 8.1: a second header section ends the stream.
fn trailers(ends: bool, judge: &Judge) -> Verdict {
    if !ends {
        return bad("HTTP/2: a second header section that is not the last");
    }
    ControlFlow::Break(judge.end())
}

fn reset(frame: &Frame) -> Verdict {
    match word(&frame.payload, 0) {
        Some(code) => bad(format!("the server gave the request up: {}", frame::error_name(code))),
        None => bad("HTTP/2: a malformed frame"),
    }
}

fn ping(frame: &Frame, out: &mut Vec<u8>) -> Verdict {
    if frame.payload.len() != 8 {
        return bad("HTTP/2: a malformed frame");
    }
    if !frame.has(ACK) {
        write(Kind::Ping, ACK, 0, &frame.payload, out);
    }
    ControlFlow::Continue(())
}

/// The 32 bits at this place.
fn word(payload: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*payload.get(at..)?.first_chunk()?))
}

/// A status: three digits (RFC 9110 section 15).
fn number(value: &[u8]) -> Option<u16> {
    let text = str::from_utf8(value).ok()?;
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|status| digits && *status >= 100)
}
