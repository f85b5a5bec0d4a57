//! LDAP (RFC 4511): bind, and if something has to be there, a search for it; then unbind.
//!
//! Bound is anonymously unless there is a login. The search asks for the base object itself, and
//! for none of its attributes, so that its answer is short. A login with an empty password counts
//! as anonymous for most servers (RFC 4513 section 5.1.2), and proves nothing of the login.

use super::Step;
use super::ber::{self, Element, put};
use super::exchange::{Cut, Speaker, bad, good};
use super::line;
use crate::check::config::Login;

/// The longest message: what we ask for has some hundred bytes.
const LONGEST: usize = 32 * 1024;
/// STARTTLS (RFC 4511 section 4.14.1).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
/// No attributes (RFC 4511 section 4.5.1.8).
const NO_ATTRIBUTES: &[u8] = b"1.1";
/// What every entry has.
const EVERY_ENTRY: &[u8] = b"objectClass";

/// Tags of BER, and of the operations of LDAP.
mod tag {
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OCTETS: u8 = 0x04;
    pub(super) const ENUMERATED: u8 = 0x0a;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const BIND: u8 = 0x60;
    pub(super) const BOUND: u8 = 0x61;
    pub(super) const UNBIND: u8 = 0x42;
    pub(super) const SEARCH: u8 = 0x63;
    pub(super) const ENTRY: u8 = 0x64;
    pub(super) const SEARCHED: u8 = 0x65;
    pub(super) const REFERENCE: u8 = 0x73;
    pub(super) const EXTENDED: u8 = 0x77;
    pub(super) const EXTENDED_ANSWER: u8 = 0x78;
    /// Simple authentication, the name of an extension.
    pub(super) const FIRST: u8 = 0x80;
    /// The filter of those that have an attribute.
    pub(super) const PRESENT: u8 = 0x87;
}

/// Codes of results (RFC 4511 section 4.1.9) that are met.
const RESULTS: [(u8, &str); 15] = [
    (1, "operationsError"),
    (2, "protocolError"),
    (7, "authMethodNotSupported"),
    (8, "strongerAuthRequired"),
    (10, "referral"),
    (11, "adminLimitExceeded"),
    (13, "confidentialityRequired"),
    (32, "noSuchObject"),
    (34, "invalidDNSyntax"),
    (48, "inappropriateAuthentication"),
    (49, "invalidCredentials"),
    (50, "insufficientAccessRights"),
    (51, "busy"),
    (52, "unavailable"),
    (53, "unwillingToPerform"),
];

/// A client that binds, and looks for one object.
pub(super) struct Ldap {
    login: Option<Login>,
    base: Option<String>,
    stage: Stage,
    /// The entry came.
    found: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    StartTls,
    Bind,
    Search,
}

impl Stage {
    /// The number of its message.
    fn number(self) -> u8 {
        match self {
            Stage::StartTls => 1,
            Stage::Bind => 2,
            Stage::Search => 3,
        }
    }

    /// The tag of the answer that ends it.
    fn answer(self) -> u8 {
        match self {
            Stage::StartTls => tag::EXTENDED_ANSWER,
            Stage::Bind => tag::BOUND,
            Stage::Search => tag::SEARCHED,
        }
    }
}

impl Ldap {
    pub(super) fn new(login: Option<Login>, base: Option<String>, upgrade: bool) -> Ldap {
        let stage = if upgrade { Stage::StartTls } else { Stage::Bind };
        Ldap { login, base, stage, found: false }
    }

    fn say(&mut self, stage: Stage, operation: u8, body: &[u8], out: &mut Vec<u8>) -> Step {
        self.stage = stage;
        put_message(stage.number(), operation, body, out);
        Step::More
    }

    fn bind(&mut self, out: &mut Vec<u8>) -> Step {
        let (user, password) =
            self.login.as_ref().map_or(("", ""), |login| (login.user.as_str(), &*login.password));
        let mut body = Vec::new();
        put(tag::INTEGER, &[3], &mut body);
        put(tag::OCTETS, user.as_bytes(), &mut body);
        put(tag::FIRST, password.as_bytes(), &mut body);
        self.say(Stage::Bind, tag::BIND, &body, out)
    }

    fn search(&mut self, base: &str, out: &mut Vec<u8>) -> Step {
        let mut body = Vec::new();
        put(tag::OCTETS, base.as_bytes(), &mut body);
        // The base object alone; aliases are not followed.
        put(tag::ENUMERATED, &[0], &mut body);
        put(tag::ENUMERATED, &[0], &mut body);
        // At most one, without a limit of time, with values.
        put(tag::INTEGER, &[1], &mut body);
        put(tag::INTEGER, &[0], &mut body);
        put(tag::BOOLEAN, &[0], &mut body);
        put(tag::PRESENT, EVERY_ENTRY, &mut body);
        let mut attributes = Vec::new();
        put(tag::OCTETS, NO_ATTRIBUTES, &mut attributes);
        put(tag::SEQUENCE, &attributes, &mut body);
        self.say(Stage::Search, tag::SEARCH, &body, out)
    }

