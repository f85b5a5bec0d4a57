//! IMAP (RFC 9051): greeting, STARTTLS if TLS is to begin there, login if there is one, LOGOUT.
//!
//! Each command has a tag of its own, and what the server says beside (lines with a star) is passed
//! over, but for BYE: it is about to go. As with SMTP the answer to LOGOUT is waited for and does
//! not matter.

use super::Step;
use super::exchange::{Cut, Speaker, bad, good, unmade};
use super::line;
use crate::check::config::Login;
use crate::check::outcome::{Advice, Outcome};

/// A client that only logs in.
pub(super) struct Imap {
    login: Option<Login>,
    /// TLS is to begin by STARTTLS, and has not.
    upgrade: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    StartTls,
    Login,
    Logout,
}

impl Stage {
    fn tag(self) -> &'static str {
        match self {
            Stage::Greeting => "*",
            Stage::StartTls => "c1",
            Stage::Login => "c2",
            Stage::Logout => "c3",
        }
    }
}

impl Imap {
    pub(super) fn new(login: Option<Login>, upgrade: bool) -> Imap {
        Imap { login, upgrade, stage: Stage::Greeting }
    }

    fn say(&mut self, stage: Stage, command: &str, out: &mut Vec<u8>) -> Step {
        self.stage = stage;
        out.extend_from_slice(format!("{} {command}\r\n", stage.tag()).as_bytes());
        Step::More
    }

    /// What follows on the greeting, and on TLS.
    fn go_on(&mut self, out: &mut Vec<u8>) -> Step {
        if self.upgrade {
            return self.say(Stage::StartTls, "STARTTLS", out);
        }
        match &self.login {
            Some(login) => {
                let command = format!("LOGIN {} {}", quoted(&login.user), quoted(&login.password));
                self.say(Stage::Login, &command, out)
            }
            None => self.say(Stage::Logout, "LOGOUT", out),
        }
    }

    fn greeted(&mut self, line: &[u8], out: &mut Vec<u8>) -> Step {
        match word(line.strip_prefix(b"* ").unwrap_or_default()).as_str() {
            "OK" => self.go_on(out),
            // Whoever we are, it knows; no login is possible or wanted (RFC 9051 section 7.1.4).
            "PREAUTH" if !self.upgrade => self.say(Stage::Logout, "LOGOUT", out),
            _ => bad(format!("greeting {}", line::quote(line))),
        }
    }

    /// The answer to the last command.
    fn answered(&mut self, line: &[u8], rest: &[u8], out: &mut Vec<u8>) -> Step {
        match (self.stage, word(rest) == "OK") {
            (Stage::StartTls, true) => Step::Upgrade,
            (Stage::Login, true) => self.say(Stage::Logout, "LOGOUT", out),
            (Stage::Greeting | Stage::Logout, _) => good(),
            (Stage::StartTls, false) => bad(format!("answer to STARTTLS: {}", line::quote(line))),
            (Stage::Login, false) => bad(format!("answer to LOGIN: {}", line::quote(line))),
        }
    }
}

/// The first word, in capitals.
fn word(text: &[u8]) -> String {
    let word = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    String::from_utf8_lossy(word).to_ascii_uppercase()
}

