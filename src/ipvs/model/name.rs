//! The short names that the kernel uses for schedulers, persistence engines and interfaces.
//!
//! They are kept in place, without an allocation, which makes everything that holds one `Copy`.
//! Whether the kernel knows a scheduler or engine of the name only the kernel can say.

use std::fmt;
use std::str::FromStr;

/// A name of 1 to 15 printable ASCII characters without blanks or slashes.
///
/// `IP_VS_SCHEDNAME_MAXLEN`, `IP_VS_PENAME_MAXLEN` and `IFNAMSIZ` are all 16 with the final NUL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelName {
    /// The name, padded with NULs, so that derived comparisons are right.
    bytes: [u8; Self::MAX],
}

/// Why a text is not a [`KernelName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing in it.
    #[error("the name is empty")]
    Empty,
    /// It does not fit into the kernel's 16 bytes.
    #[error("the name has {length} bytes, the kernel takes at most 15")]
    TooLong {
        /// Bytes in the text.
        length: usize,
    },
    /// It has a byte that no scheduler, engine or interface is named with.
    #[error("byte 0x{byte:02x} cannot be part of a name")]
    Character {
        /// The offending byte.
        byte: u8,
    },
}

impl KernelName {
    /// Longest name in bytes, without the final NUL.
    pub const MAX: usize = 15;

    /// Takes a name as the kernel sends it, without its final NUL.
    pub fn from_bytes(name: &[u8]) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(&byte) = name.iter().find(|b| !b.is_ascii_graphic() || **b == b'/') {
            return Err(NameError::Character { byte });
        }
        let mut bytes = [0; Self::MAX];
        match bytes.get_mut(..name.len()) {
            Some(place) => place.copy_from_slice(name),
            None => return Err(NameError::TooLong { length: name.len() }),
        }
        Ok(Self { bytes })
    }

    /// The bytes of the name, without a NUL.
    pub fn as_bytes(&self) -> &[u8] {
        let end = self.bytes.iter().position(|b| *b == 0).unwrap_or(Self::MAX);
        &self.bytes[..end]
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in, so this cannot fail; an empty text would be the harmless answer.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl FromStr for KernelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::from_bytes(text.as_bytes())
    }
}

impl fmt::Display for KernelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for KernelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl serde::Serialize for KernelName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_to_fifteen_printable_bytes() {
        assert_eq!("wlc".parse::<KernelName>().map(|n| n.to_string()), Ok("wlc".into()));
        assert_eq!("abcdefghijklmno".parse::<KernelName>().map(|n| n.as_bytes().len()), Ok(15));
        assert_eq!("".parse::<KernelName>(), Err(NameError::Empty));
        assert_eq!(
            "abcdefghijklmnop".parse::<KernelName>(),
            Err(NameError::TooLong { length: 16 })
        );
        assert_eq!("a b".parse::<KernelName>(), Err(NameError::Character { byte: b' ' }));
        assert_eq!(KernelName::from_bytes(b"a\0"), Err(NameError::Character { byte: 0 }));
    }
}
