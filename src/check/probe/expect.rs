//! Send and expect: the operator's own protocol, turn by turn.
//!
//! In each turn something is sent, then something has to come within the next 64 KiB. A text or a
//! pattern ends its turn as soon as it is there, and what came behind it belongs to the next one; a
//! `$` stands for the end of what has come so far. What must not come, and a digest, can only be
//! judged when the server closes or the 64 KiB are full.

use super::exchange::{bad, good};
use super::http::digests;
use super::quote::quote;
use super::{Dialogue, MOST_BYTES, Step};
use crate::check::config::{Expectation, Turn};

/// Where a conversation of turns is.
pub(super) struct Expect {
    turns: Vec<Turn>,
    at: usize,
    /// What came in this turn.
    held: Vec<u8>,
    /// So much of it holds no beginning of the text.
    searched: usize,
    /// Something came at all.
    heard: bool,
}

impl Expect {
    pub(super) fn new(turns: &[Turn]) -> Expect {
        Expect { turns: turns.to_vec(), at: 0, held: Vec::new(), searched: 0, heard: false }
    }

    /// What is waited for; none, if all turns are over.
    fn expected(&self) -> Option<&Expectation> {
        self.turns.get(self.at).and_then(|turn| turn.expect.as_ref())
    }

    /// Says what this turn begins with, and passes over those that wait for nothing.
    fn begin(&mut self, out: &mut Vec<u8>) -> Step {
        while let Some(turn) = self.turns.get(self.at) {
            out.extend_from_slice(&turn.send);
            if turn.expect.is_some() {
                return Step::More;
            }
            self.at += 1;
        }
        good()
    }

    /// Ends this turn, with so much of what came.
    fn next(&mut self, used: usize, out: &mut Vec<u8>) -> Step {
        self.held.drain(..used.min(self.held.len()));
        (self.at, self.searched) = (self.at + 1, 0);
        self.begin(out)
    }

    /// Judges as many turns as can be with what came.
    fn judge(&mut self, closed: bool, out: &mut Vec<u8>) -> Step {
        loop {
            let over = closed || self.held.len() >= MOST_BYTES;
            let used = match self.used(over) {
                Ok(Some(used)) => used,
                Ok(None) if !over => return Step::More,
                Ok(None) => return bad(format!("{}{}", self.turn(), self.lack(closed))),
                Err(why) => return bad(format!("{}{why}", self.turn())),
            };
            match self.next(used, out) {
                Step::More => {}
                step @ (Step::Upgrade | Step::Again | Step::Done(_)) => return step,
            }
        }
    }

    /// How much of what came ends the turn. `Err`: it is bad.
    fn used(&mut self, over: bool) -> Result<Option<usize>, String> {
        let from = self.searched;
        let all = self.held.len();
        let used = match self.expected() {
            None => Some(0),
            Some(Expectation::Text(text)) => {
                let end = find(&self.held, text, from);
                self.searched = all.saturating_sub(text.len().saturating_sub(1));
                end
            }
            Some(Expectation::Matches(pattern)) => pattern.end_in(&self.held),
            Some(Expectation::MatchesNot(pattern)) if pattern.is_in(&self.held) => {
                return Err(format!("what came matches /{}/", pattern.as_str()));
            }
            Some(Expectation::MatchesNot(_)) => over.then_some(all),
            Some(Expectation::Md5(wanted)) if over => {
                same_digest("MD5", &digests(&self.held).md5, wanted)?;
                Some(all)
            }
            Some(Expectation::Sha256(wanted)) if over => {
                same_digest("SHA-256", &digests(&self.held).sha256, wanted)?;
                Some(all)
            }
            Some(Expectation::Md5(_) | Expectation::Sha256(_)) => None,
        };
        Ok(used)
    }

    /// "turn 2: ", if there are several.
    fn turn(&self) -> String {
        if self.turns.len() > 1 { format!("turn {}: ", self.at + 1) } else { String::new() }
    }

    /// What has not come.
    fn lack(&self, closed: bool) -> String {
        let what = match self.expected() {
            Some(Expectation::Text(text)) => format!("\"{}\" did not come", quote(text)),
            Some(Expectation::Matches(pattern)) => {
                format!("nothing came that matches /{}/", pattern.as_str())
            }
            Some(Expectation::MatchesNot(_) | Expectation::Md5(_) | Expectation::Sha256(_))
            | None => "it did not close the connection".to_owned(),
        };
        if closed { format!("it closed the connection, and {what}") } else { what }
    }
}

fn same_digest(name: &str, found: &str, wanted: &str) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    // What it has instead may be different each time, and the reason must not be.
    Err(format!("what came has not the {name} {wanted}"))
}

/// Where the text ends that begins at this place or behind.
fn find(held: &[u8], text: &[u8], from: usize) -> Option<usize> {
    let Some(first) = text.first() else { return Some(0) };
    let tail = held.get(from..)?;
    let mut starts = tail.iter().enumerate().filter(|(_, byte)| *byte == first);
    let (at, _) = starts.find(|(at, _)| tail[*at..].starts_with(text))?;
    Some(from + at + text.len())
}

