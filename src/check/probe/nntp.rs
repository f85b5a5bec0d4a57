//! NNTP (RFC 3977): greeting, STARTTLS if TLS is to begin there (RFC 4642), QUIT.
//!
//! 200 and 201 are good: whether posting is allowed is no matter of health. 400 and 502 say that
//! the server is there and serves nobody, or not us.

use super::Step;
use super::exchange::{Cut, Speaker, bad, good};
use super::line::{self, Gathering};
use crate::check::outcome::{Advice, Outcome};

/// A client that only waits to be greeted.
pub(super) struct Nntp {
    /// TLS is to begin by STARTTLS.
    upgrade: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    StartTls,
    Quit,
}

impl Nntp {
    pub(super) fn new(upgrade: bool) -> Nntp {
        Nntp { upgrade, stage: Stage::Greeting }
    }

    fn say(&mut self, stage: Stage, line: &[u8], out: &mut Vec<u8>) -> Step {
        self.stage = stage;
        out.extend_from_slice(line);
        Step::More
    }
}

impl Speaker for Nntp {
    fn cut(&self, bytes: &[u8]) -> Cut {
        line::cut(bytes)
    }

    fn hear(&mut self, message: &[u8], out: &mut Vec<u8>) -> Step {
        // Every answer here has one line, and a dash in it is nothing special.
        let code = match Gathering::default().line(message) {
            Ok(Some(reply)) => reply.code,
            Ok(None) => 0,
            Err(why) => return bad(why),
        };
        match (self.stage, code) {
            (Stage::Greeting, 200 | 201) if self.upgrade => {
                self.say(Stage::StartTls, b"STARTTLS\r\n", out)
            }
            (Stage::Greeting, 200 | 201) => self.say(Stage::Quit, b"QUIT\r\n", out),
            (Stage::StartTls, 382) => Step::Upgrade,
            (Stage::Quit, _) => good(),
            (Stage::Greeting, _) => bad(format!("greeting {}", line::quote(message))),
            (Stage::StartTls, _) => bad(format!("answer to STARTTLS: {}", line::quote(message))),
        }
    }

    fn upgraded(&mut self, out: &mut Vec<u8>) -> Step {
        self.say(Stage::Quit, b"QUIT\r\n", out)
    }

    fn closed(&mut self, _rest: &[u8]) -> Option<Outcome> {
        (self.stage == Stage::Quit).then(|| Outcome::Good(Advice::default()))
    }

    fn awaits(&self) -> &'static str {
        match self.stage {
            Stage::Greeting => "greeting",
            Stage::StartTls => "answer to STARTTLS",
            Stage::Quit => "answer to QUIT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::probe::ordeal::Ordeal;

    fn nntp(upgrade: bool) -> Ordeal {
        Ordeal::new(move || Nntp::new(upgrade))
    }

    #[test]
    fn a_greeting_is_good() {
        nntp(false).hears(b"200 posting\r\n").says(b"QUIT\r\n").hears(b"205 bye\r\n").ends_good();
        nntp(false).hears(b"201 no posting\r\n").ends().ends_good();
    }

    #[test]
    fn tls_begins_by_starttls() {
        let asked = nntp(true).hears(b"200 x\r\n").says(b"STARTTLS\r\n").hears(b"382 go\r\n");
        asked.upgrades().says(b"QUIT\r\n").hears(b"205 bye\r\n").ends_good();
        nntp(true).hears(b"200 x\r\n580 no\r\n").ends_bad("answer to STARTTLS: `580 no`");
    }

    #[test]
    fn what_is_wrong_is_named() {
        nntp(false).hears(b"400 later\r\n").ends_bad("greeting `400 later`");
        nntp(false).hears(b"502 not you\r\n").ends_bad("greeting `502 not you`");
        nntp(false).hears(b"200-x\r\n").ends_bad("greeting `200-x`");
        nntp(false).hears(b"hello\r\n").ends_bad("no reply, but `hello`");
        nntp(false).silent("connected, but no greeting came");
    }
}
