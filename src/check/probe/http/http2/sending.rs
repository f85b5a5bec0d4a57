//! The body of a request on its way, as fast as the server's windows let it (RFC 9113 section 5.2).
//!
//! Owns the two windows and what of the body has not been sent yet.

use super::STREAM;
use super::frame::{END_STREAM, Kind, MAX_FRAME, write};

/// The windows' size until the server says otherwise (RFC 9113 section 6.9.2).
const INITIAL: i64 = 65535;
/// The largest that a window may be (RFC 9113 section 6.9.1).
const MOST: i64 = (1 << 31) - 1;

/// A body on its way.
#[derive(Debug)]
pub(super) struct Sending {
    body: Vec<u8>,
    sent: usize,
    /// For all streams, of which there is one.
    connection: i64,
    /// May be below zero (RFC 9113 section 6.9.2).
    stream: i64,
    /// What the stream's began with.
    initial: i64,
}

impl Sending {
    pub(super) fn new(body: &[u8]) -> Sending {
        let body = body.to_vec();
        Sending { body, sent: 0, connection: INITIAL, stream: INITIAL, initial: INITIAL }
    }

    /// Sends as much as may be sent.
    pub(super) fn proceed(&mut self, out: &mut Vec<u8>) {
        while self.sent < self.body.len() {
            let window = usize::try_from(self.connection.min(self.stream)).unwrap_or(0);
            // The server never allows less than MAX_FRAME, and more is not needed.
            let n = (self.body.len() - self.sent).min(window).min(MAX_FRAME);
            if n == 0 {
                return;
            }
            let piece = &self.body[self.sent..self.sent + n];
            self.sent += n;
            let flags = if self.sent == self.body.len() { END_STREAM } else { 0 };
            write(Kind::Data, flags, STREAM, piece, out);
            self.connection -= n as i64;
            self.stream -= n as i64;
        }
    }

    /// WINDOW_UPDATE for the connection. False: no window is so large.
    pub(super) fn widen_connection(&mut self, by: u32) -> bool {
        self.connection += i64::from(by);
        self.connection <= MOST
    }

    /// WINDOW_UPDATE for the stream.
    pub(super) fn widen_stream(&mut self, by: u32) -> bool {
        self.stream += i64::from(by);
        self.stream <= MOST
    }

    /// SETTINGS_INITIAL_WINDOW_SIZE, for the stream that is open as well.
    pub(super) fn begin_with(&mut self, initial: u32) -> bool {
        let initial = i64::from(initial);
        self.stream += initial - self.initial;
        self.initial = initial;
        initial <= MOST && self.stream <= MOST
    }
}
