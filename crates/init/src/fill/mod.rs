//! Bulk generation: slices of random numbers from a key, in parallel.
//!
//! Element `i` of a fill is a function of word `i` of the key's stream and of
//! nothing else, so neither the number of threads nor the vector width shows in
//! the result. The scalar functions here *are* the definition; the vectorised
//! loops are compiled for the instruction sets of the machine at run time and
//! compute the same IEEE 754 operations in the same order, without fused
//! contraction. The tests compare them bit by bit.

mod lanes;
mod truncated;

use crate::width::Width;
use firecraft_key::{Key, convert};
use lanes::{GROUP, words};
use pulp::NullaryFnOnce;
use rayon::prelude::*;

pub use truncated::Truncated;

/// Elements that one task fills; a multiple of [`GROUP`].
const CHUNK: usize = 1 << 15;

/// Fills `out` with `mean + std · N(0, 1)`: element `i` is
/// `mean + std * normal(key.word(i))`, two roundings in f32.
///
/// ```
/// use firecraft_init::fill;
/// use firecraft_key::{Key, convert};
/// let key = Key::from_seed(1);
/// let mut out = vec![0.0; 1000];
/// fill::normal(&mut out, 0.5, 2.0, key);
/// assert_eq!(out[777], 0.5 + 2.0 * convert::normal(key.word(777)));
/// ```
pub fn normal(out: &mut [f32], mean: f32, std: f32, key: Key) {
    run(out, key, move |word| mean + std * lanes::normal(word));
}

/// Fills `out` uniformly on `[low, high]`: element `i` is
/// `low + (high - low) * uniform(key.word(i))` in f32, and never above `high`.
///
/// ```
/// use firecraft_init::fill;
/// use firecraft_key::{Key, convert};
/// let key = Key::from_seed(1);
/// let mut out = vec![0.0; 1000];
/// fill::uniform(&mut out, -1.0, 1.0, key);
/// assert_eq!(out[777], -1.0 + 2.0 * convert::uniform(key.word(777)));
/// ```
pub fn uniform(out: &mut [f32], low: f32, high: f32, key: Key) {
    let width = high - low;
    run(out, key, move |word| {
        let value = low + width * convert::uniform(word);
        // Rounding can reach past `high` when the bounds are close together.
        if value > high { high } else { value }
    });
}

/// Fills `out` with a normal distribution cut to an interval, by inversion:
/// no rejection, so every element takes exactly one word.
///
/// ```
/// use firecraft_init::fill::{self, Truncated};
/// use firecraft_key::Key;
/// let two_sigma = Truncated::new(0.0, 0.02, -0.04, 0.04)?;
/// let mut out = vec![0.0; 1000];
/// fill::truncated_normal(&mut out, &two_sigma, Key::from_seed(1));
/// assert!(out.iter().all(|x| x.abs() <= 0.04));
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
pub fn truncated_normal(out: &mut [f32], distribution: &Truncated, key: Key) {
    let distribution = distribution.clone();
    run(out, key, move |word| distribution.value(word));
}

/// Applies `value` to the words of `key`, vectorised and in parallel.
fn run(out: &mut [f32], key: Key, value: impl Fn(u32) -> f32 + Shared) {
    run_with(Width::detect(), out, key, value);
}

fn run_with(width: Width, out: &mut [f32], key: Key, value: impl Fn(u32) -> f32 + Shared) {
    let fill = |(index, chunk): (usize, &mut [f32])| {
        let first_block = (index * (CHUNK / 4)) as u64;
        let value = value.clone();
        width.run(Chunk {
            out: chunk,
            key,
            first_block,
            value,
        });
    };
    if out.len() <= CHUNK {
        fill((0, out));
    } else {
        out.par_chunks_mut(CHUNK).enumerate().for_each(fill);
    }
}

/// What a per-word function has to be: shared between threads, cheap to copy.
trait Shared: Clone + Send + Sync {}
impl<T: Clone + Send + Sync> Shared for T {}

