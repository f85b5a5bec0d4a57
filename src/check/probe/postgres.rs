//! PostgreSQL's protocol 3.0: start-up, login, until the server is ready for a query.
//!
//! The login is what the server asks for: nothing, the password in the clear (where nobody else can
//! read it, or the role allows it), MD5, or SCRAM-SHA-256 (in [`scram`]). What it says when it
//! refuses is the reason of the failure: "the database system is starting up" as well as a wrong
//! password. A goodbye is sent, so that the server does not log a lost connection.

mod scram;

use md5::{Digest, Md5};

use self::scram::Scram;
use super::Step;
use super::exchange::{Cut, Speaker, bad, good, unmade};
use super::line;
use crate::check::config::Login;

/// Protocol 3.0.
const VERSION: u32 = 3 << 16;
/// The version that asks for TLS.
const TLS: u32 = 80_877_103;
/// The longest message; notices and parameters have some hundred bytes.
const LONGEST: usize = 16 * 1024;

/// What is said where the password would be read on the way.
const CLEAR: &str = "it wants the password unencrypted, which needs TLS or `cleartext = true`";

/// What the server wants for a login.
mod auth {
    pub(super) const OK: u32 = 0;
    pub(super) const CLEAR: u32 = 3;
    pub(super) const MD5: u32 = 5;
    pub(super) const SASL: u32 = 10;
    pub(super) const SASL_CONTINUE: u32 = 11;
    pub(super) const SASL_FINAL: u32 = 12;
}

/// A client that only logs in.
pub(super) struct Postgres {
    login: Login,
    database: String,
    nonce: [u8; 16],
    stage: Stage,
    /// Whether the password may be said as it is.
    clear: bool,
}

enum Stage {
    /// Whether it has TLS.
    Tls,
    /// What it wants for a login, or that it is well.
    Login,
    /// Answers of the server's side of SCRAM.
    Scram(Scram),
    /// It is ready.
    Ready,
}

impl Postgres {
    /// With `clear` the server gets the password as it is, should it ask for that.
    pub(super) fn new(
        login: &Login,
        database: &str,
        upgrade: bool,
        clear: bool,
        nonce: [u8; 16],
    ) -> Postgres {
        let stage = if upgrade { Stage::Tls } else { Stage::Login };
        Postgres { login: login.clone(), database: database.to_owned(), nonce, stage, clear }
    }

    fn start(&self, out: &mut Vec<u8>) -> Step {
        let Login { user, .. } = &self.login;
        let database = if self.database.is_empty() { user } else { &self.database };
        let parameters =
            [("user", user.as_str()), ("database", database), ("application_name", "converge")];
        let mut body = VERSION.to_be_bytes().to_vec();
        for word in parameters.iter().flat_map(|(name, value)| [name, value]) {
            body.extend_from_slice(word.as_bytes());
            body.push(0);
        }
        body.push(0);
        put(None, &body, out);
        Step::More
    }

    /// What is asked for a login.
    fn log_in(&mut self, body: &[u8], out: &mut Vec<u8>) -> Step {
        let Some((kind, rest)) = body.split_first_chunk() else {
            return bad("a request for a login without a kind");
        };
        match (u32::from_be_bytes(*kind), &mut self.stage) {
            (auth::OK, Stage::Login) => self.stage = Stage::Ready,
            (auth::OK, Stage::Scram(scram)) if scram.is_proven() => self.stage = Stage::Ready,
            // Whoever answers in the server's place would have the password.
            (auth::CLEAR, Stage::Login) if !self.clear => return bad(CLEAR),
            (auth::CLEAR, Stage::Login) => put(Some(b'p'), &zero_ended(&self.login.password), out),
            (auth::MD5, Stage::Login) => match rest.first_chunk() {
                Some(salt) => put(Some(b'p'), &md5_of(&self.login, *salt), out),
                None => return bad("a request for MD5 without salt"),
            },
            (auth::SASL, Stage::Login) => {
                let mut offers = rest.split(|byte| *byte == 0);
                if !offers.any(|offer| offer == scram::NAME.as_bytes()) {
                    return bad(format!("it wants a login by {}", line::quote(rest)));
                }
                let scram = Scram::new(&self.login.password, &self.nonce);
                put(Some(b'p'), &scram.first(), out);
                self.stage = Stage::Scram(scram);
            }
            (auth::SASL_CONTINUE, Stage::Scram(scram)) => match scram.answer(rest) {
                Ok(answer) => put(Some(b'p'), &answer, out),
                Err(why) => return bad(why),
            },
            (auth::SASL_FINAL, Stage::Scram(scram)) => {
                if let Err(why) = scram.check(rest) {
                    return bad(why);
                }
            }
            (kind, _) => return bad(format!("it wants a login of kind {kind}")),
        }
        Step::More
    }
}

