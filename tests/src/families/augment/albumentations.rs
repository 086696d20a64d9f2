//! albumentations, with ranges of one point.

use super::images::{apply, results};
use super::targets::{self, Convention};
use super::{Outcome, plan};
use crate::compare::Tolerance;
use crate::golden::{Case, Field, File};
use firecraft::augment::{
    AugmentError, AutoContrast, AutoContrastMethod, Border, BoxRules, CenterCrop, Clahe,
    ColorMatrix, Crop, Equalize, EqualizeMethod, Gamma, GaussianBlur, Grayscale, GreyMethod,
    HorizontalFlip, HsvShift, Interpolation, Invert, Linear, Matrix, MeanBlur, MedianBlur, Pad,
    Plan, Posterize, Resize, ResizeFilter, ResizeTo, Rotate, SampleMeta, Size, Solarize, Transform,
    Transpose, VerticalFlip, Warp,
};
use firecraft::key::Key;
use firecraft::spec::{Spec, SpecError};

pub(super) fn check(file: &File, case: &Case) -> Result<(), Outcome> {
    let transform = transform(case.name(), &case.args())?;
    if case.has("boxes_in") {
        return check_targets(file, case, &*transform);
    }
    for expected in results(file, case)? {
        let tolerance = if expected.is_float {
            Tolerance::TENSOR
        } else {
            Tolerance::abs(1.0)
        };
        apply(&expected, tolerance, |meta| plan(&*transform, meta))?;
    }
    Ok(())
}

fn check_targets(file: &File, case: &Case, transform: &dyn Transform) -> Result<(), Outcome> {
    // The resizing of key points doesn't keep the centre of a pixel.
    let points = match case.name() {
        "Resize" => Convention::Corner,
        _ => Convention::Centre,
    };
    let fields = case.whole();
    let rules = BoxRules {
        ellipse: match case
            .args()
            .get("rotate_method")
            .or("largest_box", Field::str)?
        {
            "largest_box" => false,
            "ellipse" => true,
            _ => return Err(Outcome::Unsupported),
        },
        ..BoxRules::default()
    };
    let sample = targets::sample(file, &fields, points, rules)?;
    let moved = targets::moved(sample, |meta| plan(transform, meta))?;
    targets::compare(&fields, &moved, points, targets::TOLERANCE)
}

fn transform(name: &str, args: &Field<'_>) -> Result<Box<dyn Transform>, Outcome> {
    // A range of one point.
    let at = |name: &str| Ok::<f32, Outcome>(args.get(name).f64s()?[0] as f32);
    let size = || {
        Ok::<Size, Outcome>(Size::new(
            args.get("height").usize()?,
            args.get("width").usize()?,
        ))
    };
    Ok(match name {
        "HorizontalFlip" => Box::new(HorizontalFlip::new(1.0)),
        "VerticalFlip" => Box::new(VerticalFlip::new(1.0)),
        "Transpose" => Box::new(Transpose::new(1.0)),
        "RandomBrightnessContrast" => Box::new(Linear::new(
            [1.0 + at("contrast_limit")?],
            [at("brightness_limit")?],
        )),
        "RGBShift" => {
            let shifts = [
                at("r_shift_limit")?,
                at("g_shift_limit")?,
                at("b_shift_limit")?,
            ];
            Box::new(Linear::new([1.0], shifts.map(|v| v / 255.0)))
        }
        "RandomGamma" => Box::new(Gamma::new(at("gamma_limit")? / 100.0)),
        "HueSaturationValue" => Box::new(HsvShift::new(
            at("hue_shift_limit")?,
            at("sat_shift_limit")?,
            at("val_shift_limit")?,
        )),
        "CLAHE" => {
            // Across before down.
            let grid = args.get("tile_grid_size").usizes()?;
            Box::new(Clahe::new(at("clip_limit")?, (grid[1], grid[0])))
        }
        "MedianBlur" => Box::new(MedianBlur::new(at("blur_limit")? as usize)),
        "Blur" => Box::new(MeanBlur::new(at("blur_limit")? as usize)),
        "ToGray" => Box::new(to_gray(args)?),
        "ToSepia" => Box::new(ColorMatrix::sepia()),
        "Posterize" => Box::new(Posterize::new(at("num_bits")? as u8)),
        "Solarize" => Box::new(Solarize::new(at("threshold_range")? * 255.0)),
        "Equalize" => {
            if !args.get("by_channels").or(true, Field::bool)? {
                return Err(Outcome::Unsupported);
            }
            Box::new(
                Equalize::new().with_method(match args.get("mode").or("cv", Field::str)? {
                    "cv" => EqualizeMethod::OpenCv,
                    "pil" => EqualizeMethod::Pillow,
                    _ => return Err(Outcome::Unsupported),
                }),
            )
        }
        "AutoContrast" => {
            let method = match args.get("method").or("cdf", Field::str)? {
                "cdf" => AutoContrastMethod::Rank,
                "pil" => AutoContrastMethod::LinearRounded,
                _ => return Err(Outcome::Unsupported),
            };
            let cutoff = args.get("cutoff").or(0.0, Field::f64)? as f32;
            Box::new(AutoContrast::new().with_method(method).with_cutoff(cutoff))
        }
        "InvertImg" => Box::new(Invert::new()),
        "GaussianBlur" => Box::new(GaussianBlur::new(
            at("blur_limit")? as usize,
            at("sigma_limit")?,
        )),
        "Rotate" => Box::new(
            Rotate::new(f64::from(at("limit")?))
                .with_interpolation(interpolation(args)?)
                .with_border(border(args)?),
        ),
        "Affine" => Box::new(affine(args)?),
        "Resize" => Box::new(
            Resize::new(ResizeTo::Exactly(size()?))
                .with_filter(match args.get("interpolation").or(1, Field::u64)? {
                    0 => ResizeFilter::Nearest,
                    1 => ResizeFilter::Bilinear,
                    2 => ResizeFilter::Bicubic,
                    3 => ResizeFilter::Coverage,
                    4 => ResizeFilter::Lanczos4,
                    _ => return Err(Outcome::Unsupported),
                })
                .with_antialias(false),
        ),
        "CenterCrop" => Box::new(CenterCrop::new(size()?)),
        "Crop" => {
            let side = |name: &str| args.get(name).usize();
            let (left, top) = (side("x_min")?, side("y_min")?);
            let size = Size::new(side("y_max")? - top, side("x_max")? - left);
            Box::new(Crop::new(top as i64, left as i64, size))
        }
        "Pad" => {
            let padding = args.get("padding").usizes()?;
            Box::new(Pad::new(padding[0], padding[1], padding[2], padding[3]))
        }
        _ => return Err(Outcome::Unsupported),
    })
}