struct Chunk<'a, F> {
    out: &'a mut [f32],
    key: Key,
    first_block: u64,
    value: F,
}

impl<F: Fn(u32) -> f32> NullaryFnOnce for Chunk<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        fill_chunk(self);
    }
}

#[inline(always)]
fn fill_chunk<F: Fn(u32) -> f32>(chunk: Chunk<'_, F>) {
    let Chunk {
        out,
        key,
        first_block: mut block,
        value,
    } = chunk;
    let mut groups = out.chunks_exact_mut(GROUP);
    for group in &mut groups {
        fill_group(group, key, block, &value);
        block += GROUP as u64 / 4;
    }
    let rest = groups.into_remainder();
    if !rest.is_empty() {
        let mut group = [0.0; GROUP];
        fill_group(&mut group, key, block, &value);
        rest.copy_from_slice(&group[..rest.len()]);
    }
}

#[inline(always)]
fn fill_group(out: &mut [f32], key: Key, block: u64, value: &impl Fn(u32) -> f32) {
    let mut random = [0; GROUP];
    words(key.words(), block, &mut random);
    for (out, &word) in out.iter_mut().zip(&random) {
        *out = value(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    fn scalar(n: usize, key: Key, value: impl Fn(u32) -> f32) -> Vec<f32> {
        (0..n as u64).map(|i| value(key.word(i))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn fills_are_the_scalar_definition_bit_for_bit(
            seed: u64, n in 0..3000_usize, mean in -2.0..2.0_f32, std in 0.0..3.0_f32,
        ) {
            let key = Key::from_seed(seed);
            let mut out = vec![f32::NAN; n];
            normal(&mut out, mean, std, key);
            let expected = scalar(n, key, |w| mean + std * convert::normal(w));
            prop_assert_eq!(bits(&out), bits(&expected));

            uniform(&mut out, mean, mean + std, key);
            let width = (mean + std) - mean;
            let expected =
                scalar(n, key, |w| (mean + width * convert::uniform(w)).min(mean + std));
            prop_assert_eq!(bits(&out), bits(&expected));
        }
    }

    #[test]
    fn a_million_normals_agree_with_the_scalar_definition() {
        let (key, n) = (Key::from_seed(2), 1 << 20);
        let mut out = vec![0.0; n];
        normal(&mut out, 0.0, 1.0, key);
        assert_eq!(bits(&out), bits(&scalar(n, key, convert::normal)));
    }

    #[test]
    fn every_number_of_threads_gives_the_same_bits() {
        let n = 5 * CHUNK + 77;
        let mut expected = vec![0.0; n];
        let two_sigma = Truncated::new(0.0, 1.0, -2.0, 2.0).unwrap();
        truncated_normal(&mut expected, &two_sigma, Key::from_seed(3));
        for threads in [1, 2, 8] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let mut out = vec![0.0; n];
            pool.install(|| truncated_normal(&mut out, &two_sigma, Key::from_seed(3)));
            assert_eq!(bits(&out), bits(&expected), "{threads} threads");
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let (key, n) = (Key::from_seed(4), 10_007);
        let two_sigma = Truncated::new(0.1, 0.5, -1.0, 2.0).unwrap();
        for width in Width::all() {
            let mut out = vec![0.0; n];
            run_with(width, &mut out, key, lanes::normal);
            assert_eq!(
                bits(&out),
                bits(&scalar(n, key, convert::normal)),
                "{width:?}"
            );
            run_with(width, &mut out, key, |w| two_sigma.value(w));
            assert_eq!(
                bits(&out),
                bits(&scalar(n, key, |w| two_sigma.value(w))),
                "{width:?}"
            );
        }
    }

    #[test]
    fn extreme_words_match_too() {
        for word in [
            0,
            1,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            0x0ccc_cccc,
            0x1999_999a,
        ] {
            assert_eq!(
                lanes::normal(word).to_bits(),
                convert::normal(word).to_bits(),
                "{word:#x}"
            );
        }
    }
}