/// A string in quotes (RFC 9051 section 4.3).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Speaker for Imap {
    fn open(&mut self, _out: &mut Vec<u8>) -> Step {
        let words = self.login.iter().flat_map(|login| [login.user.as_str(), &login.password]);
        if !words.into_iter().all(line::fits) {
            return unmade("a login of more than one line");
        }
        Step::More
    }

    fn cut(&self, bytes: &[u8]) -> Cut {
        line::cut(bytes)
    }

    fn hear(&mut self, message: &[u8], out: &mut Vec<u8>) -> Step {
        let line = line::text(message);
        if self.stage == Stage::Greeting {
            return self.greeted(line, out);
        }
        let (star, tag) = (b"* ", format!("{} ", self.stage.tag()));
        if let Some(rest) = line.strip_prefix(tag.as_bytes()) {
            return self.answered(line, rest, out);
        }
        match line.strip_prefix(star).map(word).as_deref() {
            Some("BYE") if self.stage == Stage::Logout => good(),
            Some("BYE") => bad(format!("it goes: {}", line::quote(line))),
            Some(_) => Step::More,
            None => bad(format!("no IMAP, but {}", line::quote(line))),
        }
    }

    fn upgraded(&mut self, out: &mut Vec<u8>) -> Step {
        self.upgrade = false;
        self.go_on(out)
    }

    fn closed(&mut self, _rest: &[u8]) -> Option<Outcome> {
        (self.stage == Stage::Logout).then(|| Outcome::Good(Advice::default()))
    }

    fn awaits(&self) -> &'static str {
        match self.stage {
            Stage::Greeting => "greeting",
            Stage::StartTls => "answer to STARTTLS",
            Stage::Login => "answer to LOGIN",
            Stage::Logout => "answer to LOGOUT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::probe::ordeal::{Ordeal, failure};
    use crate::secret::Secret;

    fn login() -> Option<Login> {
        Some(Login { user: "me".into(), password: "a \"b\\".into() })
    }

    #[test]
    fn a_greeting_is_good() {
        let plain = || Ordeal::new(|| Imap::new(None, false));
        plain()
            .hears(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
            .says(b"c3 LOGOUT\r\n")
            .hears(b"* BYE bye\r\nc3 OK done\r\n")
            .ends_good();
        plain().hears(b"* ok ready\r\n").ends().ends_good();
        plain().hears(b"* PREAUTH ready\r\n").hears(b"c3 BAD what\r\n").ends_good();
    }

    #[test]
    fn a_login_has_to_be_taken() {
        let ready = || Ordeal::new(|| Imap::new(login(), false)).hears(b"* OK ready\r\n");
        ready()
            .says(b"c2 LOGIN \"me\" \"a \\\"b\\\\\"\r\n")
            .hears(b"* CAPABILITY IMAP4rev1\r\nc2 OK in\r\n")
            .says(b"c3 LOGOUT\r\n")
            .hears(b"* BYE bye\r\n")
            .ends_good();
        ready()
            .hears(b"c2 NO [AUTHENTICATIONFAILED] no\r\n")
            .ends_bad("answer to LOGIN: `c2 NO [AUTHENTICATIONFAILED] no`");
        ready().hears(b"* BYE too many\r\n").ends_bad("it goes: `* BYE too many`");
        ready().hears(b"c1 OK\r\n").ends_bad("no IMAP, but `c1 OK`");
    }

    #[test]
    fn tls_begins_by_starttls() {
        let ready = || Ordeal::new(|| Imap::new(None, true)).hears(b"* OK ready\r\n");
        ready()
            .says(b"c1 STARTTLS\r\n")
            .hears(b"c1 OK go\r\n")
            .upgrades()
            .says(b"c3 LOGOUT\r\n")
            .hears(b"* BYE\r\n")
            .ends_good();
        ready().hears(b"c1 BAD no\r\n").ends_bad("answer to STARTTLS: `c1 BAD no`");
        let known = Ordeal::new(|| Imap::new(None, true)).hears(b"* PREAUTH in\r\n");
        known.ends_bad("greeting `* PREAUTH in`");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let plain = || Ordeal::new(|| Imap::new(None, false));
        plain().hears(b"* BYE busy\r\n").ends_bad("greeting `* BYE busy`");
        plain().hears(b"220 mx\r\n").ends_bad("greeting `220 mx`");
        plain().silent("connected, but no greeting came");
        plain().ends().ends_bad("it closed the connection, and no greeting came");
        let login = Login { user: "a\r\nb".into(), password: Secret::default() };
        assert_eq!(failure(Imap::new(Some(login), false)), "a login of more than one line");
    }
}
