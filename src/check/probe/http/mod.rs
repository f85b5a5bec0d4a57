//! HTTP checks: one request after the other, each on a connection of its own, all answered well.
//!
//! A [`Talk`] goes through the requests. [`http1`] and [`http2`] find status and body in what
//! comes, [`judge`] says what they are worth and [`request`] what is asked. Nothing is kept but a
//! header section, a frame, and the beginning of a body that a pattern is to match.

mod chunked;
mod digest;
mod http1;
mod http2;
mod judge;
mod request;
mod search;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

pub use self::digest::{Digests, digests};
use self::judge::{Judge, Verdict};
use super::{Dialogue, Step};
use crate::check::config::{Http, HttpRequest, HttpVersion, Target, Tls};
use crate::check::outcome::{Advice, Failure, Outcome};

/// The conversation of an HTTP check.
pub(super) struct Talk {
    version: HttpVersion,
    /// Each with its Host.
    requests: Vec<(HttpRequest, Option<String>)>,
    secure: bool,
    /// The request that is under way.
    at: usize,
    /// None before the first and between two.
    exchange: Option<(Exchange, Judge)>,
}

/// A request under way.
enum Exchange {
    One(http1::Exchange),
    Two(Box<http2::Exchange>),
}

impl Talk {
    pub(super) fn new(http: &Http, target: &Target, tls: Option<&Tls>) -> Talk {
        let with_host = |request: &HttpRequest| {
            (request.clone(), request::authority(http.version, request, target, tls))
        };
        Talk {
            version: http.version,
            requests: http.requests.iter().map(with_host).collect(),
            secure: tls.is_some(),
            at: 0,
            exchange: None,
        }
    }

    /// What follows from what is known of the request under way.
    fn step(&mut self, verdict: Verdict) -> Step {
        let ControlFlow::Break(result) = verdict else { return Step::More };
        self.exchange = None;
        match result {
            Ok(()) if self.at + 1 < self.requests.len() => {
                self.at += 1;
                Step::Again
            }
            Ok(()) => Step::Done(Outcome::Good(Advice::default())),
            Err(what) => Step::Done(Outcome::Bad(Failure::answered(self.named(what)))),
        }
    }

    /// With the path, if there are several.
    fn named(&self, what: String) -> String {
        match self.requests.get(self.at) {
            Some((request, _)) if self.requests.len() > 1 => format!("{}: {what}", request.path),
            Some(_) | None => what,
        }
    }

    /// So many bytes are kept of what came.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.exchange.as_ref().map_or(0, |(exchange, judge)| {
            judge.held()
                + match exchange {
                    Exchange::One(one) => one.held(),
                    Exchange::Two(two) => two.held(),
                }
        })
    }
}

impl Dialogue for Talk {
    fn open(&mut self, out: &mut Vec<u8>) -> Step {
        let Some((request, authority)) = self.requests.get(self.at) else {
            return Step::Done(Outcome::Unmade("there is nothing to ask for".to_owned()));
        };
        let authority = authority.as_deref();
        let exchange = match self.version {
            HttpVersion::V10 | HttpVersion::V11 => {
                Exchange::One(http1::Exchange::open(self.version, request, authority, out))
            }
            HttpVersion::V2 => {
                let two = http2::Exchange::open(request, authority, self.secure, out);
                Exchange::Two(Box::new(two))
            }
        };
        self.exchange = Some((exchange, Judge::new(request)));
        Step::More
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Step {
        let verdict = match &mut self.exchange {
            Some((Exchange::One(one), judge)) => one.feed(bytes, judge),
            Some((Exchange::Two(two), judge)) => two.feed(bytes, judge, out),
            None => return Step::More,
        };
        self.step(verdict)
    }

    fn end(&mut self) -> Step {
        let result = match &self.exchange {
            Some((Exchange::One(one), judge)) => one.end(judge),
            Some((Exchange::Two(two), _)) => two.end(),
            None => return Step::More,
        };
        self.step(ControlFlow::Break(result))
    }

    fn so_far(&self) -> String {
        let Some((exchange, judge)) = &self.exchange else {
            return self.named("nothing was asked yet".to_owned());
        };
        let far = judge.so_far().unwrap_or_else(|| match exchange {
            Exchange::One(one) => one.so_far(),
            Exchange::Two(two) => two.so_far(),
        });
        self.named(far)
    }
}
