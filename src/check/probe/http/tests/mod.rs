//! What an HTTP check says and what it makes of every answer, however the stream is cut.

mod answers;
mod asked;
mod bodies;
mod junk;

use super::Talk;
use crate::check::config::{Expectation, Http, HttpRequest, HttpVersion, Pattern, Target};
use crate::check::outcome::{Evidence, Outcome};
use crate::check::probe::{Dialogue, Step};
use crate::track::config::Statuses;

/// Inputs that are longer are not cut everywhere, but here and there.
const CUT_EVERYWHERE: usize = 3000;

/// What was made of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Good,
    Bad(String),
    /// Nothing yet; it got so far.
    Waits(String),
}

impl Told {
    pub(super) fn bad(what: &str) -> Told {
        Told::Bad(what.to_owned())
    }
}

pub(super) fn target() -> Target {
    Target { address: "192.0.2.7".parse().expect("an address"), port: 8080 }
}

/// GET / that expects no more than a status from 200 to 399.
pub(super) fn get(path: &str) -> HttpRequest {
    HttpRequest::get(path)
}

pub(super) fn one(version: HttpVersion, request: HttpRequest) -> Http {
    Http { version, requests: vec![request] }
}

/// A check of / in HTTP/1.1 that expects this of the body.
pub(super) fn expecting(expect: Vec<Expectation>) -> Http {
    one(HttpVersion::V11, HttpRequest { expect, ..get("/") })
}

pub(super) fn text(text: &str) -> Expectation {
    Expectation::Text(text.as_bytes().to_vec())
}

pub(super) fn pattern(text: &str) -> Pattern {
    Pattern::new(text).expect("a pattern")
}

/// What is said first.
pub(super) fn said(http: &Http) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(Talk::new(http, &target(), None).open(&mut out), Step::More);
    out
}

/// What is made of a stream in these pieces that then stays open, or is closed; and what was put
/// out meanwhile.
pub(super) fn hear<'p>(
    http: &Http,
    pieces: impl IntoIterator<Item = &'p [u8]>,
    closed: bool,
) -> (Told, Vec<u8>) {
    let mut talk = Talk::new(http, &target(), None);
    let mut step = talk.open(&mut Vec::new());
    let mut out = Vec::new();
    for piece in pieces {
        if step == Step::More {
            step = talk.feed(piece, &mut out);
        }
    }
    if step == Step::More && closed {
        step = talk.end();
    }
    let told = match step {
        Step::More => Told::Waits(talk.so_far()),
        Step::Done(Outcome::Good(_)) => Told::Good,
        Step::Done(Outcome::Bad(failure)) => {
            assert_eq!(failure.evidence, Evidence::Answered, "{failure}");
            Told::Bad(failure.what)
        }
        Step::Done(Outcome::Unmade(_)) | Step::Upgrade | Step::Again => panic!("{step:?}"),
    };
    (told, out)
}

/// What is made of a stream, which is the same wherever it is cut.
#[track_caller]
fn told_of(http: &Http, stream: &[u8], closed: bool) -> Told {
    let whole = hear(http, [stream], closed);
    let step = if stream.len() <= CUT_EVERYWHERE { 1 } else { stream.len() / 50 };
    for cut in (0..=stream.len()).step_by(step) {
        let (near, far) = stream.split_at(cut);
        assert_eq!(hear(http, [near, far], closed), whole, "cut at {cut}");
    }
    assert_eq!(hear(http, stream.chunks(1), closed), whole, "byte by byte");
    whole.0
}

/// Of a stream that is closed after this.
#[track_caller]
pub(super) fn closed(http: &Http, stream: impl AsRef<[u8]>) -> Told {
    told_of(http, stream.as_ref(), true)
}

/// Of a stream on which no more than this comes.
#[track_caller]
pub(super) fn open(http: &Http, stream: impl AsRef<[u8]>) -> Told {
    told_of(http, stream.as_ref(), false)
}