    /// What was asked for is done.
    fn done(&mut self, out: &mut Vec<u8>) -> Step {
        match (self.stage, &self.base) {
            (Stage::StartTls, _) => return Step::Upgrade,
            (Stage::Bind, Some(base)) => {
                let base = base.clone();
                return self.search(&base, out);
            }
            (Stage::Search, Some(base)) if !self.found => {
                return bad(format!("{} is not there for us", line::quote(base.as_bytes())));
            }
            (Stage::Bind | Stage::Search, _) => {}
        }
        put_message(self.stage.number() + 1, tag::UNBIND, &[], out);
        good()
    }

    fn answered(&mut self, body: &[u8], out: &mut Vec<u8>) -> Step {
        match result(body) {
            Some((0, _)) => self.done(out),
            Some((code, text)) => {
                let what = match self.stage {
                    Stage::StartTls => "STARTTLS",
                    Stage::Bind => "bind",
                    Stage::Search => "search",
                };
                bad(format!("{what}: {}", named(code, text)))
            }
            None => bad("an answer without a result"),
        }
    }
}

/// A message: its number, the operation.
fn put_message(number: u8, operation: u8, body: &[u8], out: &mut Vec<u8>) {
    let mut message = Vec::new();
    put(tag::INTEGER, &[number], &mut message);
    put(operation, body, &mut message);
    put(tag::SEQUENCE, &message, out);
}

/// The code of a result and what the server says beside.
fn result(body: &[u8]) -> Option<(u8, &[u8])> {
    let (code, rest) = Element::read(body)?;
    let (_matched, rest) = Element::read(rest)?;
    let (text, _) = Element::read(rest)?;
    let [code_byte] = *code.content else { return None };
    (code.tag == tag::ENUMERATED).then_some((code_byte, text.content))
}

fn named(code: u8, text: &[u8]) -> String {
    let name = RESULTS.iter().find(|(known, _)| *known == code).map(|(_, name)| *name);
    let name = name.map_or_else(|| format!("result {code}"), |name| format!("{name} ({code})"));
    if text.is_empty() { name } else { format!("{name} {}", line::quote(text)) }
}

impl Speaker for Ldap {
    fn open(&mut self, out: &mut Vec<u8>) -> Step {
        if self.stage == Stage::Bind {
            return self.bind(out);
        }
        let mut body = Vec::new();
        put(tag::FIRST, START_TLS, &mut body);
        self.say(Stage::StartTls, tag::EXTENDED, &body, out)
    }

    fn cut(&self, bytes: &[u8]) -> Cut {
        match ber::whole(bytes) {
            // RFC 4511 section 5.1: lengths are definite, and every message is a sequence.
            ber::Whole::Never => Cut::Never(no_ldap(bytes)),
            _ if bytes.first().is_some_and(|first| *first != tag::SEQUENCE) => {
                Cut::Never(no_ldap(bytes))
            }
            ber::Whole::After(length) if length > LONGEST => {
                Cut::Never(format!("a message of {length} bytes"))
            }
            ber::Whole::After(length) if length <= bytes.len() => Cut::After(length),
            ber::Whole::After(_) | ber::Whole::More => Cut::More,
        }
    }

    fn hear(&mut self, message: &[u8], out: &mut Vec<u8>) -> Step {
        let Some((number, operation)) = parts(message) else {
            return bad(no_ldap(message));
        };
        match (number, operation.tag) {
            // RFC 4511 section 4.4.1: it is about to close, and says why.
            ([0], tag::EXTENDED_ANSWER) => match result(operation.content) {
                Some((code, text)) => bad(format!("it goes: {}", named(code, text))),
                None => bad("it goes"),
            },
            ([number], answer)
                if *number == self.stage.number() && answer == self.stage.answer() =>
            {
                self.answered(operation.content, out)
            }
            (_, tag::ENTRY) if self.stage == Stage::Search => {
                self.found = true;
                Step::More
            }
            (_, tag::REFERENCE) if self.stage == Stage::Search => Step::More,
            _ => bad("an answer to what was not asked"),
        }
    }

    fn upgraded(&mut self, out: &mut Vec<u8>) -> Step {
        self.bind(out)
    }

    fn awaits(&self) -> &'static str {
        match self.stage {
            Stage::StartTls => "answer to STARTTLS",
            Stage::Bind => "answer to the bind",
            Stage::Search => "answer to the search",
        }
    }
}

fn no_ldap(bytes: &[u8]) -> String {
    format!("no LDAP, but {}", line::quote(&bytes[..bytes.len().min(1)]))
}

/// The number of a message and its operation.
fn parts(message: &[u8]) -> Option<(&[u8], Element<'_>)> {
    let (message, _) = Element::read(message)?;
    let (number, rest) = Element::read(message.content)?;
    let (operation, _) = Element::read(rest)?;
    (number.tag == tag::INTEGER).then_some((number.content, operation))
}

#[cfg(test)]
mod tests;
