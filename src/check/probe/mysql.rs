//! The protocol of MySQL and MariaDB: greeting, TLS if it begins there, login, goodbye.
//!
//! A client that goes after the greeting is counted against its host, and after some (100) the
//! server blocks that host; so without a login an empty one is tried, and being refused is good.
//! The login is by mysql_native_password or caching_sha2_password. By the latter a server that has
//! not seen the user lately wants the password itself, which it gets under TLS, else under the
//! public key that it is asked for. Whose key that is nobody proves, so that without TLS it is
//! asked for only where nobody else can answer, or the role allows it.

mod packet;
mod rsa;

use ring::digest::{Algorithm, Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use self::packet::{Greeting, capability};
use super::Step;
use super::exchange::{Cut, Speaker, bad, good, unmade};
use super::line;
use crate::check::config::Login;

const NATIVE: &str = "mysql_native_password";
const CACHING: &str = "caching_sha2_password";

/// What is said where whoever answers would have the password.
const CLEAR: &str =
    "it wants the password itself, which needs `tls = \"starttls\"` or `cleartext = true`";

/// The longest packet: a greeting or an error has some hundred bytes.
const LONGEST: usize = 16 * 1024;

/// What an answer begins with.
mod mark {
    pub(super) const OK: u8 = 0x00;
    pub(super) const MORE: u8 = 0x01;
    pub(super) const SWITCH: u8 = 0xfe;
    pub(super) const ERROR: u8 = 0xff;
}

/// What caching_sha2_password says beside.
mod caching {
    pub(super) const KNOWN: u8 = 3;
    pub(super) const UNKNOWN: u8 = 4;
    /// Asks for the public key.
    pub(super) const KEY: u8 = 2;
}

/// A client that only logs in.
pub(super) struct Mysql {
    login: Option<Login>,
    /// TLS is to begin after the greeting.
    upgrade: bool,
    /// TLS stands.
    covered: bool,
    /// Whether whoever answers may have the password.
    clear: bool,
    random: [u8; 16],
    stage: Stage,
    greeting: Greeting,
    /// The password went out under the server's key, which takes time: it does so once.
    encrypted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    Login,
    Key,
}

impl Mysql {
    /// With `clear` the server gets the password under a key of its own, should it ask for that.
    pub(super) fn new(
        login: Option<Login>,
        upgrade: bool,
        covered: bool,
        clear: bool,
        random: [u8; 16],
    ) -> Mysql {
        let (stage, greeting) = (Stage::Greeting, Greeting::default());
        Mysql { login, upgrade, covered, clear, random, stage, greeting, encrypted: false }
    }

    fn greeted(&mut self, payload: &[u8], number: u8, out: &mut Vec<u8>) -> Step {
        if payload.first() == Some(&mark::ERROR) {
            return bad(packet::error(payload));
        }
        self.greeting = match Greeting::parse(payload) {
            Ok(greeting) => greeting,
            Err(why) => return bad(why),
        };
        self.stage = Stage::Login;
        if !self.upgrade {
            return self.log_in(number.wrapping_add(1), out);
        }
        if self.greeting.capabilities & capability::TLS == 0 {
            return bad("it has no TLS");
        }
        packet::put(number.wrapping_add(1), &packet::opening(capability::TLS), out);
        Step::Upgrade
    }

    fn log_in(&self, number: u8, out: &mut Vec<u8>) -> Step {
        let tls = if self.upgrade { capability::TLS } else { 0 };
        let mut body = packet::opening(tls);
        let user = self.login.as_ref().map_or("", |login| &login.user);
        body.extend_from_slice(user.as_bytes());
        body.push(0);
        // A server with another plugin as its default switches to what the user has.
        let plugin = if self.greeting.plugin == CACHING { CACHING } else { NATIVE };
        let answer = self.answer(plugin);
        // 20 or 32 bytes, or none.
        body.push(u8::try_from(answer.len()).unwrap_or(0));
        body.extend_from_slice(&answer);
        body.extend_from_slice(plugin.as_bytes());
        body.push(0);
        packet::put(number, &body, out);
        Step::More
    }

    fn password(&self) -> &str {
        self.login.as_ref().map_or("", |login| &*login.password)
    }

    /// The password, as the plugin wants it mixed with what the server sent.
    fn answer(&self, plugin: &str) -> Vec<u8> {
        let (password, seed) = (self.password().as_bytes(), self.greeting.seed.as_slice());
        if password.is_empty() {
            return Vec::new();
        }
        let hash = |algorithm: &'static Algorithm, parts: &[&[u8]]| -> Digest {
            digest(algorithm, &parts.concat())
        };
        let (once, mixed) = if plugin == CACHING {
            let once = hash(&SHA256, &[password]);
            let twice = hash(&SHA256, &[once.as_ref()]);
            (once, hash(&SHA256, &[twice.as_ref(), seed]))
        } else {
            let once = hash(&SHA1_FOR_LEGACY_USE_ONLY, &[password]);
            let twice = hash(&SHA1_FOR_LEGACY_USE_ONLY, &[once.as_ref()]);
            (once, hash(&SHA1_FOR_LEGACY_USE_ONLY, &[seed, twice.as_ref()]))
        };
        once.as_ref().iter().zip(mixed.as_ref()).map(|(a, b)| a ^ b).collect()
    }

    fn answered(&mut self, payload: &[u8], number: u8, out: &mut Vec<u8>) -> Step {
        match payload {
            [mark::OK, ..] => {
                packet::put(0, &[packet::QUIT], out);
                good()
            }
            // It is alive, and nobody is counted against us who was refused by name.
            [mark::ERROR, ..] if self.login.is_none() && packet::is_refusal(payload) => good(),
            [mark::ERROR, ..] => bad(packet::error(payload)),
            [mark::SWITCH, rest @ ..] => self.switch(rest, number, out),
            [mark::MORE, caching::KNOWN] => Step::More,
            [mark::MORE, caching::UNKNOWN] if self.covered => {
                let password = [self.password().as_bytes(), b"\0"].concat();
                packet::put(number.wrapping_add(1), &password, out);
                Step::More
            }
            // Whoever answers in the server's place would have the password.
            [mark::MORE, caching::UNKNOWN] if !self.clear && !self.password().is_empty() => {
                bad(CLEAR)
            }
            [mark::MORE, caching::UNKNOWN] if !self.encrypted => {
                self.stage = Stage::Key;
                packet::put(number.wrapping_add(1), &[caching::KEY], out);
                Step::More
            }
            _ => bad(format!("no answer to the login, but {}", line::quote(payload))),
        }
    }

    /// The server's key came, or why it has none.
    fn encrypt(&mut self, payload: &[u8], number: u8, out: &mut Vec<u8>) -> Step {
        let key = match payload {
            [mark::MORE, key @ ..] => rsa::Key::read(key),
            [mark::ERROR, ..] => return bad(packet::error(payload)),
            _ => None,
        };
        let Some(key) = key else {
            return bad(format!("no public key, but {}", line::quote(payload)));
        };
        // By itself the password would show in two logins which of its bytes are the same.
        let seed = self.greeting.seed.iter().cycle();
        let password = self.password().bytes().chain([0]);
        let password: Vec<u8> = password.zip(seed).map(|(byte, seed)| byte ^ seed).collect();
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.random);
        let random = hash.as_ref().first_chunk().copied().unwrap_or_default();
        match key.encrypt(&password, random) {
            Some(encrypted) => packet::put(number.wrapping_add(1), &encrypted, out),
            None => return bad("its public key is too small for the password"),
        }
        self.stage = Stage::Login;
        self.encrypted = true;
        Step::More
    }

    /// The user's plugin is another one.
    fn switch(&mut self, rest: &[u8], number: u8, out: &mut Vec<u8>) -> Step {
        let (name, seed) = packet::zero_ended(rest);
        let plugin = match name {
            // What has no seed is older than mysql_native_password.
            _ if rest.is_empty() => return bad("it wants a login by mysql_old_password"),
            name if name == NATIVE.as_bytes() => NATIVE,
            name if name == CACHING.as_bytes() => CACHING,
            // MariaDB's users without a login of their own: being asked is proof enough.
            _ if self.login.is_none() => return good(),
            name => return bad(format!("it wants a login by {}", line::quote(name))),
        };
        self.greeting.seed = packet::zero_ended(seed).0.to_vec();
        packet::put(number.wrapping_add(1), &self.answer(plugin), out);
        Step::More
    }
}

