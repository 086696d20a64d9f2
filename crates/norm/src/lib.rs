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

#[macro_use]
mod macros;

mod affine;
mod axes;
mod batch_norm;
mod batch_renorm;
mod channels;
mod check;
mod drop_path;
mod error;
mod evo_norm;
mod filter_response_norm;
mod fold;
mod global_response_norm;
mod group_norm;
mod instance_norm;
mod layer_norm;
mod layer_scale;
mod local_response_norm;
mod momentum;
mod norm;
mod precision;
mod rms_norm;
mod running;
mod simple_norm;
mod unit_norm;

pub use batch_norm::{
    BatchNorm, BatchNormConfig, BatchNormMode, RunningVariance, SingleValue, Weighting, recalibrate,
};
pub use batch_renorm::{BatchRenorm, BatchRenormConfig};
pub use drop_path::{DropPath, DropPathConfig};
pub use error::NormError;
pub use evo_norm::{EvoNorm, EvoNormConfig, EvoNormVariant};
pub use filter_response_norm::{FilterResponseNorm, FilterResponseNormConfig};
pub use firecraft_core_tensor::Mode;
pub use firecraft_core_tensor::kernels::Kernels;
pub use fold::Fold;
pub use global_response_norm::{GlobalResponseNorm, GlobalResponseNormConfig};
pub use group_norm::{GroupNorm, GroupNormConfig};
pub use instance_norm::{InstanceNorm, InstanceNormConfig};
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub use layer_scale::{LayerScale, LayerScaleConfig};
pub use local_response_norm::{LocalResponseNorm, LocalResponseNormConfig};
pub use momentum::Momentum;
pub use norm::{Identity, Norm, NormConfig, Norms, register};
pub use rms_norm::{RmsNorm, RmsNormConfig};
pub use simple_norm::{SimpleNorm, SimpleNormConfig};
pub use unit_norm::{UnitNorm, UnitNormConfig};
