//! Cases of normalisation layers: outputs, gradients, running statistics.
//!
//! One file per kind of layer; this one finds the file by peer and name and
//! holds what they share.

mod batch;
mod support;

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
        _ => Err(Outcome::Unsupported),
    }
}
