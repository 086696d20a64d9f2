//! Keras' layers, through ours, with fixed factors.

use super::images::{apply, results};
use super::{Outcome, plan};
use crate::compare::Tolerance;
use crate::golden::{Case, Field, File, GoldenError};
use firecraft::augment::{
    Factor, FillMode, Interpolation, RandomRotationConfig, RandomTranslationConfig,
    RandomZoomConfig, Transform,
};

pub(super) fn check(file: &File, case: &Case) -> Result<(), Outcome> {
    let transform = transform(case.name(), &case.args())?;
    for expected in results(file, case)? {
        apply(&expected, Tolerance::abs(1e-5), |meta| {
            plan(&*transform, meta)
        })?;
    }
    Ok(())
}

fn transform(name: &str, args: &Field<'_>) -> Result<Box<dyn Transform>, Outcome> {
    macro_rules! geometric {
        ($config:expr) => {
            Box::new(
                $config
                    .with_fill_mode(fill_mode(args)?)
                    .with_interpolation(interpolation(args)?),
            )
        };
    }
    Ok(match name {
        "RandomRotation" => geometric!(RandomRotationConfig::new(factor(&args.get("factor"))?)),
        "RandomZoom" => geometric!(
            RandomZoomConfig::new(factor(&args.get("height_factor"))?)
                .with_width_factor(factor(&args.get("width_factor"))?)
        ),
        "RandomTranslation" => geometric!(RandomTranslationConfig::new(
            factor(&args.get("height_factor"))?,
            factor(&args.get("width_factor"))?,
        )),
        _ => return Err(Outcome::Unsupported),
    })
}

fn factor(field: &Field<'_>) -> Result<Factor, GoldenError> {
    let ends = field.f64s()?;
    Ok(Factor::from((ends[0], ends[1])))
}

fn fill_mode(args: &Field<'_>) -> Result<FillMode, Outcome> {
    Ok(match args.get("fill_mode").or("reflect", Field::str)? {
        "constant" => FillMode::Constant,
        "nearest" => FillMode::Nearest,
        "reflect" => FillMode::Reflect,
        "wrap" => FillMode::Wrap,
        _ => return Err(Outcome::Unsupported),
    })
}

fn interpolation(args: &Field<'_>) -> Result<Interpolation, Outcome> {
    Ok(
        match args.get("interpolation").or("bilinear", Field::str)? {
            "nearest" => Interpolation::Nearest,
            "bilinear" => Interpolation::Bilinear,
            _ => return Err(Outcome::Unsupported),
        },
    )
}
