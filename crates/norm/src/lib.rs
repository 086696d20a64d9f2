//! Normalisation layers for burn.
//!
//! What lives here: layers that normalise activations or weights, one file or
//! folder per layer with its configuration, and the tools that work on them.
//! What must not: initialisation, training loops, other techniques; fast
//! kernels (they go to `firecraft-core-tensor`, behind the layer).
//!
//! Where things go: a new layer is a new file with its configuration
//! (`XConfig::new(..).with_..().init(&device)`), layer, documentation and
//! tests, a variant of [`Norm`] if a model can choose it by name, and an arm
//! in the conformance runner. Checks of configurations are in `check`, the
//! view of a tensor as `[before, features, after]` in `channels`.
//!
//! Every layer takes tensors of any sensible rank through
//! `forward::<const D>`, and has `try_forward` with a [`NormError`] where
//! `forward` panics in burn's manner with the same message.

mod affine;
mod axes;
mod batch_norm;
mod channels;
mod check;
mod error;
mod group_norm;
mod instance_norm;
mod layer_norm;
mod momentum;
mod norm;
mod precision;
mod rms_norm;
mod running;

pub use batch_norm::{BatchNorm, BatchNormConfig, BatchNormMode, RunningVariance, SingleValue};
pub use error::NormError;
pub use firecraft_core_tensor::Mode;
pub use firecraft_core_tensor::kernels::Kernels;
pub use group_norm::{GroupNorm, GroupNormConfig};
pub use instance_norm::{InstanceNorm, InstanceNormConfig};
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub use momentum::Momentum;
pub use norm::{Identity, Norm, NormConfig, Norms, register};
pub use rms_norm::{RmsNorm, RmsNormConfig};