impl Speaker for Mysql {
    fn open(&mut self, _out: &mut Vec<u8>) -> Step {
        let words = self.login.iter().flat_map(|login| [login.user.as_str(), &login.password]);
        if words.into_iter().any(|word| word.contains('\0')) {
            return unmade("a login with a zero byte");
        }
        Step::More
    }

    fn cut(&self, bytes: &[u8]) -> Cut {
        match packet::length(bytes) {
            Some(length @ 1..=LONGEST) if bytes.len() >= length + 4 => Cut::After(length + 4),
            Some(1..=LONGEST) | None => Cut::More,
            Some(_) => Cut::Never(format!("no MySQL, but {}", line::quote(&bytes[..4]))),
        }
    }

    fn hear(&mut self, message: &[u8], out: &mut Vec<u8>) -> Step {
        let Some(([_, _, _, number], payload)) = message.split_first_chunk() else {
            return bad("an empty packet");
        };
        match self.stage {
            Stage::Greeting => self.greeted(payload, *number, out),
            Stage::Login => self.answered(payload, *number, out),
            Stage::Key => self.encrypt(payload, *number, out),
        }
    }

    fn upgraded(&mut self, out: &mut Vec<u8>) -> Step {
        self.covered = true;
        self.log_in(2, out)
    }

    fn awaits(&self) -> &'static str {
        match self.stage {
            Stage::Greeting => "greeting",
            Stage::Login => "answer to the login",
            Stage::Key => "public key",
        }
    }
}

#[cfg(test)]
mod tests;
