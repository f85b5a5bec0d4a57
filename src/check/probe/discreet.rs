//! A conversation whose password is shown to nobody, whatever the server says of it.
//!
//! Many servers repeat the command that they do not like, and what they say is the reason that goes
//! to the log, to `converge servers` and into files that all may read.

use super::{Dialogue, Step};
use crate::check::config::Login;
use crate::check::outcome::Outcome;
use crate::secret::Secret;

/// What stands in its place.
const MASK: &str = "***";
/// What a long answer is cut off with, which may be within the password.
const CUT: &str = "...";
/// So many letters of its beginning are taken for it there.
const TELLING: usize = 3;

/// The conversation, and what is not to be told of it.
pub(super) struct Discreet {
    inner: Box<dyn Dialogue>,
    password: Secret,
}

impl Discreet {
    /// As it is, if there is nothing to hide.
    pub(super) fn boxed(inner: Box<dyn Dialogue>, login: Option<&Login>) -> Box<dyn Dialogue> {
        match login.filter(|login| !login.password.is_empty()) {
            None => inner,
            Some(login) => Box::new(Discreet { inner, password: login.password.clone() }),
        }
    }

    fn hide(&self, step: Step) -> Step {
        match step {
            Step::Done(Outcome::Bad(mut failure)) => {
                failure.what = masked(&failure.what, &self.password);
                Step::Done(Outcome::Bad(failure))
            }
            Step::Done(Outcome::Unmade(why)) => {
                Step::Done(Outcome::Unmade(masked(&why, &self.password)))
            }
            step => step,
        }
    }
}

impl Dialogue for Discreet {
    fn open(&mut self, out: &mut Vec<u8>) -> Step {
        let step = self.inner.open(out);
        self.hide(step)
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Step {
        let step = self.inner.feed(bytes, out);
        self.hide(step)
    }

    fn upgraded(&mut self, out: &mut Vec<u8>) -> Step {
        let step = self.inner.upgraded(out);
        self.hide(step)
    }

    fn end(&mut self) -> Step {
        let step = self.inner.end();
        self.hide(step)
    }

    fn so_far(&self) -> String {
        masked(&self.inner.so_far(), &self.password)
    }
}

/// The text without the password: as it is, as protocols quote it, and cut off at an end.
fn masked(text: &str, password: &str) -> String {
    let quoted = password.replace('\\', "\\\\").replace('"', "\\\"");
    let shown = password.escape_default().to_string();
    let mut text = text.to_owned();
    for form in [&quoted, &shown, password] {
        text = text.replace(form, MASK);
        for length in (TELLING..form.len()).rev().filter(|length| form.is_char_boundary(*length)) {
            text = text.replace(&format!("{}{CUT}", &form[..length]), &format!("{MASK}{CUT}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::config::{Protocol, Target};
    use crate::check::probe::dialogue;

    #[test]
    fn a_password_that_the_server_repeats_is_not_shown() {
        let said = "c2 NO wrong: LOGIN \"me\" \"hunter2\"";
        assert_eq!(masked(said, "hunter2"), "c2 NO wrong: LOGIN \"me\" \"***\"");
        assert_eq!(masked("`pass a\\\"b`", "a\"b"), "`pass ***`");
        assert_eq!(masked("LOGIN me hunt...", "hunter2"), "LOGIN me ***...");
        assert_eq!(masked("LOGIN me hu...", "hunter2"), "LOGIN me hu...", "no more than chance");
        assert_eq!(masked("no password", "hunter2"), "no password");
    }

    #[test]
    fn every_protocol_with_a_login_keeps_it() {
        let login = || Some(Login { user: "me".into(), password: "hunter2".into() });
        let target = Target { address: [192, 0, 2, 1].into(), port: 1 };
        let asked: [(Protocol, &[&str]); 4] = [
            (Protocol::Ftp(login()), &["220 x\r\n", "331 x\r\n", "530 PASS hunter2\r\n"]),
            (Protocol::Pop3(login()), &["+OK x\r\n", "+OK x\r\n", "-ERR PASS hunter2\r\n"]),
            (Protocol::Nntp(login()), &["200 x\r\n", "381 x\r\n", "481 PASS hunter2\r\n"]),
            (Protocol::Redis { login: login() }, &["-ERR AUTH me hunter2\r\n"]),
        ];
        for (protocol, said) in asked {
            let mut talk = dialogue(&protocol, &target, None, [0; 16]);
            let mut step = talk.open(&mut Vec::new());
            for line in said {
                step = talk.feed(line.as_bytes(), &mut Vec::new());
            }
            let Step::Done(Outcome::Bad(failure)) = step else { panic!("{protocol:?}: {step:?}") };
            assert!(failure.what.contains(MASK), "{protocol:?}: {}", failure.what);
            assert!(!failure.what.contains("hunter2"), "{protocol:?}: {}", failure.what);
        }
    }
}
