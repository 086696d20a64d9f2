//! Magnitudes and sub-policies of learned policies.

use crate::compare::{Tolerance, close, equal};
use crate::families::Outcome;
use crate::golden::{Case, Field};
use firecraft::augment::{AutoAugmentPolicy, PolicyOp, PolicySpace, Size};

pub(super) fn check(case: &Case) -> Result<(), Outcome> {
    match (case.peer(), case.group()) {
        ("torchvision", "torchvision.space") => space(case),
        ("torchvision", "torchvision.autoaugment") => sub_policies(case),
        _ => Err(Outcome::Unsupported),
    }
}

fn space(case: &Case) -> Result<(), Outcome> {
    let space = match case.name() {
        "AutoAugment" => PolicySpace::AutoAugment,
        "RandAugment" => PolicySpace::RandAugment,
        "TrivialAugmentWide" => PolicySpace::TrivialAugmentWide,
        _ => return Err(Outcome::Unsupported),
    };
    let size = Size::new(case.get("height").usize()?, case.get("width").usize()?);
    let bins = case.get("num_bins").usize()?;
    let table = case.get("space");
    equal("operations", space.operations().len(), table.keys().len())?;
    for name in table.keys() {
        let op = op(name)?;
        equal(name, space.operations().contains(&op), true)?;
        let row = table.get(name);
        equal(name, op.is_signed(), row.get("signed").bool()?)?;
        match (space.magnitudes(op, bins, size), row.get("magnitudes")) {
            (None, expected) => equal(name, expected.is_null(), true)?,
            (Some(got), expected) => {
                // The peer computes them in f32.
                let tolerance = Tolerance {
                    abs: 1e-6,
                    rel: 1e-6,
                };
                close(name, &got, &expected.f64s()?, tolerance)?;
            }
        }
    }
    Ok(())
}

fn sub_policies(case: &Case) -> Result<(), Outcome> {
    let policy = match case.get("policy").str()? {
        "imagenet" => AutoAugmentPolicy::Imagenet,
        "cifar10" => AutoAugmentPolicy::Cifar10,
        "svhn" => AutoAugmentPolicy::Svhn,
        _ => return Err(Outcome::Unsupported),
    };
    let expected = case.get("sub_policies").items()?;
    equal("sub-policies", policy.sub_policies().len(), expected.len())?;
    for (i, (got, expected)) in policy.sub_policies().iter().zip(expected).enumerate() {
        for (got, expected) in got.iter().zip(expected.items()?) {
            let parts: Vec<Field<'_>> = expected.items()?;
            let level = parts[2].optional(Field::usize)?.unwrap_or(0);
            let want = (op(parts[0].str()?)?, parts[1].f64()?, level);
            equal(&format!("sub-policy {i}"), *got, want)?;
        }
    }
    Ok(())
}

fn op(name: &str) -> Result<PolicyOp, Outcome> {
    Ok(match name {
        "Identity" => PolicyOp::Identity,
        "ShearX" => PolicyOp::ShearX,
        "ShearY" => PolicyOp::ShearY,
        "TranslateX" => PolicyOp::TranslateX,
        "TranslateY" => PolicyOp::TranslateY,
        "Rotate" => PolicyOp::Rotate,
        "Brightness" => PolicyOp::Brightness,
        "Color" => PolicyOp::Color,
        "Contrast" => PolicyOp::Contrast,
        "Sharpness" => PolicyOp::Sharpness,
        "Posterize" => PolicyOp::Posterize,
        "Solarize" => PolicyOp::Solarize,
        "AutoContrast" => PolicyOp::AutoContrast,
        "Equalize" => PolicyOp::Equalize,
        "Invert" => PolicyOp::Invert,
        _ => return Err(Outcome::Unsupported),
    })
}
