//! Magnitudes and sub-policies of learned policies.

use crate::compare::{Tolerance, close, equal};
use crate::families::Outcome;
use crate::golden::{Case, Field};
use firecraft::augment::{AutoAugmentPolicy, PolicyOp, PolicySpace, Size, TimmOp, TimmPolicy};

pub(super) fn check(case: &Case) -> Result<(), Outcome> {
    match (case.peer(), case.group()) {
        ("torchvision", "torchvision.space") => space(case),
        ("torchvision", "torchvision.autoaugment") => sub_policies(case),
        ("timm", "timm.level_to_arg") => timm_arguments(case),
        ("timm", "timm.autoaugment") => timm_sub_policies(case),
        _ => Err(Outcome::Unsupported),
    }
}

fn space(case: &Case) -> Result<(), Outcome> {
    let space = match case.name() {
        "AutoAugment" => PolicySpace::AutoAugment,
        "RandAugment" => PolicySpace::RandAugment,
        "TrivialAugmentWide" => PolicySpace::TrivialAugmentWide,
        "AugMix" => PolicySpace::AugMix,
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

fn timm_arguments(case: &Case) -> Result<(), Outcome> {
    let table = case.get("table");
    for name in table.keys() {
        let op = timm_op(name)?;
        let row = table.get(name);
        if row.is_null() {
            equal(name, op.argument(5.0), None)?;
            continue;
        }
        // One argument per level; factors that grow either way are given as
        // they were drawn.
        let distance = |v: f64| {
            if name.ends_with("Increasing") {
                (v - 1.0).abs()
            } else {
                v
            }
        };
        let is_factor = !matches!(name, "PosterizeIncreasing" | "SolarizeIncreasing");
        let (mut got, mut want) = (Vec::new(), Vec::new());
        for (level, arguments) in row.items()?.iter().enumerate() {
            let argument = arguments.f64s()?[0];
            want.push(if is_factor {
                distance(argument)
            } else {
                argument
            });
            got.push(op.argument(level as f64).unwrap_or(f64::NAN));
        }
        close(name, &got, &want, Tolerance::F64)?;
    }
    Ok(())
}

fn timm_sub_policies(case: &Case) -> Result<(), Outcome> {
    let policy = match case.get("policy").str()? {
        "original" => TimmPolicy::Original,
        "originalr" => TimmPolicy::Originalr,
        "v0" => TimmPolicy::V0,
        "v0r" => TimmPolicy::V0r,
        "3a" => TimmPolicy::ThreeAugment,
        _ => return Err(Outcome::Unsupported),
    };
    let (got, expected) = (policy.sub_policies(), case.get("sub_policies").items()?);
    equal("sub-policies", got.len(), expected.len())?;
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let mut want = Vec::new();
        for entry in expected.items()? {
            let parts = entry.items()?;
            want.push((timm_op(parts[0].str()?)?, parts[1].f64()?, parts[2].f64()?));
        }
        equal(&format!("sub-policy {i}"), got, &want)?;
    }
    Ok(())
}

fn timm_op(name: &str) -> Result<TimmOp, Outcome> {
    Ok(match name {
        "AutoContrast" => TimmOp::AutoContrast,
        "Equalize" => TimmOp::Equalize,
        "Invert" => TimmOp::Invert,
        "Rotate" => TimmOp::Rotate,
        "Posterize" => TimmOp::Posterize,
        "PosterizeIncreasing" => TimmOp::PosterizeIncreasing,
        "PosterizeOriginal" => TimmOp::PosterizeOriginal,
        "Solarize" => TimmOp::Solarize,
        "SolarizeIncreasing" => TimmOp::SolarizeIncreasing,
        "SolarizeAdd" => TimmOp::SolarizeAdd,
        "Color" => TimmOp::Color,
        "ColorIncreasing" => TimmOp::ColorIncreasing,
        "Contrast" => TimmOp::Contrast,
        "ContrastIncreasing" => TimmOp::ContrastIncreasing,
        "Brightness" => TimmOp::Brightness,
        "BrightnessIncreasing" => TimmOp::BrightnessIncreasing,
        "Sharpness" => TimmOp::Sharpness,
        "SharpnessIncreasing" => TimmOp::SharpnessIncreasing,
        "ShearX" => TimmOp::ShearX,
        "ShearY" => TimmOp::ShearY,
        "TranslateX" => TimmOp::TranslateX,
        "TranslateY" => TimmOp::TranslateY,
        "TranslateXRel" => TimmOp::TranslateXRel,
        "TranslateYRel" => TimmOp::TranslateYRel,
        "Desaturate" => TimmOp::Desaturate,
        "GaussianBlur" => TimmOp::GaussianBlur,
        "GaussianBlurRand" => TimmOp::GaussianBlurRand,
        _ => return Err(Outcome::Unsupported),
    })
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