fn to_gray(args: &Field<'_>) -> Result<Grayscale, Outcome> {
    let grey = Grayscale::new().with_method(match args.get("method").str()? {
        "weighted_average" => GreyMethod::Weighted,
        "from_lab" => GreyMethod::Lab,
        "desaturation" => GreyMethod::Desaturation,
        "average" => GreyMethod::Average,
        "max" => GreyMethod::Max,
        _ => return Err(Outcome::Unsupported),
    });
    match args.get("num_output_channels").or(3, Field::usize)? {
        1 => Ok(grey.single_channel()),
        3 => Ok(grey),
        _ => Err(Outcome::Unsupported),
    }
}

/// Scales, turns and then shears about the centre, which torchvision does in
/// another order.
fn affine(args: &Field<'_>) -> Result<OnCentre, Outcome> {
    let at = |name: &str| Ok::<f64, Outcome>(args.get(name).f64s()?[0]);
    let shear = |axis: &str| -> Result<f64, Outcome> {
        let degrees = args.get("shear").get(axis).optional(Field::f64s)?;
        Ok(-degrees.map_or(0.0, |v| v[0]).to_radians().tan())
    };
    let (scale, turns) = (at("scale")?, at("rotate")? / 360.0);
    // Sampling maps run backwards, so `rotation` is already the inverse.
    let sampling = Matrix::scale(1.0 / scale, 1.0 / scale).compose(Matrix::rotation(turns));
    let undo = Matrix::shear(shear("x")?, shear("y")?).inverse();
    Ok(OnCentre {
        matrix: sampling.compose(undo.ok_or(Outcome::Unsupported)?),
        interpolation: interpolation(args)?,
    })
}

/// A map of the plane about the centre of the image.
#[derive(Debug)]
struct OnCentre {
    matrix: Matrix,
    interpolation: Interpolation,
}

impl Transform for OnCentre {
    fn name(&self) -> &'static str {
        "albumentations_affine"
    }

    fn validate(&self) -> Result<(), AugmentError> {
        Ok(())
    }

    fn plan(&self, meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        Ok(Plan::from(Warp {
            matrix: self.matrix.about(meta.size.centre()),
            size: meta.size,
            interpolation: self.interpolation,
            border: Border::Constant(vec![0.0]),
        }))
    }

    fn spec(&self) -> Result<Spec, SpecError> {
        Ok(Spec::new(self.name()))
    }
}

/// OpenCV's numbers.
fn interpolation(args: &Field<'_>) -> Result<Interpolation, Outcome> {
    match args.get("interpolation").or(1, Field::u64)? {
        0 => Ok(Interpolation::Nearest),
        1 => Ok(Interpolation::Bilinear),
        2 => Ok(Interpolation::Bicubic),
        _ => Err(Outcome::Unsupported),
    }
}

fn border(args: &Field<'_>) -> Result<Border, Outcome> {
    Ok(match args.get("border_mode").or(0, Field::u64)? {
        0 => Border::Constant(vec![0.0]),
        1 => Border::Replicate,
        2 => Border::Symmetric,
        3 => Border::Wrap,
        4 => Border::Reflect,
        _ => return Err(Outcome::Unsupported),
    })
}
