//! As much of RSA as a login takes: OAEP with SHA-1 (RFC 8017 section 7.1) under the key that a
//! server sends in PEM.
//!
//! Chance comes from outside, as everywhere in a dialogue. It takes a fraction of a millisecond for
//! the 2048 bits that MySQL has; keys of other sizes than [`SIZES`] are refused, for all checks
//! share one thread.

use std::ops::RangeInclusive;

use rsa::pkcs8::DecodePublicKey;
use rsa::rand_core::{CryptoRng, Error, RngCore, impls};
use rsa::traits::PublicKeyParts;
use rsa::{Oaep, RsaPublicKey};
use sha1::Sha1;

/// Bytes of a modulus.
const SIZES: RangeInclusive<usize> = 128..=512;
/// Bytes of SHA-1.
const HASH: usize = 20;

/// A public key.
pub(super) struct Key(RsaPublicKey);

impl Key {
    /// Reads a SubjectPublicKeyInfo (RFC 5280 section 4.1) in PEM.
    pub(super) fn read(pem: &[u8]) -> Option<Key> {
        let text = std::str::from_utf8(pem).ok()?;
        let key = RsaPublicKey::from_public_key_pem(text.trim()).ok()?;
        SIZES.contains(&key.size()).then_some(Key(key))
    }

    /// The message under this key. None: it is too long. The seed is not to be used twice.
    pub(super) fn encrypt(&self, message: &[u8], seed: [u8; HASH]) -> Option<Vec<u8>> {
        self.0.encrypt(&mut Seed(seed), Oaep::new::<Sha1>(), message).ok()
    }
}

/// The one number that OAEP wants, drawn by somebody else.
struct Seed([u8; HASH]);

impl RngCore for Seed {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, to: &mut [u8]) {
        to.iter_mut().zip(self.0.iter().cycle()).for_each(|(byte, seed)| *byte = *seed);
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(to);
        Ok(())
    }
}

impl CryptoRng for Seed {}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use ring::digest::{SHA256, digest};

    /// Keys of 1024 and 1048 bits.
    const KEYS: [&str; 2] = [
        "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDnAfuzjcB+Z5p+KtX53C/PlyT/\
        weIktTxBx1Q0Y0urVKKIDNgQsFuREBM8AyrYd1pwTOH7hRzt+wxkrkvDGR+dk69Z\
        EAH4qJ9C4OO7R54JUdIvpkUb9jXHzKIw1tvKCEg0z4RUyXuqWhXsSxwy4nu6fdzV\
        leamo3a8dwRh2MbdAQIDAQAB",
        "MIGiMA0GCSqGSIb3DQEBAQUAA4GQADCBjAKBhADKXzWAnsgNn8Y9FkKX4lcK5lQM\
        CxiK+6DcRXjOgl0mGNCr5ZilKBlIky51Z2gGcIMjNfq1zzLwBr3tNjWeOtP9FWKS\
        kgqj1Njcsd0UJfMCR0ZPLrUrde5GKlX/933+W/kU41NkLHD0iOs6qVM6O7aURVGd\
        5azNeve+U7GrzUfdsm7ojwIDAQAB",
    ];

    fn pem(key: &str) -> String {
        let lines: Vec<&[u8]> = key.as_bytes().chunks(64).collect();
        let key = String::from_utf8(lines.join(&b'\n')).expect("letters");
        format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n")
    }

    fn digits(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What Python made of the same, and OpenSSL could decrypt.
    #[test]
    fn what_is_encrypted_is_what_others_make_of_it() {
        let sums = [
            "a41af108fc5bf231145b1d5b9df168f9270588a3621964a42295a1a8a8e71c32",
            "67acc75bbbf2980ee54e22427ed6fce3ba8c45b666be8e006bfdb7fe494a8e67",
        ];
        let mut seed = [0; HASH];
        seed.iter_mut().zip(0u8..).for_each(|(byte, number)| *byte = number);
        for (key, sum) in KEYS.iter().zip(sums) {
            let key = Key::read(pem(key).as_bytes()).expect("a key");
            let encrypted = key.encrypt(b"a password", seed).expect("room");
            assert_eq!(digits(digest(&SHA256, &encrypted).as_ref()), sum);
            assert!(key.encrypt(&vec![0; key.0.size() - 42], seed).is_some());
            assert!(key.encrypt(&vec![0; key.0.size() - 41], seed).is_none());
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let good = pem(KEYS[0]);
        for bad in ["", "x", &good[30..], &good[..200], &good.replacen("MIG", "MIH", 1)] {
            assert!(Key::read(bad.as_bytes()).is_none(), "{bad}");
        }
        // An even modulus.
        let even = STANDARD.decode(KEYS[0]).expect("base64").into_iter().collect::<Vec<u8>>();
        let at = even.len() - 6;
        let even = [&even[..at], &[even[at] & 0xfe], &even[at + 1..]].concat();
        assert!(Key::read(pem(&STANDARD.encode(even)).as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_key_or_none(at: prop::sample::Index, byte: u8, message: Vec<u8>) {
            let mut der = STANDARD.decode(KEYS[0]).expect("base64");
            let at = at.index(der.len());
            der[at] = byte;
            if let Some(key) = Key::read(pem(&STANDARD.encode(der)).as_bytes()) {
                key.encrypt(&message, [1; HASH]);
            }
            Key::read(&message);
        }
    }
}
