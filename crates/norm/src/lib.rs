//! Normalisation layers for burn.
//!
//! What lives here: layers that normalise activations, reparametrisations and
//! constraints of weights, one file or folder each with its configuration, and
//! tools on the normalisations of whole models. `docs/norm.md` is the guide.
//! What must not: initialisation, training loops, other techniques; fast
//! kernels (they go to `firecraft-core-tensor`, behind the layer).
//!
//! Where things go: a new layer is a new file with its configuration
//! (`XConfig::new(..).with_..().init(&device)`), layer, documentation and
//! tests, a line in `norms!` and a name in `norm::register` if a model can
//! choose it by name, a line in `tests/gradients`, and an arm in the
//! conformance runner. A reparametrisation is a file in `reparam`, a tool that
//! replaces layers a function on [`NormTree`], one that changes parameters a
//! mapper in `tools`. Checks of configurations are in `check`, the
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
mod constraint;
mod conv_norm_act;
mod drop_block;
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
mod norm_act;
mod norm_tree;
mod normalization;
mod precision;
mod reparam;
mod rms_norm;
mod running;
mod simple_norm;
mod split_batch_norm;
mod sync_batch_norm;
#[cfg(test)]
mod testing;
mod tools;
mod unit_norm;
mod weights;

pub use batch_norm::{
    BatchNorm, BatchNormConfig, BatchNormMode, RunningVariance, SingleValue, Weighting, recalibrate,
};
pub use batch_renorm::{BatchRenorm, BatchRenormConfig};
pub use constraint::Constraint;
pub use conv_norm_act::{
    ConvNormAct1d, ConvNormAct1dConfig, ConvNormAct2d, ConvNormAct2dConfig, ConvNormAct3d,
    ConvNormAct3dConfig,
};
pub use drop_block::{DropBlock, DropBlockConfig};
pub use drop_path::{DropPath, DropPathConfig};
pub use error::NormError;
pub use evo_norm::{EvoNorm, EvoNormConfig, EvoNormVariant};
pub use filter_response_norm::{FilterResponseNorm, FilterResponseNormConfig};
pub use firecraft_core_tensor::kernels::Kernels;
pub use firecraft_core_tensor::{AllReduce, DeviceAllReduce, HostAllReduce, Mode};
pub use fold::Fold;
pub use global_response_norm::{GlobalResponseNorm, GlobalResponseNormConfig};
pub use group_norm::{GroupNorm, GroupNormConfig};
pub use instance_norm::{InstanceNorm, InstanceNormConfig};
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub use layer_scale::{LayerScale, LayerScaleConfig};
pub use local_response_norm::{LocalResponseNorm, LocalResponseNormConfig};
pub use momentum::Momentum;
pub use norm::{Identity, Norm, NormConfig, Norms, register};
pub use norm_act::{NormAct, NormActConfig};
pub use norm_tree::{
    NormMapper, NormSlot, NormTree, NormVisitor, Place, fold_norms, norm_paths, replace_batch_norms,
};
pub use normalization::{Normalization, NormalizationConfig};
pub use reparam::{
    OrthogonalConfig, OrthogonalWeight, SpectralNorm, SpectralNormConfig, SpectralProjection,
    WeightAxis, WeightNorm, WeightNormConfig, WeightStandardization, WeightStandardizationConfig,
};
pub use rms_norm::{RmsNorm, RmsNormConfig};
pub use simple_norm::{SimpleNorm, SimpleNormConfig};
pub use split_batch_norm::{SplitBatchNorm, SplitBatchNormConfig};
pub use sync_batch_norm::SyncBatchNorm;
pub use tools::{
    Drift, NoWeightDecay, NormReport, NormStatistics, average_statistics, freeze_norms,
    inspect_norms, inspect_norms_on, no_weight_decay, unfreeze_norms,
};
pub use unit_norm::{UnitNorm, UnitNormConfig};
pub use weights::{Weight, weights};

/// Runs the code of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/norm.md")]
struct Guide;
