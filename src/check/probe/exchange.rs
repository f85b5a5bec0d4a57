//! A conversation in messages: gathers what comes until one is whole.
//!
//! A [`Speaker`] knows a protocol's messages and what follows on each, an [`Exchange`] makes a
//! [`Dialogue`] of it. It keeps no more than [`MOST_BYTES`] of all that a server sends, which every
//! conversation here is far below, so that one who never ends is found out. What is said of a
//! server that went silent, or away, is made here from what the speaker waits for.

use super::{Dialogue, MOST_BYTES, Step};
use crate::check::outcome::{Advice, Failure, Outcome};

/// One who speaks a protocol of messages.
pub(super) trait Speaker: Send {
    /// The connection stands. Servers that speak first are waited for.
    fn open(&mut self, _out: &mut Vec<u8>) -> Step {
        Step::More
    }
    /// Where the first message of these bytes ends.
    fn cut(&self, bytes: &[u8]) -> Cut;
    /// A message came, with what ends it.
    fn hear(&mut self, message: &[u8], out: &mut Vec<u8>) -> Step;
    /// TLS stands, after [`Step::Upgrade`].
    fn upgraded(&mut self, _out: &mut Vec<u8>) -> Step {
        Step::More
    }
    /// The server closed its side, with this piece of a message before. None: that is bad.
    fn closed(&mut self, _rest: &[u8]) -> Option<Outcome> {
        None
    }
    /// What is waited for, as in "no banner came".
    fn awaits(&self) -> &'static str;
}

/// Where a message ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// More has to come before that is known.
    More,
    /// After so many bytes, at least one.
    After(usize),
    /// This is no message, and why.
    Never(String),
}

/// A speaker's conversation.
pub(super) struct Exchange<S> {
    speaker: S,
    /// What came of a message that is not whole.
    held: Vec<u8>,
    /// How much came in all.
    fed: usize,
}

impl<S: Speaker + 'static> Exchange<S> {
    /// The conversation that a speaker has.
    pub(super) fn boxed(speaker: S) -> Box<dyn Dialogue> {
        Box::new(Exchange { speaker, held: Vec::new(), fed: 0 })
    }
}

impl<S: Speaker> Exchange<S> {
    /// Has every whole message heard. What is left of one stays in `held`.
    fn hear_all(&mut self, all_taken: bool, out: &mut Vec<u8>) -> Step {
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        loop {
            let after = match self.speaker.cut(rest) {
                Cut::After(after) => after,
                Cut::Never(why) => return bad(why),
                Cut::More => break,
            };
            let Some((message, next)) = rest.split_at_checked(after.max(1)) else { break };
            rest = next;
            match self.speaker.hear(message, out) {
                Step::More => {}
                // RFC 3207 section 4.2 and CVE-2021-23222: what came in the clear before TLS
                // may be anybody's, and must not count as said under it.
                Step::Upgrade if !(rest.is_empty() && all_taken) => {
                    return bad("it sent more than was asked before TLS began");
                }
                step @ (Step::Upgrade | Step::Again | Step::Done(_)) => return step,
            }
        }
        self.held = rest.to_vec();
        Step::More
    }

    /// "no banner came", or as much of it as is true.
    fn lack(&self) -> String {
        let whole = if self.held.is_empty() { "" } else { "whole " };
        format!("no {whole}{} came", self.speaker.awaits())
    }
}

impl<S: Speaker> Dialogue for Exchange<S> {
    fn open(&mut self, out: &mut Vec<u8>) -> Step {
        self.speaker.open(out)
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Step {
        let room = MOST_BYTES - self.fed;
        let taken = &bytes[..bytes.len().min(room)];
        self.fed += taken.len();
        self.held.extend_from_slice(taken);
        let all_taken = taken.len() == bytes.len();
        match self.hear_all(all_taken, out) {
            Step::More if !all_taken => {
                bad(format!("it sent {} KiB and came to no end", MOST_BYTES / 1024))
            }
            step => step,
        }
    }

    fn upgraded(&mut self, out: &mut Vec<u8>) -> Step {
        self.speaker.upgraded(out)
    }

    fn end(&mut self) -> Step {
        match self.speaker.closed(&self.held) {
            Some(outcome) => Step::Done(outcome),
            None => bad(format!("it closed the connection, and {}", self.lack())),
        }
    }

    fn so_far(&self) -> String {
        let lack = self.lack();
        if self.fed == 0 { format!("connected, but {lack}") } else { lack }
    }
}

/// All is well.
pub(super) fn good() -> Step {
    Step::Done(Outcome::Good(Advice::default()))
}

/// The server's answer is wrong.
pub(super) fn bad(what: impl Into<String>) -> Step {
    Step::Done(Outcome::Bad(Failure::answered(what)))
}

/// The check cannot be made as it is configured.
pub(super) fn unmade(why: impl Into<String>) -> Step {
    Step::Done(Outcome::Unmade(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::probe::line;

    /// Waits for "tls", or "end".
    struct Echo;

    impl Speaker for Echo {
        fn cut(&self, bytes: &[u8]) -> Cut {
            line::cut(bytes)
        }

        fn hear(&mut self, message: &[u8], out: &mut Vec<u8>) -> Step {
            out.extend_from_slice(message);
            match line::text(message) {
                b"tls" => Step::Upgrade,
                b"end" => good(),
                _ => Step::More,
            }
        }

        fn awaits(&self) -> &'static str {
            "end"
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut out = Vec::new();
        let mut echo = Exchange::boxed(Echo);
        assert_eq!(echo.so_far(), "connected, but no end came");
        assert_eq!(echo.feed(b"some\n", &mut out), Step::More);
        assert_eq!(echo.so_far(), "no end came");
        assert_eq!(echo.feed(b"e", &mut out), Step::More);
        assert_eq!(echo.end(), bad("it closed the connection, and no whole end came"));
        assert_eq!(echo.feed(b"nd\n", &mut out), good());
        assert_eq!(out, b"some\nend\n");
    }

    #[test]
    fn more_than_the_bound_is_bad_wherever_it_is_cut() {
        for size in [1, 7, 1000, 2 * MOST_BYTES] {
            let mut echo = Exchange::boxed(Echo);
            let all = b"some\n".repeat(MOST_BYTES / 5 + 1);
            let mut steps = all.chunks(size).map(|bytes| echo.feed(bytes, &mut Vec::new()));
            let last = steps.find(|step| *step != Step::More);
            assert_eq!(last, Some(bad("it sent 64 KiB and came to no end")), "by {size}");
        }
    }

    #[test]
    fn nothing_said_before_tls_is_taken_for_said_under_it() {
        let mut out = Vec::new();
        assert_eq!(Exchange::boxed(Echo).feed(b"tls\n", &mut out), Step::Upgrade);
        let step = Exchange::boxed(Echo).feed(b"tls\nend\n", &mut out);
        assert_eq!(step, bad("it sent more than was asked before TLS began"));
    }
}
