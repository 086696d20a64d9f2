//! Cases of normalisation layers: outputs, gradients, running statistics.
//!
//! One file per kind of layer; this one finds the file by peer and name and
//! holds what they share.

mod adapted;
mod batch;
mod groups;
mod plain_layer;
mod reparam;
mod responses;
mod support;
mod tools;

use super::Outcome;
use crate::golden::{Case, File};

/// Runs one case of the family `norm`.
pub fn run_case(_file: &File, case: &Case) -> Outcome {
    check(case).into()
}

// One arm per peer and name; what the arms do not know is unsupported.
fn check(case: &Case) -> Result<(), Outcome> {
    match (case.peer(), case.name()) {
        ("torch", "BatchNorm1d" | "BatchNorm2d" | "BatchNorm3d") => batch::torch(case),
        ("torch", "InstanceNorm1d" | "InstanceNorm2d" | "InstanceNorm3d") => {
            groups::torch_instance(case)
        }
        ("torch", "fuse_conv_bn_eval" | "fuse_linear_bn_eval") => tools::torch_fuse(case),
        ("torch", "weight_norm") => reparam::torch_weight_norm(case),
        ("torch", "spectral_norm") => reparam::torch_spectral_norm(case),
        ("keras", "SpectralNormalization") => reparam::keras_spectral(case),
        ("keras", "Normalization") => adapted::keras_normalization(case),
        ("timm", "StdConv2d" | "ScaledStdConv2d") => reparam::timm_standardized(case),
        ("timm", "SplitBatchNorm2d") => adapted::timm_split(case),
        ("torch", "update_bn") => tools::torch_update(case),
        ("torch", "LayerNorm") => groups::torch_layer(case),
        ("torch", "RMSNorm") => groups::torch_rms(case),
        ("torch", "GroupNorm") => groups::torch_group(case),
        ("keras", "LayerNormalization") => groups::keras_layer(case),
        ("keras", "RMSNormalization") => groups::keras_rms(case),
        ("keras", "GroupNormalization") => groups::keras_group(case),
        ("timm", "LayerNorm" | "LayerNorm2d") => groups::timm_layer(case),
        ("timm", "RmsNorm" | "RmsNorm2d") => groups::timm_rms(case),
        ("timm", "GroupNorm" | "GroupNorm1") => groups::timm_group(case),
        ("keras", "BatchNormalization") => batch::keras(case),
        ("torch", "LocalResponseNorm" | "CrossMapLRN2d") => responses::torch_lrn(case),
        ("torch", "F.normalize") => responses::torch_normalize(case),
        ("keras", "UnitNormalization") => responses::keras_unit(case),
        ("timm", "SimpleNorm" | "SimpleNorm2d") => responses::timm_simple(case),
        ("timm", "FilterResponseNormAct2d" | "FilterResponseNormTlu2d") => {
            responses::timm_filter_response(case)
        }
        ("timm", "GlobalResponseNorm") => responses::timm_global_response(case),
        ("timm", name) if name.starts_with("EvoNorm2d") => responses::timm_evo(case),
        ("timm", "LayerScale" | "LayerScale2d") => responses::timm_layer_scale(case),
        _ => Err(Outcome::Unsupported),
    }
}
