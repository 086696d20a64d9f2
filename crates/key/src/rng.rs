//! The sequential reader of a key's stream.

use crate::{Key, convert};

/// Reads the stream of a [`Key`] word by word.
///
/// A convenience over [`Key::word`] for code that draws a few numbers in a
/// row. Every method says how many words it takes, so that a stream can be
/// followed by hand; bulk fills address the words directly instead.
#[derive(Clone, Debug)]
pub struct Rng {
    key: Key,
    position: u64,
    block: [u32; 4],
}

impl Rng {
    pub(crate) const fn new(key: Key) -> Self {
        Self {
            key,
            position: 0,
            block: [0; 4],
        }
    }

    /// The next word. Takes one.
    #[inline]
    pub const fn next_u32(&mut self) -> u32 {
        let lane = (self.position % 4) as usize;
        if lane == 0 {
            self.block = self.key.block(self.position / 4);
        }
        self.position += 1;
        self.block[lane]
    }

    /// The next two words, the first one in the low half.
    #[inline]
    pub const fn next_u64(&mut self) -> u64 {
        let low = self.next_u32() as u64;
        low | (self.next_u32() as u64) << 32
    }

    /// Uniform on `[0, 1)` with 24 random bits. Takes one word.
    #[inline]
    pub const fn uniform(&mut self) -> f32 {
        convert::uniform(self.next_u32())
    }

    /// Uniform on `[0, 1)` with 53 random bits. Takes two words.
    #[inline]
    pub const fn uniform_f64(&mut self) -> f64 {
        convert::uniform_f64(self.next_u64())
    }

    /// Uniform on `[low, high)`; `low` itself if the range is empty or a bound
    /// is not a number. Takes two words.
    #[inline]
    pub const fn range(&mut self, low: f64, high: f64) -> f64 {
        let value = low + (high - low) * self.uniform_f64();
        // Rounding can reach `high` when the bounds are close together.
        if value < high && value >= low {
            value
        } else {
            low
        }
    }

    /// Uniform on `0..bound` without bias; 0 if `bound` is 0 or 1.
    ///
    /// Lemire's method: takes two words, and two more with a probability below
    /// `bound / 2^64`.
    pub const fn below(&mut self, bound: u64) -> u64 {
        if bound <= 1 {
            return 0;
        }
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = (self.next_u64() as u128) * (bound as u128);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// `true` with probability `p`. Takes two words.
    #[inline]
    pub const fn chance(&mut self, p: f64) -> bool {
        self.uniform_f64() < p
    }

    /// Standard normal. Takes one word.
    #[inline]
    pub fn normal(&mut self) -> f32 {
        convert::normal(self.next_u32())
    }

    /// Shuffles `items` in place (Fisher–Yates from the end).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn below_is_uniform() {
        let mut rng = Key::from_seed(3).rng();
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[rng.below(7) as usize] += 1;
        }
        // Chi-square with 6 degrees of freedom: 22.5 is the 0.1 % point.
        let chi: f64 = counts
            .iter()
            .map(|&n| (f64::from(n) - 1e4).powi(2) / 1e4)
            .sum();
        assert!(chi < 22.5, "{chi}");
    }

    proptest! {
        #[test]
        fn range_stays_inside_its_bounds(seed: u64, low in -1e6..1e6_f64, width in 0.0..1e6_f64) {
            let value = Key::from_seed(seed).rng().range(low, low + width);
            prop_assert!(value >= low && (value < low + width || value == low));
        }

        #[test]
        fn below_stays_below(seed: u64, bound in 1..u64::MAX) {
            prop_assert!(Key::from_seed(seed).rng().below(bound) < bound);
        }

        #[test]
        fn shuffle_is_a_permutation(seed: u64, n in 0..200_usize) {
            let mut items: Vec<usize> = (0..n).collect();
            Key::from_seed(seed).rng().shuffle(&mut items);
            items.sort_unstable();
            prop_assert_eq!(items, (0..n).collect::<Vec<_>>());
        }
    }
}
