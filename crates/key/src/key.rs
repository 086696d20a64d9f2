//! Keys: names of random streams, derived from each other.

use crate::philox::philox;
use crate::rng::Rng;

const FOLD_DOMAIN: u64 = 0x9E37_79B9_7F4A_7C15;
const NAME_DOMAIN: u64 = 0xD1B5_4A32_D192_ED03;

/// The name of a random stream: 128 bits, derived from a seed by folding in
/// whatever identifies the draw (epoch, sample, operation slot, …).
///
/// Deriving is pure, so streams don't depend on the order in which they are
/// made. Fold *before* drawing: the children of a key and the numbers drawn
/// from it are kept apart by the domain constants of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    words: [u64; 2],
}

impl Key {
    /// The root key of a run.
    ///
    /// ```
    /// use firecraft_key::Key;
    /// assert_eq!(Key::from_seed(0).words(), [0x4f1a097e40892754, 0x2f9e2f43261374e1]);
    /// ```
    #[must_use]
    pub const fn from_seed(seed: u64) -> Self {
        Self { words: [0, 0] }.fold(seed)
    }

    /// A key from its two words, as [`Key::words`] gave them.
    #[must_use]
    pub const fn from_words(words: [u64; 2]) -> Self {
        Self { words }
    }

    /// The two words that make up this key.
    #[must_use]
    pub const fn words(self) -> [u64; 2] {
        self.words
    }

    /// The child of this key for the number `data`.
    #[must_use]
    pub const fn fold(self, data: u64) -> Self {
        self.derive(data, FOLD_DOMAIN)
    }

    /// The child of this key for the text `name`.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        let mut key = self.derive(name.len() as u64, NAME_DOMAIN);
        for group in name.as_bytes().chunks(8) {
            let mut bytes = [0; 8];
            bytes[..group.len()].copy_from_slice(group);
            key = key.derive(u64::from_le_bytes(bytes), NAME_DOMAIN);
        }
        key
    }

    /// A generator that reads the stream of this key from its start.
    #[must_use]
    pub const fn rng(self) -> Rng {
        Rng::new(self)
    }

    /// Block `index` of the stream: its words `4 * index ..= 4 * index + 3`.
    #[inline]
    #[must_use]
    pub const fn block(self, index: u64) -> [u32; 4] {
        self.words_at(index, self.words[0])
    }

    /// Word `index` of the stream, without computing the others.
    #[inline]
    #[must_use]
    pub const fn word(self, index: u64) -> u32 {
        self.block(index / 4)[(index % 4) as usize]
    }

    const fn derive(self, data: u64, domain: u64) -> Self {
        let out = self.words_at(data, self.words[0] ^ domain);
        Self {
            words: [
                out[0] as u64 | (out[1] as u64) << 32,
                out[2] as u64 | (out[3] as u64) << 32,
            ],
        }
    }

    #[inline]
    const fn words_at(self, index: u64, key: u64) -> [u32; 4] {
        let nonce = self.words[1];
        philox(
            [
                index as u32,
                (index >> 32) as u32,
                nonce as u32,
                (nonce >> 32) as u32,
            ],
            [key as u32, (key >> 32) as u32],
        )
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn known_answers_of_the_derivation() {
        let root = Key::from_seed(42);
        assert_eq!(root.fold(1), Key::from_seed(42).fold(1));
        let seen = [
            root.words()[0],
            root.fold(1).words()[0],
            root.named("rotation").words()[0],
            u64::from(root.word(5)),
        ];
        assert_eq!(seen, KNOWN);
    }
    // From an independent implementation of the specification in Python.
    const KNOWN: [u64; 4] = [
        0xb9d5_d240_239d_ecdc,
        0xa2fa_129a_2ca1_d219,
        0x0de4_6943_2d18_7a17,
        0x5970_4dd0,
    ];

    #[test]
    fn children_of_numbers_and_of_names_and_draws_do_not_collide() {
        let root = Key::from_seed(1);
        let mut seen = BTreeSet::new();
        for n in 0..1000_u64 {
            seen.insert(root.fold(n));
            seen.insert(root.named(&std::format!("{n}")));
            let block = root.block(n);
            seen.insert(Key::from_words([
                u64::from(block[0]) | u64::from(block[1]) << 32,
                u64::from(block[2]) | u64::from(block[3]) << 32,
            ]));
        }
        assert_eq!(seen.len(), 3000);
    }

    #[test]
    fn padding_does_not_confuse_names() {
        let root = Key::from_seed(1);
        assert_ne!(root.named("a"), root.named("a\0"));
        assert_ne!(root.named(""), root);
    }
}
