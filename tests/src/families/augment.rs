//! Cases of augmentation: images and targets.

mod albumentations;
mod images;
mod keras;
mod kornia;
mod policies;
mod targets;
mod timm;
mod torchvision;

use super::{Outcome, failed};
use crate::golden::{Case, File};
use firecraft::augment::{Plan, SampleMeta, Transform};
use firecraft::key::Key;

/// Runs one case of the family `augment`.
pub fn run_case(file: &File, case: &Case) -> Outcome {
    check(file, case).into()
}

fn check(file: &File, case: &Case) -> Result<(), Outcome> {
    if file.name == "policies" {
        return policies::check(case);
    }
    match case.peer() {
        "keras" => keras::check(file, case),
        "albumentations" => albumentations::check(file, case),
        "kornia" => kornia::check(file, case),
        "timm" => timm::check(file, case),
        "torchvision" => torchvision::check(file, case),
        _ => Err(Outcome::Unsupported),
    }
}

/// The plan of a transform with nothing left to chance.
fn plan(transform: &dyn Transform, meta: &SampleMeta) -> Result<Plan, Outcome> {
    transform.plan(meta, Key::from_seed(0)).map_err(failed)
}
