//! POP3 (RFC 1939): greeting, STLS if TLS is to begin there, login if there is one, QUIT.
//!
//! Every answer here is one line that begins with +OK or -ERR. QUIT before a login changes nothing,
//! and after one no mail was touched.

use super::Step;
use super::exchange::{Cut, Speaker, bad, good, unmade};
use super::line;
use crate::check::config::Login;
use crate::check::outcome::{Advice, Outcome};

/// A client that only logs in.
pub(super) struct Pop3 {
    login: Option<Login>,
    /// TLS is to begin by STLS, and has not.
    upgrade: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    Stls,
    User,
    Password,
    Quit,
}

impl Pop3 {
    pub(super) fn new(login: Option<Login>, upgrade: bool) -> Pop3 {
        Pop3 { login, upgrade, stage: Stage::Greeting }
    }

    fn say(&mut self, stage: Stage, command: &str, out: &mut Vec<u8>) -> Step {
        self.stage = stage;
        out.extend_from_slice(command.as_bytes());
        out.extend_from_slice(b"\r\n");
        Step::More
    }

    fn go_on(&mut self, out: &mut Vec<u8>) -> Step {
        match (self.stage, &self.login) {
            (Stage::Greeting, _) if self.upgrade => self.say(Stage::Stls, "STLS", out),
            (Stage::Greeting | Stage::Stls, Some(login)) => {
                let command = format!("USER {}", login.user);
                self.say(Stage::User, &command, out)
            }
            (Stage::User, Some(login)) => {
                let command = format!("PASS {}", &*login.password);
                self.say(Stage::Password, &command, out)
            }
            _ => self.say(Stage::Quit, "QUIT", out),
        }
    }

    fn asked(&self) -> &'static str {
        match self.stage {
            Stage::Greeting => "greeting",
            Stage::Stls => "answer to STLS",
            Stage::User => "answer to USER",
            Stage::Password => "answer to PASS",
            Stage::Quit => "answer to QUIT",
        }
    }
}

impl Speaker for Pop3 {
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
        match (self.stage, line.starts_with(b"+OK")) {
            (Stage::Quit, _) => good(),
            (Stage::Stls, true) => Step::Upgrade,
            (_, true) => self.go_on(out),
            (_, false) => bad(format!("{}: {}", self.asked(), line::quote(line))),
        }
    }

    fn upgraded(&mut self, out: &mut Vec<u8>) -> Step {
        self.go_on(out)
    }

    fn closed(&mut self, _rest: &[u8]) -> Option<Outcome> {
        (self.stage == Stage::Quit).then(|| Outcome::Good(Advice::default()))
    }

    fn awaits(&self) -> &'static str {
        self.asked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::probe::ordeal::{Ordeal, failure};

    fn pop3(upgrade: bool) -> Ordeal {
        let login = Login { user: "me".into(), password: "sec ret".into() };
        Ordeal::new(move || Pop3::new(Some(login.clone()), upgrade))
    }

    #[test]
    fn a_greeting_is_good() {
        let plain = || Ordeal::new(|| Pop3::new(None, false)).hears(b"+OK ready <1@x>\r\n");
        plain().says(b"QUIT\r\n").hears(b"+OK bye\r\n").ends_good();
        plain().ends().ends_good();
    }

    #[test]
    fn a_login_has_to_be_taken() {
        pop3(false)
            .hears(b"+OK ready\r\n")
            .says(b"USER me\r\n")
            .hears(b"+OK\r\n")
            .says(b"PASS sec ret\r\n")
            .hears(b"+OK in\r\n")
            .says(b"QUIT\r\n")
            .hears(b"+OK bye\r\n")
            .ends_good();
        let wrong = pop3(false).hears(b"+OK ready\r\n+OK\r\n-ERR [AUTH] no\r\n");
        wrong.ends_bad("answer to PASS: `-ERR [AUTH] no`");
        let unsafe_here = pop3(false).hears(b"+OK ready\r\n-ERR not in the clear\r\n");
        unsafe_here.ends_bad("answer to USER: `-ERR not in the clear`");
    }

    #[test]
    fn tls_begins_by_stls() {
        pop3(true)
            .hears(b"+OK ready\r\n")
            .says(b"STLS\r\n")
            .hears(b"+OK go\r\n")
            .upgrades()
            .says(b"USER me\r\n")
            .hears(b"+OK\r\n+OK\r\n+OK\r\n")
            .ends_good();
        pop3(true).hears(b"+OK ready\r\n-ERR no\r\n").ends_bad("answer to STLS: `-ERR no`");
    }

    #[test]
    fn what_is_wrong_is_named() {
        pop3(false).hears(b"-ERR busy\r\n").ends_bad("greeting: `-ERR busy`");
        pop3(false).hears(b"220 mx\r\n").ends_bad("greeting: `220 mx`");
        pop3(false).silent("connected, but no greeting came");
        let login = Login { user: "me".into(), password: "a\nb".into() };
        assert_eq!(failure(Pop3::new(Some(login), false)), "a login of more than one line");
    }
}
