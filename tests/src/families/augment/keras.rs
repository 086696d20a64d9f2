//! Keras' layers, through ours, with fixed factors.

use super::images::{apply, results};
use super::{Outcome, plan};
use crate::compare::Tolerance;
use crate::golden::{Case, Field, File, GoldenError};
use firecraft::augment::{
    AutoContrast, Border, CenterCrop, Compose, Equalize, EqualizeMethod, Factor, FillMode,
    GaussianBlur, Grayscale, Hue, Interpolation, Invert, Linear, Posterize, PosterizeNumbers,
    RandomRotationConfig, RandomTranslationConfig, RandomZoomConfig, Resize, ResizeFilter,
    ResizeTo, Saturation, SaturationOf, Sharpness, SharpnessEdge, Size, Solarize, Transform,
    WarpAffine,
};

pub(super) fn check(file: &File, case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    // Each of these is one draw of a layer that acts with some probability or
    // in some direction; the file doesn't say which it drew.
    let candidates: Vec<Box<dyn Transform>> = match case.name() {
        "RandomHue" => {
            let turns = factor(&args.get("factor"))?.high() as f32 / 2.0;
            vec![Box::new(Hue::new(turns)), Box::new(Hue::new(-turns))]
        }
        "RandomInvert" => vec![Box::new(Invert::new()), Box::new(Compose::new())],
        "RandomGaussianBlur" => {
            let sigma = factor(&args.get("sigma"))?.high() as f32;
            let blur = GaussianBlur::new(args.get("kernel_size").usize()?, sigma)
                .with_border(Border::Constant(vec![0.0]));
            vec![Box::new(blur), Box::new(Compose::new())]
        }
        name => vec![transform(name, &args)?],
    };
    let tolerance = match case.name() {
        // Of the levels halfway between two, the peer rounds one up and the
        // others to even.
        "Equalization" => Tolerance::abs(1.0 / 255.0 + 1e-5),
        _ => Tolerance::abs(1e-5),
    };
    for expected in results(file, case)? {
        let outcomes = candidates
            .iter()
            .map(|transform| apply(&expected, tolerance, |meta| plan(&**transform, meta)));
        let outcomes: Vec<_> = outcomes.collect();
        if !outcomes.iter().any(Result::is_ok) {
            return outcomes
                .into_iter()
                .next()
                .unwrap_or(Err(Outcome::Unsupported));
        }
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
        "RandomShear" => {
            let shear = |name: &str| Ok::<f64, Outcome>(factor(&args.get(name))?.high());
            let (x, y) = (shear("x_factor")?, shear("y_factor")?);
            // About the centre of the first pixel, not the corner.
            let matrix = [[1.0, x, -x / 2.0], [y, 1.0, -y / 2.0]];
            let border = fill_mode(args)?.border(0.0);
            Box::new(WarpAffine::new(matrix).with_border(border))
        }
        "RandomBrightness" => Box::new(Linear::new([1.0], [fixed(args)?])),
        "RandomSaturation" => {
            let factor = fixed(args)?;
            Box::new(Saturation::new(factor / (1.0 - factor)).with_of(SaturationOf::Hsv))
        }
        "RandomSharpness" => {
            Box::new(Sharpness::new(2.0 * fixed(args)?).with_edge(SharpnessEdge::Black))
        }
        "RandomColorDegeneration" => Box::new(Saturation::new(1.0 - fixed(args)?)),
        "RandomPosterization" => {
            let bits = fixed(args)? as u8;
            Box::new(Posterize::new(bits).with_numbers(PosterizeNumbers::ViaBytes))
        }
        "Solarization" => Box::new(
            Solarize::new(args.get("threshold_255").f64()? as f32)
                .with_addition(args.get("addition_255").f64()? as f32),
        ),
        "Equalization" => Box::new(Equalize::new().with_method(EqualizeMethod::OpenCv)),
        "AutoContrast" => Box::new(AutoContrast::new()),
        "RandomGrayscale" => Box::new(Grayscale::new()),
        "CenterCrop" => Box::new(CenterCrop::new(size(args)?)),
        "Resizing" => resizing(args)?,
        _ => return Err(Outcome::Unsupported),
    })
}

/// Resizing that may first cut or frame the 13 x 17 image to the target's
/// aspect ratio.
fn resizing(args: &Field<'_>) -> Result<Box<dyn Transform>, Outcome> {
    let to = size(args)?;
    let resize = Resize::new(ResizeTo::Exactly(to))
        .with_filter(match args.get("interpolation").str()? {
            "bilinear" => ResizeFilter::Bilinear,
            "nearest" => ResizeFilter::NearestExact,
            "bicubic" => ResizeFilter::Bicubic,
            "lanczos3" => ResizeFilter::Lanczos3,
            "lanczos5" => ResizeFilter::Lanczos5,
            _ => return Err(Outcome::Unsupported),
        })
        .with_antialias(false);
    let (height, width) = (13, 17);
    let (tall, wide) = (width * to.height / to.width, height * to.width / to.height);
    let frame = if args.get("crop_to_aspect_ratio").bool()? {
        Size::new(tall.min(height), wide.min(width))
    } else if args.get("pad_to_aspect_ratio").bool()? {
        Size::new(tall.max(height), wide.max(width))
    } else {
        return Ok(Box::new(resize));
    };
    Ok(Box::new(
        Compose::new().with(CenterCrop::new(frame)).with(resize),
    ))
}

fn size(args: &Field<'_>) -> Result<Size, GoldenError> {
    Ok(Size::new(
        args.get("height").usize()?,
        args.get("width").usize()?,
    ))
}

/// The factor of a layer whose range is one point.
fn fixed(args: &Field<'_>) -> Result<f32, GoldenError> {
    Ok(factor(&args.get("factor"))?.high() as f32)
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
