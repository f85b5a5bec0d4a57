//! As much of RSA as a login takes: OAEP with SHA-1 (RFC 8017 section 7.1) under the key that a
//! server sends in PEM.
//!
//! Only what is public is raised to a power, of a password that was made random before, so that the
//! time it takes tells nothing. It is below a millisecond for the 2048 bits that MySQL has; keys of
//! other sizes than [`SIZES`] are refused, for all checks share one thread.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::super::ber::Element;

/// Bytes of a modulus.
const SIZES: RangeInclusive<usize> = 128..=512;
/// Bytes of SHA-1.
const HASH: usize = 20;
/// Tags of DER.
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// A public key; numbers have their lowest 64 bits first.
pub(super) struct Key {
    modulus: Vec<u64>,
    exponent: u32,
    /// Bytes of the modulus.
    size: usize,
}

impl Key {
    /// Reads a SubjectPublicKeyInfo (RFC 5280 section 4.1) in PEM.
    pub(super) fn read(pem: &[u8]) -> Option<Key> {
        let text = std::str::from_utf8(pem).ok()?;
        let (_, text) = text.split_once("-----BEGIN PUBLIC KEY-----")?;
        let (text, _) = text.split_once("-----END PUBLIC KEY-----")?;
        let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let der = STANDARD.decode(text).ok()?;
        let (info, _) = element(&der, SEQUENCE)?;
        let (_algorithm, rest) = element(info, SEQUENCE)?;
        let (bits, _) = element(rest, BITS)?;
        let (key, _) = element(bits.strip_prefix(b"\0")?, SEQUENCE)?;
        let (modulus, rest) = element(key, INTEGER)?;
        let (exponent, _) = element(rest, INTEGER)?;
        let modulus = modulus.strip_prefix(b"\0").unwrap_or(modulus);
        let exponent = exponent
            .iter()
            .try_fold(0u32, |number, byte| Some(number.checked_mul(256)? | u32::from(*byte)))?;
        // An even modulus is no product of primes, and Montgomery's way needs an odd one.
        let is_odd = modulus.last().is_some_and(|last| last % 2 == 1);
        let is_key = is_odd && modulus[0] != 0 && SIZES.contains(&modulus.len()) && exponent > 1;
        is_key.then(|| Key { modulus: number(modulus), exponent, size: modulus.len() })
    }

    /// The message under this key. None: it is too long. The seed is not to be used twice.
    pub(super) fn encrypt(&self, message: &[u8], seed: [u8; HASH]) -> Option<Vec<u8>> {
        let room = self.size.checked_sub(2 * HASH + 2)?;
        let padding = room.checked_sub(message.len())?;
        let mut data = hash(b"").to_vec();
        data.extend(std::iter::repeat_n(0, padding));
        data.push(1);
        data.extend_from_slice(message);
        mask(&mut data, &seed);
        let mut seed = seed;
        mask(&mut seed, &data);
        Some(self.raise(&[&[0], &seed[..], &data].concat()))
    }

    /// These bytes to the power of the exponent, modulo the modulus, by Montgomery's way: numbers
    /// stand multiplied by 2 to the power of the modulus's limbs.
    fn raise(&self, bytes: &[u8]) -> Vec<u8> {
        let (limbs, width) = (self.modulus.len(), self.modulus.len() as u32 * u64::BITS);
        let spare = self.modulus.last().map_or(0, |top| top.leading_zeros());
        // The highest power of 2 below the modulus, and from there on.
        let mut below = vec![0; limbs];
        below[limbs - 1] = 1 << (u64::BITS - 1 - spare);
        let unit = (0..=spare).fold(below, |number, _| self.double(number));
        let square = self.power(&unit, &self.double(unit.clone()), width);
        let mut base = number(bytes);
        base.resize(limbs, 0);
        let power = self.power(&unit, &self.multiply(&base, &square), self.exponent);
        let mut one = vec![0; limbs];
        one[0] = 1;
        let result = self.multiply(&power, &one);
        let bytes: Vec<u8> = result.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
        bytes[bytes.len() - self.size..].to_vec()
    }

