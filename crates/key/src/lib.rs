//! Counter-based random keys and generators with a written specification.
//!
//! All randomness of firecraft comes from here: whoever draws takes a [`Key`]
//! or an [`Rng`] as an argument, and the same key gives the same numbers on
//! every platform, thread count and device. There is no global generator.
//!
//! What lives here: the block function ([`philox`]), keys and their derivation
//! ([`Key`]), the sequential generator ([`Rng`]) and the conversions from
//! words to numbers ([`convert`]). What must not: anything that knows tensors,
//! seeds from the clock or the operating system, or keeps state in statics.
//!
//! # Specification
//!
//! 1. **Block.** `philox(counter, key)` is Philox4x32-10 of Salmon et al.,
//!    *Parallel random numbers: as easy as 1, 2, 3* (SC 2011).
//! 2. **Key.** A key is two 64-bit words `(a, b)`. `Key::from_seed(s)` is
//!    `Key(0, 0).fold(s)`.
//! 3. **Fold.** `Key(a, b).fold(n)` is
//!    `philox([lo n, hi n, lo b, hi b], a ^ 0x9E3779B97F4A7C15)` read as two
//!    little-endian 64-bit words.
//! 4. **Name.** `key.named(s)` folds, under the domain `0xD1B54A32D192ED03` in
//!    place of the constant above, the byte length of `s` and then its UTF-8
//!    bytes in zero-padded little-endian groups of eight.
//! 5. **Draw.** Block `i` of a key is `philox([lo i, hi i, lo b, hi b], a)`;
//!    word `j` of the key's stream is word `j % 4` of block `j / 4`.
//! 6. **Numbers.** See [`convert`]: every conversion is a fixed sequence of
//!    IEEE 754 operations without fused contraction.
//!
//! ```
//! use firecraft_key::Key;
//!
//! let run = Key::from_seed(7);
//! let sample = run.fold(3).named("rotation"); // epoch 3, slot "rotation"
//! let mut rng = sample.rng();
//! assert_eq!(rng.next_u32(), sample.word(0));
//! let angle = rng.range(-10.0, 10.0);
//! assert!((-10.0..10.0).contains(&angle));
//! ```
#![no_std]

pub mod convert;
mod key;
pub mod philox;
mod rng;

pub use key::Key;
pub use rng::Rng;
