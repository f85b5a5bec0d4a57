//! Random bytes for the questions that need some.
//!
//! An identifier that can be guessed would let others answer in a server's place. They are fetched
//! from the kernel many at a time: one system call for each question would be seen in the figures.

use ring::rand::{SecureRandom, SystemRandom};

/// What one question gets.
const ONE: usize = 16;

/// How much is fetched at a time.
const STOCK: usize = 4096;

/// A stock of random bytes, none of which is given out twice.
pub(super) struct Random {
    stock: Box<[u8; STOCK]>,
    used: usize,
}

impl Default for Random {
    fn default() -> Self {
        Random { stock: Box::new([0; STOCK]), used: STOCK }
    }
}

impl Random {
    /// Some that nobody else has.
    pub(super) fn next(&mut self) -> [u8; ONE] {
        if self.used + ONE > STOCK {
            // The kernel has some from its first second on.
            SystemRandom::new().fill(&mut self.stock[..]).ok();
            self.used = 0;
        }
        let mut some = [0; ONE];
        some.copy_from_slice(&self.stock[self.used..self.used + ONE]);
        self.used += ONE;
        some
    }
}