    fn power(&self, unit: &[u64], base: &[u64], exponent: u32) -> Vec<u64> {
        let bits = (0..u32::BITS - exponent.leading_zeros()).rev();
        bits.map(|bit| exponent >> bit & 1 == 1).fold(unit.to_vec(), |power, is_set| {
            let power = self.multiply(&power, &power);
            if is_set { self.multiply(&power, base) } else { power }
        })
    }

    /// Twice a number below the modulus.
    fn double(&self, mut number: Vec<u64>) -> Vec<u64> {
        let mut carry = 0;
        for limb in &mut number {
            (*limb, carry) = (*limb << 1 | carry, *limb >> 63);
        }
        self.reduce(&mut number, carry);
        number
    }

    /// The product of two numbers, divided by 2 to the power of the modulus's bits.
    fn multiply(&self, a: &[u64], b: &[u64]) -> Vec<u64> {
        let modulus = &self.modulus;
        // Minus the inverse of the lowest limb: each round doubles the bits that are right.
        let low = modulus[0];
        let round = |x: u64, _| x.wrapping_mul(2u64.wrapping_sub(low.wrapping_mul(x)));
        let inverse = (0..5).fold(low, round).wrapping_neg();
        let mut sum = vec![0; modulus.len()];
        let mut top = 0;
        for b in b {
            let more = add_product(&mut sum, a, *b);
            let (high, over) = split(u128::from(top) + u128::from(more));
            let factor = sum[0].wrapping_mul(inverse);
            let more = add_product(&mut sum, modulus, factor);
            // The lowest limb is zero now, and goes.
            sum.rotate_left(1);
            let (last, carry) = split(u128::from(high) + u128::from(more));
            sum[modulus.len() - 1] = last;
            top = over + carry;
        }
        self.reduce(&mut sum, top);
        sum
    }

    /// Takes the modulus off once, if that can be.
    fn reduce(&self, number: &mut [u64], top: u64) {
        let is_less = number.iter().rev().cmp(self.modulus.iter().rev()) == Ordering::Less;
        if top == 0 && is_less {
            return;
        }
        let mut borrow = false;
        for (limb, other) in number.iter_mut().zip(&self.modulus) {
            let (once, first) = limb.overflowing_sub(*other);
            let (twice, second) = once.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (twice, first || second);
        }
    }
}

/// Adds `factor` times these limbs, and says what is carried.
fn add_product(sum: &mut [u64], limbs: &[u64], factor: u64) -> u64 {
    sum.iter_mut().zip(limbs).fold(0, |carry, (sum, limb)| {
        let product = u128::from(*limb) * u128::from(factor);
        let (low, high) = split(product + u128::from(*sum) + u128::from(carry));
        *sum = low;
        high
    })
}

/// The low and the high half.
fn split(number: u128) -> (u64, u64) {
    (number as u64, (number >> 64) as u64)
}

/// The limbs of a number whose highest byte stands first.
fn number(bytes: &[u8]) -> Vec<u64> {
    let limb = |eight: &[u8]| eight.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    bytes.rchunks(8).map(limb).collect()
}

/// What is in an element of this tag, and what follows on it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (element, rest) = Element::read(bytes)?;
    (element.tag == tag).then_some((element.content, rest))
}

fn hash(bytes: &[u8]) -> [u8; HASH] {
    let mut hash = [0; HASH];
    hash.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    hash
}

/// MGF1 (RFC 8017 appendix B.2.1) of these bytes, over the others.
fn mask(over: &mut [u8], from: &[u8]) {
    for (count, piece) in (0u32..).zip(over.chunks_mut(HASH)) {
        let mask = hash(&[from, &count.to_be_bytes()].concat());
        piece.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ring::digest::SHA256;

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
            assert!(key.encrypt(&vec![0; key.size - 42], seed).is_some());
            assert!(key.encrypt(&vec![0; key.size - 41], seed).is_none());
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
