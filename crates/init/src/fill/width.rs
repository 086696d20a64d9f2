//! The widest instruction set of the machine, chosen at run time.

use pulp::NullaryFnOnce;

/// An instruction set that plain loops can be compiled for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Width {
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
    pub(super) fn detect() -> Self {
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

    /// Runs a function compiled for this instruction set; what it calls has to
    /// be `#[inline(always)]` to be compiled for it too.
    #[inline]
    pub(super) fn run<F: NullaryFnOnce>(self, function: F) -> F::Output {
        match self {
            Self::Baseline => function.call(),
            #[cfg(target_arch = "x86_64")]
            Self::V3(v3) => v3.vectorize(function),
            #[cfg(target_arch = "x86_64")]
            Self::V4(v4) => v4.vectorize(function),
        }
    }

    /// All that this machine has, to compare their results.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Self> {
        let mut all = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(pulp::x86::V3::try_new().map(Self::V3));
            all.extend(pulp::x86::V4::try_new().map(Self::V4));
        }
        all
    }
}
