//! The cluster's key: 32 bytes that every director has and nobody else.
//!
//! It proves to a director that the other end of a link is one too, and that nobody changed a word
//! on the way. What is said on a link is not hidden by it. In the file it stands as 64 hexadecimal
//! digits; `converge key` prints a fresh one. Reading the file is left to whoever has the disk.

use std::fmt;

use ring::hmac;

/// Bytes of a key: as many as HMAC-SHA256 makes use of (RFC 2104 3 wants no fewer than the hash
/// has).
pub const KEY_BYTES: usize = 32;
/// Where the key lies on a host.
pub const KEY_FILE: &str = "/etc/converge/cluster.key";

/// The cluster's key. Neither printed nor compared.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl Key {
    /// A key of these bytes.
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Key {
        Key(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The key that a file holds; `file` is its name for the error.
    pub fn parse(file: &str, text: &str) -> Result<Key, KeyError> {
        let wrong = |fault| KeyError { file: file.to_owned(), fault };
        let digits = text.trim_ascii();
        if digits.is_empty() {
            return Err(wrong(KeyFault::Empty));
        }
        if let Some((place, character)) =
            digits.char_indices().find(|(_, c)| !c.is_ascii_hexdigit())
        {
            return Err(wrong(KeyFault::NotHexadecimal { place: place + 1, character }));
        }
        if digits.len() != 2 * KEY_BYTES {
            return Err(wrong(KeyFault::Length { digits: digits.len() }));
        }
        let mut bytes = [0; KEY_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            *byte = value_of(pair[0]) << 4 | value_of(pair[1]);
        }
        Ok(Key::new(&bytes))
    }

    /// Whether it is the same key.
    pub fn is_same(&self, other: &Key) -> bool {
        const PURPOSE: &str = "converge: is this the same key?";
        self.sign(PURPOSE, &[]) == other.sign(PURPOSE, &[])
    }

    /// The text of a key file, from random bytes.
    pub fn text(bytes: &[u8; KEY_BYTES]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What only a holder of the key can make of these parts. `purpose` keeps apart what is made
    /// for different ends.
    pub fn sign(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [purpose.as_bytes()].iter().chain(parts) {
            // Lengths are signed too, so that no byte can move from one part to the next.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(not shown)")
    }
}

fn value_of(digit: u8) -> u8 {
    let value = char::from(digit).to_digit(16).expect("only hexadecimal digits come here");
    u8::try_from(value).expect("a digit is below 16")
}

/// A key file that holds no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {fault}; {}", fresh(.file))]
pub struct KeyError {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub fault: KeyFault,
}

/// How a director comes to a key in this file.
pub fn fresh(file: &str) -> String {
    format!(
        "`umask 077; converge key > {file}` on one director makes a fresh key, and every director \
         needs the same copy"
    )
}

/// What is wrong with a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Nothing stands in it.
    #[error("the file is empty where 64 hexadecimal digits should stand")]
    Empty,
    /// Too few or too many digits.
    #[error("a key has 64 hexadecimal digits, not {digits}")]
    Length {
        /// How many there are.
        digits: usize,
    },
    /// Something other than a hexadecimal digit.
    #[error("character {place} of the key is {character:?}, which is no hexadecimal digit")]
    NotHexadecimal {
        /// Which one, counted from 1.
        place: usize,
        /// The character.
        character: char,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";

    fn bytes() -> [u8; KEY_BYTES] {
        std::array::from_fn(|i| i as u8)
    }

    #[test]
    fn a_key_is_64_digits_with_any_whitespace_around_them() {
        for text in [TEXT.to_owned(), format!("  {TEXT}\r\n\n"), Key::text(&bytes())] {
            let key = Key::parse("key", &text).expect("a key");
            assert_eq!(key.sign("a", &[b"b"]), Key::new(&bytes()).sign("a", &[b"b"]));
        }
        assert_eq!(Key::text(&bytes()), TEXT.to_ascii_lowercase());
    }

    #[test]
    fn a_file_without_a_key_is_refused_with_its_name_and_the_way_to_a_key() {
        let mut long = TEXT.to_owned();
        long.push('0');
        for (text, what) in [
            ("", "the file is empty"),
            (" \n\t", "the file is empty"),
            (&TEXT[..62], "64 hexadecimal digits, not 62"),
            (&long, "not 65"),
            (&TEXT.replace("0a", "0g"), "character 22 of the key is 'g'"),
            ("secret = \"ü\"", "character 1 of the key is 's'"),
            ("00ü", "character 3 of the key is 'ü'"),
        ] {
            let error = Key::parse("/etc/key", text).expect_err(text).to_string();
            assert!(error.starts_with("/etc/key: ") && error.contains(what), "{error}");
            assert!(error.contains("converge key > /etc/key"), "{error}");
        }
    }

    #[test]
    fn what_is_signed_depends_on_purpose_parts_and_where_one_part_ends() {
        let key = Key::new(&bytes());
        let signed = key.sign("p", &[b"ab", b"c"]);
        assert_ne!(signed, key.sign("p", &[b"a", b"bc"]));
        assert_ne!(signed, key.sign("q", &[b"ab", b"c"]));
        assert_ne!(signed, Key::new(&[7; KEY_BYTES]).sign("p", &[b"ab", b"c"]));
        assert!(!format!("{key:?}").contains("01"));
    }
}
