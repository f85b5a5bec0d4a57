//! What a link believes, byte by byte, and what two of them make of a network.
//!
//! Everything random comes from a seed, which a failure names.

mod bytes;
mod network;
mod strangers;
mod two_directors;
mod words;

use super::Nonce;

/// Numbers that look random and are the same in every run (splitmix64).
#[derive(Debug)]
pub(super) struct Chance(pub u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(super) fn nonce(&mut self) -> Nonce {
        std::array::from_fn(|_| self.next() as u8)
    }
}
