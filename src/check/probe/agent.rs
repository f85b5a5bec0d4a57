//! HAProxy's agent-check: one line of words in which a server says how it is.
//!
//! `up`, `down`, `fail`, `stopped` are its health, `ready`, `drain`, `maint` what it wants to be
//! done with it, `75%` the share of its weight; of each sort the last word holds. `maxconn:N` is of
//! no use to IPVS and passed over. Between words stand spaces, tabs or commas; behind `#` the
//! reason. A real HAProxy 2.6 was asked about all of it (tests/checks/agents.rs), and differs in
//! this: it lets a drain stand until `ready` comes, and what it had before where a line says
//! nothing of it or is none at all, while here each line is the whole truth and one without any
//! word of an agent bad: an agent that was started anew need not know what it said before. It
//! takes no line without an end, which its manual calls optional, and does not know `failed`.

use super::Step;
use super::exchange::{Cut, Speaker};
use super::line;
use crate::check::outcome::{Advice, Asked, Failure, Outcome, Wish};

/// The longest line, with its end.
const LONGEST: usize = 1024;

/// A client that only listens.
pub(super) struct Agent {
    send: Vec<u8>,
}

impl Agent {
    pub(super) fn new(send: &[u8]) -> Agent {
        Agent { send: send.to_vec() }
    }
}

impl Speaker for Agent {
    fn open(&mut self, out: &mut Vec<u8>) -> Step {
        out.extend_from_slice(&self.send);
        Step::More
    }

    /// A line ends with either of CR and LF.
    fn cut(&self, bytes: &[u8]) -> Cut {
        let seen = &bytes[..bytes.len().min(LONGEST)];
        match seen.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            Some(at) => Cut::After(at + 1),
            None if seen.len() == LONGEST => Cut::Never(format!("a line of {LONGEST} bytes")),
            None => Cut::More,
        }
    }

    fn hear(&mut self, message: &[u8], _out: &mut Vec<u8>) -> Step {
        Step::Done(judge(message))
    }

    /// HAProxy's manual calls the line's end optional, if the connection ends.
    fn closed(&mut self, rest: &[u8]) -> Option<Outcome> {
        (!rest.is_empty()).then(|| judge(rest))
    }

    fn awaits(&self) -> &'static str {
        "line"
    }
}

/// What a line says.
fn judge(line: &[u8]) -> Outcome {
    let line = line.strip_suffix(b"\n").or(line.strip_suffix(b"\r")).unwrap_or(line);
    // Only where a word could begin.
    let begins = |at: &usize| line[*at] == b'#' && (*at == 0 || is_between(&line[at - 1]));
    let (words, reason) = match (0..line.len()).find(begins) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[][..]),
    };
    let mut said = Said::default();
    words.split(is_between).filter(|word| !word.is_empty()).for_each(|word| said.take(word));
    said.outcome(line, reason.trim_ascii())
}

fn is_between(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b',')
}

/// The number before a `%`. One that is too large is as large as can be.
fn share(word: &str) -> Option<u16> {
    let digits = word.strip_suffix('%').filter(|digits| !digits.is_empty())?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u16::MAX))
}

/// What the words of a line add up to.
#[derive(Default)]
struct Said {
    /// The last word of health, if it was bad.
    down: Option<String>,
    /// The last word of what is to be done, unless it was `ready`.
    wish: Option<(String, Wish)>,
    share: Option<u16>,
    /// Some word meant something.
    understood: bool,
    /// The first that did not.
    strange: Option<String>,
}

impl Said {
    fn take(&mut self, word: &[u8]) {
        let word = String::from_utf8_lossy(word).to_ascii_lowercase();
        match (word.as_str(), share(&word)) {
            (_, Some(percent)) => self.share = Some(percent),
            ("up", _) => self.down = None,
            ("down" | "fail" | "failed" | "stopped", _) => self.down = Some(word),
            ("ready", _) => self.wish = None,
            ("drain", _) => self.wish = Some((word, Wish::Drain)),
            ("maint", _) => self.wish = Some((word, Wish::Maintenance)),
            (other, _) if other.starts_with("maxconn:") => {}
            (_, None) => {
                self.strange.get_or_insert(word);
                return;
            }
        }
        self.understood = true;
    }

