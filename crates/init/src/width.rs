//! The widest instruction set of the machine, chosen at run time.

use pulp::{Simd, WithSimd};

/// An instruction set that plain loops can be compiled for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Width {
    /// What the crate itself is compiled for.
    Baseline,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    V3(pulp::x86::V3),
    /// AVX-512.
    #[cfg(target_arch = "x86_64")]
    V4(pulp::x86::V4),
}

impl Width {
    /// The widest one that this machine has.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(v4) = pulp::x86::V4::try_new() {
                return Self::V4(v4);
            }
            if let Some(v3) = pulp::x86::V3::try_new() {
                return Self::V3(v3);
            }
        }
        Self::Baseline
    }

    /// Runs a task compiled for this instruction set. The task is a struct and
    /// not a closure, and all that it calls is `#[inline(always)]`: only what is
    /// inlined is compiled for that set.
    #[inline]
    pub(crate) fn run<F: WithSimd>(self, task: F) -> F::Output {
        match self {
            Self::Baseline => task.with_simd(pulp::Scalar),
            #[cfg(target_arch = "x86_64")]
            Self::V3(v3) => Simd::vectorize(v3, task),
            #[cfg(target_arch = "x86_64")]
            Self::V4(v4) => Simd::vectorize(v4, task),
        }
    }

    /// All that this machine has, to compare their results.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(pulp::x86::V3::try_new().map(Self::V3));
            all.extend(pulp::x86::V4::try_new().map(Self::V4));
        }
        all
    }
}
