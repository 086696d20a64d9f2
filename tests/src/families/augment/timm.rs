//! timm's operations on Pillow images.

use super::images::{apply, results};
use super::{Outcome, plan};
use crate::compare::Tolerance;
use crate::golden::{Case, Field, File};
use firecraft::augment::{
    AutoContrast, Border, BoxBlur, Brightness, Contrast, Equalize, GreyMean, Interpolation, Invert,
    Posterize, Rotate, Saturation, Sharpness, Solarize, SolarizeAdd, Transform, WarpAffine,
};

pub(super) fn check(file: &File, case: &Case) -> Result<(), Outcome> {
    for expected in results(file, case)? {
        let [_, height, width] = expected.image.shape;
        let (transform, tolerance) = transform(case.name(), &case.args(), height, width)?;
        apply(&expected, tolerance, |meta| plan(&*transform, meta))?;
    }
    Ok(())
}

fn transform(
    name: &str,
    args: &Field<'_>,
    _height: usize,
    width: usize,
) -> Result<(Box<dyn Transform>, Tolerance), Outcome> {
    let one = Tolerance::abs(1.0);
    let factor = || args.get("factor").f64();
    let strength = || Ok::<f32, Outcome>(args.get("factor").f64()? as f32);
    let warp = |matrix: [[f64; 3]; 2]| -> Result<_, Outcome> {
        let warp = WarpAffine::new(matrix)
            .with_border(border(args)?)
            .with_interpolation(interpolation(args)?);
        Ok((Box::new(warp) as Box<dyn Transform>, one))
    };
    Ok(match name {
        "pil.shear_x" => warp([[1.0, factor()?, 0.0], [0.0, 1.0, 0.0]])?,
        "pil.shear_y" => warp([[1.0, 0.0, 0.0], [factor()?, 1.0, 0.0]])?,
        "pil.translate_x_rel" => warp([[1.0, 0.0, factor()? * width as f64], [0.0, 1.0, 0.0]])?,
        "pil.translate_y_abs" => warp([[1.0, 0.0, 0.0], [0.0, 1.0, factor()?]])?,
        "pil.rotate" => {
            let rotate = Rotate::new(factor()?)
                .with_border(border(args)?)
                .with_interpolation(interpolation(args)?);
            (Box::new(rotate), one)
        }
        "pil.posterize" => (
            Box::new(Posterize::new(strength()? as u8)),
            Tolerance::EXACT,
        ),
        "pil.solarize" => (Box::new(Solarize::new(strength()?)), Tolerance::EXACT),
        "pil.solarize_add" => (Box::new(SolarizeAdd::new(strength()?)), Tolerance::EXACT),
        "pil.color" => (Box::new(Saturation::new(strength()?)), one),
        "pil.desaturate" => (Box::new(Saturation::new(1.0 - strength()?)), one),
        "pil.contrast" => {
            let contrast = Contrast::new(strength()?).with_mean(GreyMean::Rounded);
            (Box::new(contrast), one)
        }
        "pil.brightness" => (Box::new(Brightness::new(strength()?)), one),
        "pil.sharpness" => (Box::new(Sharpness::new(strength()?)), one),
        "pil.gaussian_blur" => (Box::new(BoxBlur::gaussian(strength()?)), one),
        "pil.auto_contrast" => (Box::new(AutoContrast::new()), one),
        "pil.equalize" => (Box::new(Equalize::new()), Tolerance::EXACT),
        "pil.invert" => (Box::new(Invert::new()), Tolerance::EXACT),
        _ => return Err(Outcome::Unsupported),
    })
}

fn border(args: &Field<'_>) -> Result<Border, Outcome> {
    let fill = args.get("fillcolor").f64s()?;
    Ok(Border::ConstantHard(
        fill.into_iter().map(|v| v as f32).collect(),
    ))
}

fn interpolation(args: &Field<'_>) -> Result<Interpolation, Outcome> {
    match args.get("resample").str()? {
        "bilinear" => Ok(Interpolation::Bilinear),
        "nearest" => Ok(Interpolation::Nearest),
        "bicubic" => Ok(Interpolation::CatmullRom),
        _ => Err(Outcome::Unsupported),
    }
}
