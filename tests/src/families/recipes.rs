//! Cases of losses, mixing, averaging, clipping and penalties.
//!
//! One file per kind; this one finds the file by peer and name.

mod averaging;
mod clip;
mod loss;
mod mix;
mod regularise;

use super::Outcome;
use crate::golden::{Case, File};

/// Runs one case of the family `recipes`.
pub fn run_case(_file: &File, case: &Case) -> Outcome {
    check(case).into()
}

// One arm per peer and name; what the arms do not know is unsupported.
fn check(case: &Case) -> Result<(), Outcome> {
    match (case.peer(), case.name()) {
        ("torch", "cross_entropy") => loss::torch(case),
        ("torch", "cross_entropy(prob targets)") => loss::torch_soft(case),
        ("timm", _) if case.has("glogits") => loss::timm(case),
        ("keras", _) if case.has("y_true") => loss::keras(case),
        ("optax", "smooth_labels") => loss::optax_smooth(case),
        ("torch", "AveragedModel(get_ema_multi_avg_fn)") => averaging::torch_ema(case),
        ("torch", "AveragedModel (equal)") => averaging::torch_swa(case),
        ("timm", "ModelEmaV3") => averaging::timm(case),
        ("keras", "SGD(use_ema)") => averaging::keras(case),
        ("optax", "ema") => averaging::optax(case),
        ("keras", _) if case.has("w") && case.has("loss") => regularise::penalty(case),
        ("keras", _) if case.has("w") && case.has("out") => regularise::constraint(case),
        ("torch", "clip_grad_norm_") => clip::torch_norm(case),
        ("torch", "clip_grad_value_") => clip::torch_value(case),
        ("timm", "adaptive_clip_grad") => clip::timm_adaptive(case),
        ("keras", name) if case.has("clipped") && name.starts_with("SGD") => clip::keras(case),
        ("torchvision" | "timm" | "keras", _) if case.has("out_x") => mix::check(case),
        _ => Err(Outcome::Unsupported),
    }
}
