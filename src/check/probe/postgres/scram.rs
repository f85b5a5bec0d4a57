//! The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
//!
//! The password goes in as it is: SASLprep would change only some outside of ASCII, and PostgreSQL
//! takes those it cannot prepare as they are as well. How often it is hashed the server says, and
//! is bounded, for the checks share one thread.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

use super::line;

/// The mechanism.
pub(super) const NAME: &str = "SCRAM-SHA-256";
/// The most rounds. PostgreSQL has 4096 unless told otherwise, which is 1 ms.
const MOST_ROUNDS: u32 = 32_768;
/// No channel binding, no other identity (RFC 5802 section 7).
const HEADER: &str = "n,,";
/// The header again, in base64.
const HEADER_AGAIN: &str = "c=biws";

/// One login.
pub(super) struct Scram {
    password: String,
    /// "n=,r=" and our nonce; the user stands in the start-up message.
    first_bare: String,
    nonce: String,
    /// What the server has to prove that it knows, once we answered.
    expected: Option<hmac::Tag>,
    proven: bool,
}

impl Scram {
    pub(super) fn new(password: &str, random: &[u8]) -> Scram {
        let nonce = STANDARD.encode(random);
        let first_bare = format!("n=,r={nonce}");
        Scram { password: password.to_owned(), first_bare, nonce, expected: None, proven: false }
    }

    /// The SASLInitialResponse.
    pub(super) fn first(&self) -> Vec<u8> {
        let text = format!("{HEADER}{}", self.first_bare);
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        [NAME.as_bytes(), b"\0", &length, text.as_bytes()].concat()
    }

    /// The answer to the server's first message.
    pub(super) fn answer(&mut self, message: &[u8]) -> Result<Vec<u8>, String> {
        let wrong = || format!("no SCRAM, but {}", line::quote(message));
        if self.expected.is_some() {
            return Err(wrong());
        }
        let text = std::str::from_utf8(message).map_err(|_| wrong())?;
        let mut parts = text.split(',');
        let mut part = |name| parts.next()?.strip_prefix(name);
        let (Some(nonce), Some(salt), Some(rounds)) = (part("r="), part("s="), part("i=")) else {
            return Err(wrong());
        };
        let (Ok(salt), Ok(rounds)) = (STANDARD.decode(salt), rounds.parse::<NonZeroU32>()) else {
            return Err(wrong());
        };
        // RFC 5802 section 5.1: it begins with ours, else it is an answer to somebody else.
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("its nonce does not begin with ours".to_owned());
        }
        if rounds.get() > MOST_ROUNDS {
            return Err(format!("its password has {rounds} rounds of SCRAM, over {MOST_ROUNDS}"));
        }
        Ok(self.prove(text, nonce, &salt, rounds))
    }

    /// RFC 5802 section 3.
    fn prove(&mut self, text: &str, nonce: &str, salt: &[u8], rounds: NonZeroU32) -> Vec<u8> {
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        let password = self.password.as_bytes();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password, &mut salted);
        let salted = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let last_bare = format!("{HEADER_AGAIN},r={nonce}");
        let all = format!("{},{text},{last_bare}", self.first_bare);
        let signature = hmac::sign(&key(stored_key.as_ref()), all.as_bytes());
        let pairs = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = pairs.map(|(a, b)| a ^ b).collect();
        let server_key = hmac::sign(&salted, b"Server Key");
        self.expected = Some(hmac::sign(&key(server_key.as_ref()), all.as_bytes()));
        format!("{last_bare},p={}", STANDARD.encode(&proof)).into_bytes()
    }

    /// The server's last message, which proves that it knows the password as well.
    pub(super) fn check(&mut self, message: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(message).unwrap_or_default();
        let signature = text.strip_prefix("v=").and_then(|text| STANDARD.decode(text).ok());
        match (signature, &self.expected) {
            (Some(signature), Some(expected)) if signature == expected.as_ref() => {
                self.proven = true;
                Ok(())
            }
            _ => Err("it does not prove that it knows the password".to_owned()),
        }
    }

    /// Whether the server has proven itself.
    pub(super) fn is_proven(&self) -> bool {
        self.proven
    }
}

fn key(bytes: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677 section 3; its user stands where ours is left empty.
    #[test]
    fn the_example_of_rfc_7677_is_proven() {
        let mut scram = Scram::new("pencil", b"");
        scram.nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        scram.first_bare = format!("n=user,r={}", scram.nonce);
        let first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer =
            String::from_utf8(scram.answer(first).expect("well-formed")).expect("well-formed");
        assert_eq!(
            answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(!scram.is_proven());
        assert!(scram.check(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").is_err());
        assert!(scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").is_ok());
        assert!(scram.is_proven());
    }

    #[test]
    fn a_first_message_that_cannot_be_is_refused() {
        for (message, why) in [
            (&b""[..], "no SCRAM, but ``"),
            (b"r=x", "no SCRAM, but `r=x`"),
            (b"r=AAAAx,s=!,i=1", "no SCRAM, but `r=AAAAx,s=!,i=1`"),
            (b"r=AAAAx,s=AAAA,i=0", "no SCRAM, but `r=AAAAx,s=AAAA,i=0`"),
            (b"r=AAAA,s=AAAA,i=1", "its nonce does not begin with ours"),
            (b"r=BAAAx,s=AAAA,i=1", "its nonce does not begin with ours"),
            (
                b"r=AAAAx,s=AAAA,i=4294967295",
                "its password has 4294967295 rounds of SCRAM, over 32768",
            ),
        ] {
            assert_eq!(Scram::new("p", &[0, 0, 0]).answer(message), Err(why.to_owned()));
        }
        let mut scram = Scram::new("p", &[0, 0, 0]);
        assert!(scram.check(b"v=AAAA").is_err(), "before anything was answered");
        scram.answer(b"r=AAAAx,s=AAAA,i=1").expect("well-formed");
        assert!(scram.answer(b"r=AAAAx,s=AAAA,i=1").is_err(), "twice");
    }
}
