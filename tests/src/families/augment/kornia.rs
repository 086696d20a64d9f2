//! kornia's functionals, on numbers.

use super::images::{apply, results};
use super::{Outcome, plan};
use crate::compare::Tolerance;
use crate::golden::{Case, Field, File};
use firecraft::augment::{
    Border, Clahe, ClaheMethod, Contrast, Equalize, GaussianBlur, Hue, Linear, Posterize,
    PosterizeNumbers, Resize, ResizeTo, Rotate, Saturation, SaturationOf, Sharpness, Size,
    Solarize, Transform,
};

pub(super) fn check(file: &File, case: &Case) -> Result<(), Outcome> {
    let transform = transform(case.name(), &case.args())?;
    let tolerance = match case.name() {
        // kornia's luma has 0.299 where torchvision's and ours has 0.2989.
        name if name.ends_with("_subtraction") => Tolerance::abs(1.5e-4),
        _ => Tolerance::abs(2e-5),
    };
    for expected in results(file, case)? {
        apply(&expected, tolerance, |meta| plan(&*transform, meta))?;
    }
    Ok(())
}

fn transform(name: &str, args: &Field<'_>) -> Result<Box<dyn Transform>, Outcome> {
    let number = |name: &str| Ok::<f32, Outcome>(args.get(name).f64()? as f32);
    Ok(match name {
        "adjust_brightness" => Box::new(Linear::new([1.0], [number("factor")?])),
        "adjust_brightness_accumulative" | "adjust_contrast" => {
            Box::new(Linear::new([number("factor")?], [0.0]))
        }
        "adjust_contrast_with_mean_subtraction" => Box::new(Contrast::new(number("factor")?)),
        "adjust_saturation" => {
            Box::new(Saturation::new(number("factor")?).with_of(SaturationOf::Hsv))
        }
        "adjust_saturation_with_gray_subtraction" => Box::new(Saturation::new(number("factor")?)),
        "adjust_hue" => Box::new(Hue::new(number("factor")? / std::f32::consts::TAU)),
        "sharpness" => Box::new(Sharpness::new(number("factor")?)),
        "posterize" => {
            let posterize = Posterize::new(number("bits")? as u8);
            Box::new(posterize.with_numbers(PosterizeNumbers::ViaBytes))
        }
        "solarize" => Box::new(
            Solarize::new(number("thresholds")? * 255.0)
                .with_addition(number("additions")? * 255.0),
        ),
        "equalize" => Box::new(Equalize::new()),
        "equalize_clahe" => {
            let grid = args.get("grid_size").usizes()?;
            let clahe = Clahe::new(number("clip_limit")?, (grid[0], grid[1]));
            Box::new(clahe.with_method(ClaheMethod::Kornia))
        }
        "rotate" => Box::new(Rotate::new(args.get("angle").f64()?)),
        "resize" => {
            let size = args.get("size").usizes()?;
            let to = ResizeTo::Exactly(Size::new(size[0], size[1]));
            Box::new(Resize::new(to).with_antialias(args.get("antialias").bool()?))
        }
        "gaussian_blur2d" => {
            // Rows before columns.
            let size = args.get("kernel_size").usizes()?;
            let sigma = args.get("sigma").f64s()?;
            let mut blur =
                GaussianBlur::new(1, 1.0).with_border(match args.get("border_type").str()? {
                    "reflect" => Border::Reflect,
                    "replicate" => Border::Replicate,
                    _ => return Err(Outcome::Unsupported),
                });
            blur.kernel_size = (size[1], size[0]);
            blur.sigma = (sigma[1] as f32, sigma[0] as f32);
            Box::new(blur)
        }
        _ => return Err(Outcome::Unsupported),
    })
}
