//! The widest instruction set of the machine, chosen at run time.
//!
//! Not `pulp::Arch`: it knows AVX2 only with a feature of pulp that burn's
//! matrix products go without, and would take SSE2 where there is no AVX-512.

use pulp::{Simd, WithSimd};

/// An instruction set that plain loops can be compiled for. The result doesn't
/// depend on it: Rust neither reorders floating-point arithmetic nor contracts
/// it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Width {
    /// What the crate itself is compiled for, or what pulp knows on other
    /// architectures.
    Other(pulp::Arch),
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
        Self::Other(pulp::Arch::new())
    }

    /// Runs a task compiled for this instruction set.
    #[inline(always)]
    pub(super) fn run<W: WithSimd>(self, task: W) -> W::Output {
        match self {
            Self::Other(arch) => arch.dispatch(task),
            #[cfg(target_arch = "x86_64")]
            Self::V3(v3) => Simd::vectorize(v3, task),
            #[cfg(target_arch = "x86_64")]
            Self::V4(v4) => Simd::vectorize(v4, task),
        }
    }
}