    fn outcome(self, line: &[u8], reason: &[u8]) -> Outcome {
        let why = |word: &str| match reason {
            [] => format!("the agent says {word}"),
            _ => format!("the agent says {word}: {}", line::quote(reason)),
        };
        let bad = |what: String| Outcome::Bad(Failure::answered(what));
        if let Some(word) = self.down {
            return bad(why(&word));
        }
        if !self.understood {
            return bad(format!("no word of an agent, but {}", line::quote(line)));
        }
        let strange = self.strange.map(|word| {
            format!("the agent says {}, which means nothing", line::quote(word.as_bytes()))
        });
        let wished = self.wish.as_ref().filter(|_| !reason.is_empty());
        Outcome::Good(Advice {
            weight: self.share.map(Asked::Percent),
            wish: self.wish.as_ref().map(|(_, wish)| *wish),
            note: strange.or_else(|| wished.map(|(word, _)| why(word))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::probe::ordeal::Ordeal;

    fn agent() -> Ordeal {
        Ordeal::new(|| Agent::new(b""))
    }

    fn advice(weight: Option<u16>, wish: Option<Wish>, note: Option<&str>) -> Advice {
        let weight = weight.map(Asked::Percent);
        Advice { weight, wish, note: note.map(str::to_owned) }
    }

    #[test]
    fn every_word_means_what_it_means_to_haproxy() {
        let (drain, maintenance) = (Some(Wish::Drain), Some(Wish::Maintenance));
        for (line, wanted) in [
            (&b"up\n"[..], advice(None, None, None)),
            (b"ready\r\n", advice(None, None, None)),
            (b"UP Ready\n", advice(None, None, None)),
            (b"75%\n", advice(Some(75), None, None)),
            (b"up 0% maxconn:30\n", advice(Some(0), None, None)),
            (b"ready,drain\n", advice(None, drain, None)),
            (b"drain\tready\n", advice(None, None, None)),
            (b"down up\n", advice(None, None, None)),
            (b" ,maint, 50%,40%\r", advice(Some(40), maintenance, None)),
            (b"maxconn:10\n", advice(None, None, None)),
            (b"up # all well\n", advice(None, None, None)),
            (b"drain #backup\n", advice(None, drain, Some("the agent says drain: `backup`"))),
            (b"70000%\n", advice(Some(u16::MAX), None, None)),
            (
                b"up wat 7% +5%\n",
                advice(Some(7), None, Some("the agent says `wat`, which means nothing")),
            ),
            (
                b"up fail#x # down\n",
                advice(None, None, Some("the agent says `fail#x`, which means nothing")),
            ),
        ] {
            agent().hears(line).ends_as(|outcome| {
                assert_eq!(*outcome, Outcome::Good(wanted.clone()), "{}", line.escape_ascii());
            });
        }
    }

    #[test]
    fn bad_health_is_said_with_its_reason() {
        for (line, what) in [
            (&b"down\n"[..], "the agent says down"),
            (b"fail#x\n", "no word of an agent, but `fail#x`"),
            (b"failed # disk full\n", "the agent says failed: `disk full`"),
            (b"75%,maxconn:30,maint,stopped\n", "the agent says stopped"),
            (b"\n", "no word of an agent, but ``"),
            (b"# up\n", "no word of an agent, but `# up`"),
            (b"-5%\n", "no word of an agent, but `-5%`"),
            (b"+5%\n", "no word of an agent, but `+5%`"),
            (b"%\n", "no word of an agent, but `%`"),
            (b"up\x0c\n", "no word of an agent, but `up`"),
            (
                b"HTTP/1.1 400 Bad Request\r\n",
                "no word of an agent, but `HTTP/1.1 400 Bad Request`",
            ),
            (&[b'x'; LONGEST], "a line of 1024 bytes"),
        ] {
            agent().hears(line).ends_bad(what);
        }
        agent().hears(b"down").ends().ends_bad("the agent says down");
        agent().ends().ends_bad("it closed the connection, and no line came");
        agent().silent("connected, but no line came");
        agent().hears(b"up").silent("no whole line came");
        agent().hears(b"up").ends().ends_good();
    }

    #[test]
    fn what_an_agent_wants_to_hear_is_sent_first() {
        let told = Ordeal::new(|| Agent::new(b"be/srv1\n"));
        told.says(b"be/srv1\n").hears(b"up\n").ends_good();
    }
}
