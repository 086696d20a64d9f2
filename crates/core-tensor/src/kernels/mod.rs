//! Operations with a fast implementation for some backends and a composite of
//! tensor operations for all.
//!
//! What lives here: one file per operation with its public function on
//! tensors and its composite, and beside it the implementations for single
//! backends. What must not: layers, parameters, running statistics.
//!
//! Shapes are reduced to the fewest axes an operation needs, `[N, C, S]` for
//! normalisation over channels, so that a kernel is written once for every
//! rank. Statistics are computed in `f32` at least, whatever the input.

#[cfg(feature = "flex")]
mod backend;
mod batch_norm;
mod conv;
#[cfg(feature = "flex")]
mod flex;
mod group_norm;

pub use batch_norm::{BatchNormTrain, batch_norm_act_train, batch_norm_eval, batch_norm_train};
pub use conv::conv2d;
pub use group_norm::{GroupNorm, Moments, group_norm};

use serde::{Deserialize, Serialize};

/// Which implementation of an operation to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernels {
    /// The fastest one for the device of the input.
    #[default]
    Auto,
    /// The composite of tensor operations, on every device.
    Composite,
}

/// What is applied to the output of a normalisation in the same pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Nothing.
    #[default]
    Identity,
    /// `max(0, y)`; its gradient at 0 is 0, and a NaN stays one.
    Relu,
}

impl Kernels {
    /// Whether the operations of burn's CPU backend are to be used for `x`.
    #[cfg(feature = "flex")]
    fn uses_flex<const D: usize>(self, x: &burn::tensor::Tensor<D>) -> bool {
        self == Self::Auto
            && x.dtype() == burn::tensor::DType::F32
            && x.shape().num_elements() > 0
            && x.device() == burn::tensor::Device::flex()
    }
}
