//! SMTP (RFC 5321): banner, EHLO or else HELO, STARTTLS if TLS is to begin there, QUIT.
//!
//! No mail is begun. QUIT is sent and its answer waited for, because mail servers log a client that
//! just goes; what the answer is does not matter any more.

use super::Step;
use super::exchange::{Cut, Speaker, bad, good, unmade};
use super::line::{self, Gathering, Reply};
use crate::check::outcome::{Advice, Outcome};

/// A client that only says hello.
pub(super) struct Smtp {
    helo: String,
    /// TLS is to begin by STARTTLS, and has not.
    upgrade: bool,
    stage: Stage,
    gathering: Gathering,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Banner,
    Ehlo,
    Helo,
    StartTls,
    Quit,
}

impl Smtp {
    pub(super) fn new(helo: &str, upgrade: bool) -> Smtp {
        let gathering = Gathering::default();
        Smtp { helo: helo.to_owned(), upgrade, stage: Stage::Banner, gathering }
    }

    fn say(&mut self, stage: Stage, line: &str, out: &mut Vec<u8>) -> Step {
        self.stage = stage;
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
        Step::More
    }

    fn say_hello(&mut self, out: &mut Vec<u8>) -> Step {
        let line = format!("EHLO {}", self.helo);
        self.say(Stage::Ehlo, &line, out)
    }

    fn answer(&mut self, reply: &Reply, out: &mut Vec<u8>) -> Step {
        match (self.stage, reply.code) {
            (Stage::Banner, 220) => self.say_hello(out),
            (Stage::Banner, _) => bad(format!("banner {}", reply.quoted())),
            (Stage::Ehlo, 250) if self.upgrade => {
                if !reply.lines.iter().any(|line| offers_tls(line)) {
                    return bad("STARTTLS is not offered");
                }
                self.say(Stage::StartTls, "STARTTLS", out)
            }
            (Stage::Ehlo | Stage::Helo, 250) => self.say(Stage::Quit, "QUIT", out),
            // RFC 5321 section 3.2: a server of old does not know EHLO.
            (Stage::Ehlo, 500..=599) if !self.upgrade => {
                let line = format!("HELO {}", self.helo);
                self.say(Stage::Helo, &line, out)
            }
            (Stage::StartTls, 220) => Step::Upgrade,
            (Stage::Ehlo, _) => bad(format!("answer to EHLO: {}", reply.quoted())),
            (Stage::Helo, _) => bad(format!("answer to HELO: {}", reply.quoted())),
            (Stage::StartTls, _) => bad(format!("answer to STARTTLS: {}", reply.quoted())),
            (Stage::Quit, _) => good(),
        }
    }
}

/// Whether a line of the answer to EHLO is the STARTTLS keyword.
fn offers_tls(line: &[u8]) -> bool {
    line.get(4..).is_some_and(|word| word.trim_ascii().eq_ignore_ascii_case(b"STARTTLS"))
}

impl Speaker for Smtp {
    fn open(&mut self, _out: &mut Vec<u8>) -> Step {
        if line::fits(&self.helo) { Step::More } else { unmade("a helo of more than one line") }
    }

    fn cut(&self, bytes: &[u8]) -> Cut {
        line::cut(bytes)
    }

    fn hear(&mut self, message: &[u8], out: &mut Vec<u8>) -> Step {
        match self.gathering.line(message) {
            Ok(Some(reply)) => self.answer(&reply, out),
            Ok(None) => Step::More,
            Err(why) => bad(why),
        }
    }

    fn upgraded(&mut self, out: &mut Vec<u8>) -> Step {
        self.upgrade = false;
        // RFC 3207 section 4.2: what was learnt in the clear is forgotten.
        self.say_hello(out)
    }

    fn closed(&mut self, _rest: &[u8]) -> Option<Outcome> {
        (self.stage == Stage::Quit).then(|| Outcome::Good(Advice::default()))
    }

    fn awaits(&self) -> &'static str {
        match self.stage {
            Stage::Banner => "banner",
            Stage::Ehlo => "answer to EHLO",
            Stage::Helo => "answer to HELO",
            Stage::StartTls => "answer to STARTTLS",
            Stage::Quit => "answer to QUIT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::probe::ordeal::{Ordeal, failure};

    fn ordeal(upgrade: bool) -> Ordeal {
        Ordeal::new(move || Smtp::new("me.example", upgrade))
    }

    #[test]
    fn a_server_that_says_hello_is_good() {
        ordeal(false)
            .hears(b"220 mx.example ESMTP\r\n")
            .says(b"EHLO me.example\r\n")
            .hears(b"250-mx.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            .says(b"QUIT\r\n")
            .hears(b"221 bye\r\n")
            .ends_good();
        // Some do not answer, and just go.
        ordeal(false).hears(b"220 a\r\n250 b\r\n").ends().ends_good();
    }

    #[test]
    fn a_server_of_old_is_good() {
        ordeal(false)
            .hears(b"220-mx\r\n220 ready\r\n")
            .hears(b"502 what?\r\n")
            .says(b"EHLO me.example\r\nHELO me.example\r\n")
            .hears(b"250 mx\r\n")
            .says(b"QUIT\r\n")
            .hears(b"500 what?\r\n")
            .ends_good();
    }

    #[test]
    fn tls_begins_by_starttls() {
        ordeal(true)
            .hears(b"220 mx\r\n")
            .hears(b"250-mx\r\n250-starttls\r\n250 HELP\r\n")
            .says(b"EHLO me.example\r\nSTARTTLS\r\n")
            .hears(b"220 go\r\n")
            .upgrades()
            .says(b"EHLO me.example\r\n")
            .hears(b"250 mx\r\n")
            .says(b"QUIT\r\n")
            .hears(b"221 bye\r\n")
            .ends_good();
        ordeal(true).hears(b"220 mx\r\n250 mx\r\n").ends_bad("STARTTLS is not offered");
        ordeal(true)
            .hears(b"220 mx\r\n250 STARTTLS\r\n454 no\r\n")
            .ends_bad("answer to STARTTLS: `454 no`");
        ordeal(true).hears(b"220 mx\r\n502 no\r\n").ends_bad("answer to EHLO: `502 no`");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (hears, what) in [
            (&b"554 no\r\n"[..], "banner `554 no`"),
            (b"421-mx\r\n421 later\r\n", "banner `421-mx`"),
            (b"SSH-2.0-x\r\n", "no reply, but `SSH-2.0-x`"),
            (b"220 mx\r\n421 busy\r\n", "answer to EHLO: `421 busy`"),
            (b"220 mx\r\n500 no\r\n550 no\r\n", "answer to HELO: `550 no`"),
            (b"220 mx\r\n250-a\r\n251 b\r\n", "no reply, but `251 b`"),
        ] {
            ordeal(false).hears(hears).ends_bad(what);
        }
        ordeal(false).ends().ends_bad("it closed the connection, and no banner came");
        ordeal(false).hears(b"220 mx\r\n").silent("no answer to EHLO came");
        ordeal(false).silent("connected, but no banner came");
        assert_eq!(failure(Smtp::new("a\r\nb", false)), "a helo of more than one line");
    }
}
