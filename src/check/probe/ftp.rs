//! FTP (RFC 959): banner, AUTH TLS if TLS is to begin there (RFC 4217), login if there is one,
//! QUIT.
//!
//! Nothing is transferred. A banner of 120 says that another comes, which is waited for. As with
//! SMTP the answer to QUIT is waited for and does not matter.

use super::Step;
use super::exchange::{Cut, Speaker, bad, good, unmade};
use super::line::{self, Gathering, Reply};
use crate::check::config::Login;
use crate::check::outcome::{Advice, Outcome};

/// A client that only logs in.
pub(super) struct Ftp {
    login: Option<Login>,
    /// TLS is to begin by AUTH TLS, and has not.
    upgrade: bool,
    stage: Stage,
    gathering: Gathering,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Banner,
    Auth,
    User,
    Password,
    Quit,
}

impl Ftp {
    pub(super) fn new(login: Option<Login>, upgrade: bool) -> Ftp {
        Ftp { login, upgrade, stage: Stage::Banner, gathering: Gathering::loose() }
    }

    fn say(&mut self, stage: Stage, command: &str, out: &mut Vec<u8>) -> Step {
        self.stage = stage;
        out.extend_from_slice(command.as_bytes());
        out.extend_from_slice(b"\r\n");
        Step::More
    }

    fn log_in(&mut self, out: &mut Vec<u8>) -> Step {
        match &self.login {
            Some(login) => {
                let command = format!("USER {}", login.user);
                self.say(Stage::User, &command, out)
            }
            None => self.say(Stage::Quit, "QUIT", out),
        }
    }

    fn answer(&mut self, reply: &Reply, out: &mut Vec<u8>) -> Step {
        match (self.stage, reply.code) {
            (Stage::Banner, 120) => Step::More,
            (Stage::Banner, 220) if self.upgrade => self.say(Stage::Auth, "AUTH TLS", out),
            (Stage::Banner, 220) => self.log_in(out),
            (Stage::Auth, 234) => Step::Upgrade,
            (Stage::User, 331) => {
                let password = self.login.as_ref().map_or("", |login| &*login.password);
                let command = format!("PASS {password}");
                self.say(Stage::Password, &command, out)
            }
            // 202: no password is wanted.
            (Stage::User | Stage::Password, 230) | (Stage::Password, 202) => {
                self.say(Stage::Quit, "QUIT", out)
            }
            (Stage::Quit, _) => good(),
            (Stage::Banner, _) => bad(format!("banner {}", reply.quoted())),
            (Stage::Auth | Stage::User | Stage::Password, _) => {
                bad(format!("{}: {}", self.awaits(), reply.quoted()))
            }
        }
    }
}

impl Speaker for Ftp {
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
        match self.gathering.line(message) {
            Ok(Some(reply)) => self.answer(&reply, out),
            Ok(None) => Step::More,
            Err(why) => bad(why),
        }
    }

    fn upgraded(&mut self, out: &mut Vec<u8>) -> Step {
        self.log_in(out)
    }

    fn closed(&mut self, _rest: &[u8]) -> Option<Outcome> {
        (self.stage == Stage::Quit).then(|| Outcome::Good(Advice::default()))
    }

    fn awaits(&self) -> &'static str {
        match self.stage {
            Stage::Banner => "banner",
            Stage::Auth => "answer to AUTH TLS",
            Stage::User => "answer to USER",
            Stage::Password => "answer to PASS",
            Stage::Quit => "answer to QUIT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::probe::ordeal::{Ordeal, failure};

    fn ftp(upgrade: bool) -> Ordeal {
        let login = Login { user: "me".into(), password: "sec ret".into() };
        Ordeal::new(move || Ftp::new(Some(login.clone()), upgrade))
    }

    #[test]
    fn a_banner_is_good() {
        let plain = || Ordeal::new(|| Ftp::new(None, false));
        plain()
            .hears(b"220 (vsFTPd 3.0.3)\r\n")
            .says(b"QUIT\r\n")
            .hears(b"221 bye\r\n")
            .ends_good();
        plain().hears(b"120 soon\r\n220-hi\r\n there\r\n220 go\r\n").ends().ends_good();
    }

    #[test]
    fn a_login_has_to_be_taken() {
        ftp(false)
            .hears(b"220 ready\r\n")
            .says(b"USER me\r\n")
            .hears(b"331 password\r\n")
            .says(b"PASS sec ret\r\n")
            .hears(b"230-welcome\r\n 530 no\r\n230 in\r\n")
            .says(b"QUIT\r\n")
            .hears(b"221 bye\r\n")
            .ends_good();
        ftp(false).hears(b"220 ready\r\n230 in\r\n221 bye\r\n").ends_good();
        for (hears, what) in [
            (&b"220 x\r\n331 x\r\n530 Login incorrect.\r\n"[..], "PASS: `530 Login incorrect.`"),
            (b"220 x\r\n331 x\r\n332 account?\r\n", "PASS: `332 account?`"),
            (b"220 x\r\n530 not you\r\n", "USER: `530 not you`"),
        ] {
            ftp(false).hears(hears).ends_bad(&format!("answer to {what}"));
        }
    }

    #[test]
    fn tls_begins_by_auth() {
        ftp(true)
            .hears(b"220 ready\r\n")
            .says(b"AUTH TLS\r\n")
            .hears(b"234 go\r\n")
            .upgrades()
            .says(b"USER me\r\n")
            .hears(b"331 x\r\n230 x\r\n221 x\r\n")
            .ends_good();
        ftp(true).hears(b"220 x\r\n500 no\r\n").ends_bad("answer to AUTH TLS: `500 no`");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let full = ftp(false).hears(b"421 too many\r\n");
        full.ends_bad("banner `421 too many`");
        ftp(false).hears(b"* OK\r\n").ends_bad("no reply, but `* OK`");
        ftp(false).silent("connected, but no banner came");
        let login = Login { user: "me".into(), password: "a\nb".into() };
        assert_eq!(failure(Ftp::new(Some(login), false)), "a login of more than one line");
    }
}