/// A message, of this kind unless it is the first.
fn put(kind: Option<u8>, body: &[u8], out: &mut Vec<u8>) {
    out.extend(kind);
    // A body is a login, which is far below 4 GiB.
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
}

fn zero_ended(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

/// The answer to a request for MD5.
fn md5_of(login: &Login, salt: [u8; 4]) -> Vec<u8> {
    let inner = hex(&Md5::digest(format!("{}{}", &*login.password, login.user)));
    let outer = hex(&Md5::digest([inner.as_bytes(), &salt].concat()));
    zero_ended(&format!("md5{outer}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text and the code of an ErrorResponse.
fn error(body: &[u8]) -> String {
    let field = |kind: u8| {
        let mut fields = body.split(|byte| *byte == 0);
        fields.find_map(|field| field.strip_prefix(&[kind]))
    };
    let message = line::quote(field(b'M').unwrap_or_default());
    match field(b'C') {
        Some(code) => format!("error {message} ({})", String::from_utf8_lossy(code)),
        None => format!("error {message}"),
    }
}

impl Speaker for Postgres {
    fn open(&mut self, out: &mut Vec<u8>) -> Step {
        let words = [self.login.user.as_str(), &self.login.password, &self.database];
        if words.iter().any(|s| s.contains('\0')) {
            return unmade("a login with a zero byte");
        }
        match self.stage {
            Stage::Tls => {
                put(None, &TLS.to_be_bytes(), out);
                Step::More
            }
            Stage::Login | Stage::Scram(_) | Stage::Ready => self.start(out),
        }
    }

    fn cut(&self, bytes: &[u8]) -> Cut {
        match (&self.stage, bytes) {
            // One letter; but a server that fails here says so in a whole message.
            (Stage::Tls, [first, ..]) if *first != b'E' => Cut::After(1),
            (_, [_, a, b, c, d, ..]) => match u32::from_be_bytes([*a, *b, *c, *d]) as usize {
                length @ 4..=LONGEST if bytes.len() > length => Cut::After(length + 1),
                4..=LONGEST => Cut::More,
                _ => Cut::Never(format!("no PostgreSQL, but {}", line::quote(&bytes[..5]))),
            },
            _ => Cut::More,
        }
    }

    fn hear(&mut self, message: &[u8], out: &mut Vec<u8>) -> Step {
        let body = message.get(5..).unwrap_or_default();
        match (&self.stage, message.first()) {
            (_, Some(b'E')) => bad(error(body)),
            (Stage::Tls, Some(b'S')) => Step::Upgrade,
            (Stage::Tls, Some(b'N')) => bad("it has no TLS"),
            (Stage::Login | Stage::Scram(_), Some(b'R')) => self.log_in(body, out),
            // Notices, parameters and the key to cancel with.
            (Stage::Login | Stage::Ready, Some(b'N' | b'S' | b'K' | b'v')) => Step::More,
            // A notice may come at any time (protocol, section "Asynchronous Operations").
            (Stage::Scram(_), Some(b'N')) => Step::More,
            (Stage::Ready, Some(b'Z')) => {
                put(Some(b'X'), &[], out);
                good()
            }
            _ => bad(format!("no PostgreSQL, but {}", line::quote(message))),
        }
    }

    fn upgraded(&mut self, out: &mut Vec<u8>) -> Step {
        self.stage = Stage::Login;
        self.start(out)
    }

    fn awaits(&self) -> &'static str {
        match self.stage {
            Stage::Tls => "answer to SSLRequest",
            Stage::Login => "answer to the start",
            Stage::Scram(_) => "answer to the login",
            Stage::Ready => "word that it is ready",
        }
    }
}

#[cfg(test)]
mod tests;
