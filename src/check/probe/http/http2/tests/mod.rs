//! What an HTTP/2 check says, and what it makes of every frame.

mod blocks;
mod frames;
mod said;

use super::frame::{ACK, END_HEADERS, END_STREAM, Frame, Kind, Reader, write};
use super::{PREFACE, hpack};
use crate::check::config::{Expectation, Http, HttpRequest, HttpVersion};
use crate::check::probe::http::tests::{Told, closed, get, hear, one, open, said, text};

/// An answer, frame by frame.
#[derive(Clone, Default)]
struct Answer(Vec<u8>);

impl Answer {
    /// With the server's settings.
    fn new() -> Answer {
        Answer::default().settings(&[])
    }

    fn frame(mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Answer {
        write(kind, flags, stream, payload, &mut self.0);
        self
    }

    fn settings(self, settings: &[(u16, u32)]) -> Answer {
        let bytes = settings.iter().flat_map(|(setting, value)| {
            let setting = setting.to_be_bytes();
            setting.into_iter().chain(value.to_be_bytes())
        });
        self.frame(Kind::Settings, 0, 0, &bytes.collect::<Vec<u8>>())
    }

    fn headers(self, status: &str, flags: u8) -> Answer {
        let block = block(&[(":status", status), ("server", "test")]);
        self.frame(Kind::Headers, END_HEADERS | flags, 1, &block)
    }

    fn data(self, data: &[u8], flags: u8) -> Answer {
        self.frame(Kind::Data, flags, 1, data)
    }
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    fields.iter().for_each(|(name, value)| hpack::write(name, value, &mut block));
    block
}

/// GET / that expects nothing but a status.
fn plain() -> Http {
    one(HttpVersion::V2, get("/"))
}

/// Expects this of the body.
fn expecting(expect: Vec<Expectation>) -> Http {
    one(HttpVersion::V2, HttpRequest { expect, ..get("/") })
}

/// All frames of what was said, which need not begin with settings.
fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut reader = Reader::default();
    assert!(reader.next(&mut Answer::new().as_ref()).is_ok_and(|frame| frame.is_some()));
    let mut bytes = bytes;
    let mut frames = Vec::new();
    while let Some(frame) = reader.next(&mut bytes).expect("frames") {
        frames.push(frame);
    }
    frames
}
