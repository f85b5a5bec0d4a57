//! Numbers that look random and are the same for the same seed, on every machine and for ever.
//!
//! SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014): one
//! word of state, every seed is good. A crate would change its numbers some day and with them what
//! a seed replays.

use std::time::Duration;

/// A source of numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The source that this seed begins.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below this one; 0 below 0.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.number()) * u128::from(end);
        u64::try_from(wide >> 64).expect("the upper half of 128 bits is 64")
    }

    /// A position in a list of that length.
    pub fn position(&mut self, length: usize) -> usize {
        let end = u64::try_from(length).expect("a length has at most 64 bits");
        usize::try_from(self.below(end)).expect("below a length")
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.number().to_be_bytes()[0]
    }

    /// True so many times of a thousand.
    pub fn chance(&mut self, of_a_thousand: u32) -> bool {
        self.below(1000) < u64::from(of_a_thousand)
    }

    /// One of these.
    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.position(choices.len())].clone()
    }

    /// A span from the first up to the second.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let width = u64::try_from(most.saturating_sub(least).as_nanos()).unwrap_or(u64::MAX);
        least + Duration::from_nanos(self.below(width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_published_numbers() {
        let mut random = Random::new(1_234_567);
        let first = [random.number(), random.number(), random.number()];
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn a_span_is_within_its_bounds() {
        let mut random = Random::new(7);
        let (least, most) = (Duration::from_millis(3), Duration::from_millis(5));
        for _ in 0..100 {
            let span = random.between(least, most);
            assert!(span >= least && span < most, "{span:?}");
        }
        assert_eq!(random.between(most, most), most);
    }
}
