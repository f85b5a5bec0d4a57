//! MD5 and SHA-256 of a body: of all its bytes and of nothing else.
//!
//! The MD5 is what keepalived's genhash prints for a page, so that a digest in its configuration
//! can be taken over as it is. Neither keeps anything safe here: they only tell one page from
//! another.

use std::fmt::Write;

use md5::{Digest, Md5};
use ring::digest::{Context, SHA256};

/// Both digests of a body, in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// MD5.
    pub md5: String,
    /// SHA-256.
    pub sha256: String,
}

/// Both digests of a whole body.
pub fn digests(body: &[u8]) -> Digests {
    let mut digesting = Digesting::new();
    digesting.take(body);
    digesting.finish()
}

/// Digests of a body that comes in pieces.
pub(super) struct Digesting {
    md5: Md5,
    sha256: Context,
}

impl Digesting {
    pub(super) fn new() -> Digesting {
        Digesting { md5: Md5::new(), sha256: Context::new(&SHA256) }
    }

    /// The next piece.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sha256.update(bytes);
    }

    /// What all of them come to.
    pub(super) fn finish(&self) -> Digests {
        let md5 = hex(&self.md5.clone().finalize());
        Digests { md5, sha256: hex(self.sha256.clone().finish().as_ref()) }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes what is written to it");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_what_md5sum_and_sha256sum_print() {
        let digests = digests(b"hello world\n");
        assert_eq!(digests.md5, "6f5902ac237024bdd0c176cb93063dc4");
        let sha256 = "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447";
        assert_eq!(digests.sha256, sha256);
    }

    #[test]
    fn pieces_come_to_the_same_as_the_whole() {
        let mut digesting = Digesting::new();
        digesting.take(b"hello ");
        digesting.take(b"world\n");
        assert_eq!(digesting.finish(), digests(b"hello world\n"));
    }
}
