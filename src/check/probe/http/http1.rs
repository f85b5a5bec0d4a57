//! One request and its answer in HTTP/1.0 or HTTP/1.1 (RFC 9112).
//!
//! Owns where a header section ends and how long a body is. What is unusual but understood by
//! browsers is taken, what leaves it unclear where the body ends is bad. A header section is kept
//! until it has ended and never longer than [`MOST_BYTES`], the interim ones before it counted in.

use std::mem;
use std::ops::ControlFlow;

use super::chunked::Chunked;
use super::judge::{Judge, Verdict, bad};
use super::request::{has, headers, is_bodiless, path};
use crate::check::config::{HttpRequest, HttpVersion};
use crate::check::probe::MOST_BYTES;
use crate::check::probe::quote::quote;

/// More headers than any page has.
const MOST_HEADERS: usize = 256;
/// Something that is not HTTP is shown when a line, or so much of it, has come.
const STRANGE_LINE: usize = 60;
/// How every answer begins.
const BEGINNING: &[u8] = b"HTTP/";

/// What is still to come of an answer.
#[derive(Debug)]
pub(super) struct Exchange {
    method: String,
    /// Bytes of header sections so far.
    sections: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The header section; so much of it came.
    Head(Vec<u8>),
    /// The body.
    Body(Framing),
}

/// How a body ends (RFC 9112 section 6.3).
#[derive(Debug)]
enum Framing {
    /// After as many bytes more.
    Length(u64),
    /// With its last chunk.
    Chunked(Chunked),
    /// With the connection.
    Close,
}

impl Exchange {
    /// Says the request.
    pub(super) fn open(
        version: HttpVersion,
        request: &HttpRequest,
        authority: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Exchange {
        let number = if version == HttpVersion::V10 { "1.0" } else { "1.1" };
        let mut head = format!("{} {} HTTP/{number}\r\n", request.method, path(request));
        let mut put = |name: &str, value: &str| {
            head.extend([name, ": ", value, "\r\n"]);
        };
        if let Some(authority) = authority.filter(|_| !has(request, "Host")) {
            put("Host", authority);
        }
        if !has(request, "Connection") {
            put("Connection", "close");
        }
        headers(request).iter().for_each(|(name, value)| put(name, value));
        head.push_str("\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&request.body);
        let method = request.method.clone();
        Exchange { method, sections: 0, stage: Stage::Head(Vec::new()) }
    }

    /// Bytes came.
    pub(super) fn feed(&mut self, mut bytes: &[u8], judge: &mut Judge) -> Verdict {
        while !bytes.is_empty() {
            match &mut self.stage {
                Stage::Head(_) => self.head(&mut bytes, judge)?,
                Stage::Body(framing) => framing.feed(&mut bytes, judge)?,
            }
        }
        ControlFlow::Continue(())
    }

    /// The server closed its side.
    pub(super) fn end(&self, judge: &Judge) -> Result<(), String> {
        match &self.stage {
            Stage::Head(head) if head.is_empty() => {
                Err("the connection was closed without an answer".to_owned())
            }
            Stage::Head(head) if is_strange(head) => Err(strange(head)),
            Stage::Head(_) => Err("the connection was closed within the header section".to_owned()),
            Stage::Body(Framing::Close) => judge.end(),
            Stage::Body(Framing::Length(_) | Framing::Chunked(_)) => {
                Err("the connection was closed within the body".to_owned())
            }
        }
    }

    /// How far it got, in words; the judge knows it once the status is known.
    pub(super) fn so_far(&self) -> String {
        match &self.stage {
            Stage::Head(head) if head.is_empty() => "connected, but no answer came".to_owned(),
            Stage::Head(head) if is_strange(head) => strange(head),
            Stage::Head(_) => "the header section did not end".to_owned(),
            Stage::Body(_) => "the body did not end".to_owned(),
        }
    }

    /// Takes a header section's bytes up to its end.
    fn head(&mut self, bytes: &mut &[u8], judge: &mut Judge) -> Verdict {
        let Stage::Head(head) = &mut self.stage else { return ControlFlow::Continue(()) };
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            head.push(*byte);
            self.sections += 1;
            if is_strange(head) {
                if *byte == b'\n' || head.len() == STRANGE_LINE {
                    return bad(strange(head));
                }
            } else if head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n") {
                let head = mem::take(head);
                return self.answer(&head, judge);
            } else if self.sections > MOST_BYTES {
                return bad("the header section is longer than 64 KiB");
            }
        }
        ControlFlow::Continue(())
    }

