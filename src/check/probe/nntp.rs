//! NNTP (RFC 3977): greeting, STARTTLS if TLS is to begin there (RFC 4642), login if there is one
//! (RFC 4643), QUIT.
//!
//! 200 and 201 are good: whether posting is allowed is no matter of health. 400 and 502 say that
//! the server is there and serves nobody, or not us.

use super::Step;
use super::exchange::{Cut, Speaker, bad, good, unmade};
use super::line::{self, Gathering};
use crate::check::config::Login;
use crate::check::outcome::{Advice, Outcome};

/// A client that only logs in.
pub(super) struct Nntp {
    login: Option<Login>,
    /// TLS is to begin by STARTTLS, and has not.
    upgrade: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    StartTls,
    User,
    Password,
    Quit,
}

impl Nntp {
    pub(super) fn new(login: Option<Login>, upgrade: bool) -> Nntp {
        Nntp { login, upgrade, stage: Stage::Greeting }
    }

    fn say(&mut self, stage: Stage, command: &str, out: &mut Vec<u8>) -> Step {
        self.stage = stage;
        out.extend_from_slice(command.as_bytes());
        out.extend_from_slice(b"\r\n");
        Step::More
    }

    /// What follows on the greeting, and on TLS.
    fn go_on(&mut self, out: &mut Vec<u8>) -> Step {
        if self.upgrade {
            return self.say(Stage::StartTls, "STARTTLS", out);
        }
        match &self.login {
            Some(login) => {
                let command = format!("AUTHINFO USER {}", login.user);
                self.say(Stage::User, &command, out)
            }
            None => self.say(Stage::Quit, "QUIT", out),
        }
    }
}

impl Speaker for Nntp {
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
        // Every answer here has one line, and a dash in it is nothing special.
        let code = match Gathering::default().line(message) {
            Ok(Some(reply)) => reply.code,
            Ok(None) => 0,
            Err(why) => return bad(why),
        };
        match (self.stage, code) {
            (Stage::Greeting, 200 | 201) => self.go_on(out),
            (Stage::StartTls, 382) => Step::Upgrade,
            (Stage::User, 381) => {
                let password = self.login.as_ref().map_or("", |login| &*login.password);
                let command = format!("AUTHINFO PASS {password}");
                self.say(Stage::Password, &command, out)
            }
            (Stage::User | Stage::Password, 281) => self.say(Stage::Quit, "QUIT", out),
            (Stage::Quit, _) => good(),
            (Stage::Greeting, _) => bad(format!("greeting {}", line::quote(message))),
            (Stage::StartTls | Stage::User | Stage::Password, _) => {
                bad(format!("{}: {}", self.awaits(), line::quote(message)))
            }
        }
    }

    fn upgraded(&mut self, out: &mut Vec<u8>) -> Step {
        self.upgrade = false;
        self.go_on(out)
    }

    fn closed(&mut self, _rest: &[u8]) -> Option<Outcome> {
        (self.stage == Stage::Quit).then(|| Outcome::Good(Advice::default()))
    }

    fn awaits(&self) -> &'static str {
        match self.stage {
            Stage::Greeting => "greeting",
            Stage::StartTls => "answer to STARTTLS",
            Stage::User => "answer to AUTHINFO USER",
            Stage::Password => "answer to AUTHINFO PASS",
            Stage::Quit => "answer to QUIT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::probe::ordeal::{Ordeal, failure};

    fn nntp(upgrade: bool) -> Ordeal {
        Ordeal::new(move || Nntp::new(None, upgrade))
    }

    fn login(password: &str) -> Option<Login> {
        Some(Login { user: "me".into(), password: password.into() })
    }

    #[test]
    fn a_greeting_is_good() {
        nntp(false).hears(b"200 posting\r\n").says(b"QUIT\r\n").hears(b"205 bye\r\n").ends_good();
        nntp(false).hears(b"201 no posting\r\n").ends().ends_good();
    }

    #[test]
    fn a_login_has_to_be_taken() {
        let asked = || {
            Ordeal::new(|| Nntp::new(login("secret"), false))
                .hears(b"200 x\r\n")
                .says(b"AUTHINFO USER me\r\n")
        };
        asked()
            .hears(b"381 password\r\n")
            .says(b"AUTHINFO PASS secret\r\n")
            .hears(b"281 in\r\n")
            .says(b"QUIT\r\n")
            .hears(b"205 bye\r\n")
            .ends_good();
        asked().hears(b"281 no password\r\n205 bye\r\n").ends_good();
        for (hears, what) in [
            (&b"381 x\r\n481 no\r\n"[..], "PASS: `481 no`"),
            (b"483 not in the clear\r\n", "USER: `483 not in the clear`"),
            (b"502 not you\r\n", "USER: `502 not you`"),
        ] {
            asked().hears(hears).ends_bad(&format!("answer to AUTHINFO {what}"));
        }
        assert_eq!(failure(Nntp::new(login("a\nb"), false)), "a login of more than one line");
    }

    #[test]
    fn tls_begins_by_starttls() {
        let asked = nntp(true).hears(b"200 x\r\n").says(b"STARTTLS\r\n").hears(b"382 go\r\n");
        asked.upgrades().says(b"QUIT\r\n").hears(b"205 bye\r\n").ends_good();
        Ordeal::new(|| Nntp::new(login("secret"), true))
            .hears(b"200 x\r\n382 go\r\n")
            .upgrades()
            .says(b"AUTHINFO USER me\r\n")
            .hears(b"381 x\r\n281 x\r\n205 x\r\n")
            .ends_good();
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
