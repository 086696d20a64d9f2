//! The gradients of the layers against central differences.
//!
//! A layer is one call of [`check::gradients`]: with its random state already
//! drawn or switched off, and away from the kinks of its function.
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(feature = "flex")]

mod check;
mod kernels;
mod layers;
