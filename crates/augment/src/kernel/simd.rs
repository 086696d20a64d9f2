//! Loops that are compiled for several kinds of CPU and chosen at run time.

/// Runs `work` as compiled for the CPU at hand. Only what is inlined into it
/// profits: mark it, and what it calls, `#[inline(always)]`.
///
/// The result doesn't depend on the CPU: Rust neither reorders floating-point
/// arithmetic nor contracts it.
#[inline(always)]
pub(crate) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    // Not `Arch::dispatch`: it knows AVX2 only with a feature of pulp that
    // burn's matrix products go without.
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V4::try_new() {
        return simd.vectorize(work);
    } else if let Some(simd) = pulp::x86::V3::try_new() {
        return simd.vectorize(work);
    }
    pulp::Arch::new().dispatch(work)
}

/// The closure: a place where it can be marked `#[inline(always)]`.
#[inline(always)]
pub(crate) const fn inlined<F>(f: F) -> F {
    f
}

/// The values of a pattern that repeats every `channels` values, for a block
/// that holds whole pixels: a multiple of 1, 2, 3 and 4.
pub(crate) const PATTERN: usize = 48;

/// The two constants `of(channel)` for each value of a block of [`PATTERN`]
/// values; `None` if pixels of so many channels don't fill it.
pub(crate) fn pattern(
    channels: usize,
    of: impl Fn(usize) -> [f32; 2],
) -> Option<[[f32; PATTERN]; 2]> {
    (channels > 0 && PATTERN.is_multiple_of(channels))
        .then(|| [0, 1].map(|k| std::array::from_fn(|i| of(i % channels)[k])))
}