    /// A header section has come whole.
    fn answer(&mut self, head: &[u8], judge: &mut Judge) -> Verdict {
        let mut fields = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut answer = httparse::Response::new(&mut fields);
        let parsed = httparse::ParserConfig::default()
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_space_before_first_header_name(true)
            .ignore_invalid_headers_in_responses(true)
            .parse_response(&mut answer, head);
        let status = match (parsed, answer.code) {
            (Ok(httparse::Status::Complete(_)), Some(status)) => status,
            (Err(error), _) => return bad(format!("the header section is malformed: {error}")),
            (Ok(_), _) => return bad("the header section is malformed"),
        };
        // RFC 9112 section 6: interim answers come before the answer, except that nothing in HTTP
        // follows once protocols are switched.
        if (100..200).contains(&status) && status != 101 {
            return ControlFlow::Continue(());
        }
        judge.status(status)?;
        if is_bodiless(&self.method, status) {
            return ControlFlow::Break(judge.end());
        }
        match framing(answer.headers) {
            Ok(Framing::Length(0)) => ControlFlow::Break(judge.end()),
            Ok(framing) => {
                self.stage = Stage::Body(framing);
                ControlFlow::Continue(())
            }
            Err(what) => bad(what),
        }
    }

    /// So many bytes are kept.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        match &self.stage {
            Stage::Head(head) => head.len(),
            Stage::Body(_) => 0,
        }
    }
}

impl Framing {
    fn feed(&mut self, bytes: &mut &[u8], judge: &mut Judge) -> Verdict {
        match self {
            Framing::Close => judge.body(mem::take(bytes)),
            Framing::Chunked(chunked) => chunked.feed(bytes, judge),
            Framing::Length(left) => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let (body, rest) = bytes.split_at(n);
                *bytes = rest;
                *left -= n as u64;
                judge.body(body)?;
                if *left == 0 {
                    return ControlFlow::Break(judge.end());
                }
                ControlFlow::Continue(())
            }
        }
    }
}

/// How the body behind these headers ends.
fn framing(headers: &[httparse::Header<'_>]) -> Result<Framing, &'static str> {
    let values = |name: &'static str| {
        let named = headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        // RFC 9110 section 5.3: several of a name are one list.
        named.flat_map(|header| header.value.split(|b| *b == b',')).map(<[u8]>::trim_ascii)
    };
    if let Some(last) = values("Transfer-Encoding").next_back() {
        let chunked = last.eq_ignore_ascii_case(b"chunked");
        return Ok(if chunked { Framing::Chunked(Chunked::default()) } else { Framing::Close });
    }
    let mut length = None;
    for value in values("Content-Length") {
        let text = str::from_utf8(value).ok().filter(|text| !text.starts_with('+'));
        let Some(number) = text.and_then(|text| text.parse().ok()) else {
            return Err("the Content-Length is no number");
        };
        if length.is_some_and(|length| length != number) {
            return Err("there is more than one Content-Length");
        }
        length = Some(number);
    }
    Ok(length.map_or(Framing::Close, Framing::Length))
}

/// Whether this is the beginning of something that is not HTTP.
fn is_strange(head: &[u8]) -> bool {
    let n = head.len().min(BEGINNING.len());
    head[..n] != BEGINNING[..n]
}

fn strange(head: &[u8]) -> String {
    // A TLS record of an alert or a handshake (RFC 8446 section 5.1).
    if let [0x15 | 0x16, 0x03, ..] = head {
        return "the answer is not HTTP but TLS".to_owned();
    }
    format!("the answer is not HTTP: \"{}\"", quote(head.trim_ascii_end()))
}