impl Dialogue for Expect {
    fn open(&mut self, out: &mut Vec<u8>) -> Step {
        match self.begin(out) {
            // An empty text is there already.
            Step::More => self.judge(false, out),
            step @ (Step::Upgrade | Step::Again | Step::Done(_)) => step,
        }
    }

    fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Step {
        self.heard |= !bytes.is_empty();
        let mut step = Step::More;
        while step == Step::More && !bytes.is_empty() {
            let room = MOST_BYTES.saturating_sub(self.held.len());
            let (taken, rest) = bytes.split_at(bytes.len().min(room));
            self.held.extend_from_slice(taken);
            step = self.judge(false, out);
            bytes = rest;
        }
        step
    }

    fn end(&mut self) -> Step {
        // Nobody reads what would be sent now.
        self.judge(true, &mut Vec::new())
    }

    fn so_far(&self) -> String {
        let connected = if self.heard { "" } else { "connected, but " };
        format!("{connected}{}{}", self.turn(), self.lack(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::config::Pattern;
    use crate::check::probe::ordeal::Ordeal;

    fn turn(send: &str, expect: Option<Expectation>) -> Turn {
        Turn { send: send.into(), expect }
    }

    fn text(text: &str) -> Option<Expectation> {
        Some(Expectation::Text(text.into()))
    }

    fn pattern(pattern: &str) -> Pattern {
        Pattern::new(pattern).expect("well-formed")
    }

    fn ordeal(turns: &[Turn]) -> Ordeal {
        let turns = turns.to_vec();
        Ordeal::of(move || Box::new(Expect::new(&turns)))
    }

    #[test]
    fn turns_follow_one_another() {
        let turns = [
            turn("", text("ready")),
            turn("a\n", Some(Expectation::Matches(pattern("^b+\\n")))),
            turn("c\n", None),
            turn("d\n", text("")),
            turn("e\n", text("ff")),
        ];
        ordeal(&turns)
            .hears(b"not re ready")
            .says(b"a\n")
            .hears(b"bbb\nfgf")
            .says(b"c\nd\ne\n")
            .hears(b"f")
            .ends_good();
        // All at once, as a server may that knows what we will say.
        ordeal(&turns).hears(b"readyb\nff").ends_good();
        ordeal(&turns).silent("connected, but turn 1: \"ready\" did not come");
        ordeal(&turns).hears(b"ready").silent("turn 2: nothing came that matches /^b+\\n/");
        let closed = ordeal(&turns).hears(b"readyx").ends();
        closed.ends_bad("turn 2: it closed the connection, and nothing came that matches /^b+\\n/");
    }

    #[test]
    fn nothing_expected_is_good_at_once() {
        ordeal(&[]).ends_good();
        ordeal(&[turn("x", None)]).says(b"x").ends_good();
        ordeal(&[turn("x", text(""))]).says(b"x").ends_good();
    }

    #[test]
    fn what_must_not_come_is_judged_at_the_end() {
        let turns = [turn("", Some(Expectation::MatchesNot(pattern("err"))))];
        ordeal(&turns).hears(b"all well").ends().ends_good();
        ordeal(&turns).hears(b"an error").ends_bad("what came matches /err/");
        ordeal(&turns).hears(b"x").silent("it did not close the connection");
        let full = ordeal(&turns);
        full.hears(&[b'x'; MOST_BYTES - 1]).silent("it did not close the connection");
        let mut full = Expect::new(&turns);
        assert_eq!(full.feed(&[b'x'; MOST_BYTES], &mut Vec::new()), good());
    }

    #[test]
    fn a_digest_is_of_all_that_came() {
        let turns = [turn("", Some(Expectation::Md5("900150983cd24fb0d6963f7d28e17f72".into())))];
        ordeal(&turns).hears(b"abc").ends().ends_good();
        let other = "what came has not the MD5 900150983cd24fb0d6963f7d28e17f72";
        ordeal(&turns).ends().ends_bad(other);
        let sha256 = digests(b"abc").sha256;
        let turns = [turn("", Some(Expectation::Sha256(sha256)))];
        ordeal(&turns).hears(b"abc").ends().ends_good();
    }

    #[test]
    fn what_has_not_come_in_64_kib_does_not_come() {
        for size in [1000, 4096, 3 * MOST_BYTES] {
            let mut expect = Expect::new(&[turn("", text("end"))]);
            let mut bytes = vec![b'x'; MOST_BYTES - 3];
            let feed = |expect: &mut Expect, bytes: &[u8]| {
                let mut steps = bytes.chunks(size).map(|piece| expect.feed(piece, &mut Vec::new()));
                steps.find(|step| *step != Step::More)
            };
            bytes.extend_from_slice(b"end");
            assert_eq!(feed(&mut expect, &bytes), Some(good()), "by {size}");
            let mut expect = Expect::new(&[turn("", text("end"))]);
            bytes.insert(0, b'x');
            let last = feed(&mut expect, &bytes);
            assert_eq!(last, Some(bad("\"end\" did not come")), "by {size}");
        }
    }
}
