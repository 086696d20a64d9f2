//! Cases of augmentation: images and targets.

mod images;
mod keras;
mod torchvision;

use super::Outcome;
use crate::golden::{Case, File};

/// Runs one case of the family `augment`.
pub fn run_case(file: &File, case: &Case) -> Outcome {
    check(file, case).into()
}

fn check(file: &File, case: &Case) -> Result<(), Outcome> {
    match case.peer() {
        "keras" => keras::check(file, case),
        "torchvision" => torchvision::check(file, case),
        _ => Err(Outcome::Unsupported),
    }
}
