//! Batch normalisation.
//!
//! For every channel `c`, over the batch and all positions,
//!
//! ```text
//! y = (x - mean_c) / sqrt(variance_c + epsilon) * gamma_c + beta_c
//! ```
//!
//! In training, mean and (biased) variance are those of the batch, and running
//! statistics follow them; in evaluation the running statistics take their
//! place. Ioffe and Szegedy, *Batch Normalization: Accelerating Deep Network
//! Training by Reducing Internal Covariate Shift*, ICML 2015.

mod config;
mod layer;
mod masked;
mod recalibrate;
#[cfg(test)]
mod tests;
mod virtual_batch;

pub use config::{BatchNormConfig, RunningVariance, SingleValue};
pub use layer::{BatchNorm, BatchNormMode};
pub use recalibrate::{Weighting, recalibrate};

const LAYER: &str = "BatchNorm";
