//! Flips, warps, crops, pads and resizes.

use super::Request;
use crate::families::Outcome;
use crate::golden::Field;
use firecraft::augment::{
    Affine, AugmentError, Border, CenterCrop, Crop, Displace, Displacement, HorizontalFlip,
    Interpolation, OddRest, Pad, Perspective, Plan, Region, Resize, ResizeFilter, ResizeTo,
    ResizedCrop, Rotate, SampleMeta, Size, Transform, VerticalFlip,
};
use firecraft::key::Key;
use firecraft::spec::{Spec, SpecError};

/// The transform that stands for a functional and its arguments.
pub(super) fn request(name: &str, args: &Field<'_>) -> Result<Request, Outcome> {
    Ok(match name {
        "horizontal_flip" => Request::exact(HorizontalFlip::new(1.0)),
        "vertical_flip" => Request::exact(VerticalFlip::new(1.0)),
        "rotate" => {
            let mut rotate = Rotate::new(args.get("angle").f64()?)
                .with_interpolation(interpolation(args, "nearest")?)
                .with_border(fill(args)?);
            rotate.expand = args.get("expand").or(false, Field::bool)?;
            rotate.center = args.get("center").optional(pair)?;
            Request::interpolated(rotate).with_ties(nearest(args, "nearest")?)
        }
        "affine" => {
            let mut affine = Affine::new()
                .with_angle(args.get("angle").f64()?)
                .with_translate(pair(&args.get("translate"))?)
                .with_scale(args.get("scale").f64()?)
                .with_shear(pair(&args.get("shear"))?)
                .with_interpolation(interpolation(args, "nearest")?)
                .with_border(fill(args)?);
            affine.center = args.get("center").optional(pair)?;
            Request::interpolated(affine).with_ties(nearest(args, "nearest")?)
        }
        "perspective" => Request::interpolated(
            Perspective::new(
                corners(&args.get("startpoints"))?,
                corners(&args.get("endpoints"))?,
            )
            .with_interpolation(interpolation(args, "bilinear")?)
            .with_border(fill(args)?),
        ),
        "elastic" => Request::interpolated(Fixed(elastic(args)?))
            .with_ties(nearest(args, "bilinear")?)
            .with_targets_near(),
        "crop" => Request::exact(Crop::new(
            args.get("top").f64()? as i64,
            args.get("left").f64()? as i64,
            Size::new(args.get("height").usize()?, args.get("width").usize()?),
        )),
        "center_crop" => {
            let size = args.get("output_size").usizes()?;
            let size = Size::new(size[0], *size.get(1).unwrap_or(&size[0]));
            Request::exact(CenterCrop::new(size).with_odd_rest(OddRest::Even))
        }
        "pad" => Request::exact(pad(args)?),
        "resize" => {
            let size = args.get("size").usizes()?;
            let to = match size[..] {
                [short] => ResizeTo::Shorter(short),
                [height, width] => ResizeTo::Exactly(Size::new(height, width)),
                _ => return Err(Outcome::Unsupported),
            };
            let resize = Resize::new(to)
                .with_filter(filter(args)?)
                .with_antialias(args.get("antialias").or(true, Field::bool)?);
            Request::interpolated(resize)
        }
        "resized_crop" => {
            let size = args.get("size").usizes()?;
            let region = Region {
                top: args.get("top").usize()?,
                left: args.get("left").usize()?,
                size: Size::new(args.get("height").usize()?, args.get("width").usize()?),
            };
            let crop = ResizedCrop::new(region, Size::new(size[0], size[1]));
            Request::interpolated(crop.with_filter(filter(args)?))
        }
        _ => return Err(Outcome::Unsupported),
    })
}

fn elastic(args: &Field<'_>) -> Result<Displace, Outcome> {
    // Halves of the 13 x 17 image.
    let half = [17.0 / 2.0, 13.0 / 2.0];
    let mut field = Vec::new();
    for row in args.get("displacement").items()?[0].items()? {
        for point in row.items()? {
            let (x, y) = pair(&point)?;
            field.push([(x * half[0]) as f32, (y * half[1]) as f32]);
        }
    }
    Ok(Displace {
        displacement: Displacement::Given(field),
        interpolation: interpolation(args, "bilinear")?,
        border: fill(args)?,
    })
}

/// A step as a transform that always does just that.
#[derive(Debug)]
struct Fixed(Displace);

impl Transform for Fixed {
    fn name(&self) -> &'static str {
        "displace"
    }

    fn validate(&self) -> Result<(), AugmentError> {
        Ok(())
    }

    fn plan(&self, _meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        Ok(self.0.clone().into())
    }

    fn spec(&self) -> Result<Spec, SpecError> {
        Ok(Spec::new(self.name()))
    }
}

fn pad(args: &Field<'_>) -> Result<Pad, Outcome> {
    let padding = args.get("padding").usizes()?;
    let [left, top, right, bottom] = match padding[..] {
        [all] => [all; 4],
        [x, y] => [x, y, x, y],
        [left, top, right, bottom] => [left, top, right, bottom],
        _ => return Err(Outcome::Unsupported),
    };
    let border = match args.get("padding_mode").or("constant", Field::str)? {
        "constant" => Border::Constant(values(&args.get("fill"))?),
        "edge" => Border::Replicate,
        "reflect" => Border::Reflect,
        "symmetric" => Border::Symmetric,
        _ => return Err(Outcome::Unsupported),
    };
    Ok(Pad::new(left, top, right, bottom).with_border(border))
}

fn interpolation(args: &Field<'_>, default: &str) -> Result<Interpolation, Outcome> {
    match args.get("interpolation").json().as_str().unwrap_or(default) {
        "nearest" => Ok(Interpolation::Nearest),
        "bilinear" => Ok(Interpolation::Bilinear),
        _ => Err(Outcome::Unsupported),
    }
}

fn filter(args: &Field<'_>) -> Result<ResizeFilter, Outcome> {
    Ok(
        match args.get("interpolation").or("bilinear", Field::str)? {
            "nearest" => ResizeFilter::Nearest,
            "nearest-exact" => ResizeFilter::NearestExact,
            "bilinear" => ResizeFilter::Bilinear,
            "bicubic" => ResizeFilter::Bicubic,
            _ => return Err(Outcome::Unsupported),
        },
    )
}

fn nearest(args: &Field<'_>, default: &str) -> Result<bool, Outcome> {
    Ok(interpolation(args, default)? == Interpolation::Nearest)
}

/// Without a fill the peer blends with zeros once, with one twice.
fn fill(args: &Field<'_>) -> Result<Border, Outcome> {
    let fill = values(&args.get("fill"))?;
    Ok(if fill.is_empty() {
        Border::Constant(fill)
    } else {
        Border::ConstantTwice(fill)
    })
}

/// Nothing, a number or a list.
fn values(field: &Field<'_>) -> Result<Vec<f32>, Outcome> {
    if field.is_null() {
        return Ok(Vec::new());
    }
    let values = if field.json().is_array() {
        field.f64s()?
    } else {
        vec![field.f64()?]
    };
    Ok(values.into_iter().map(|v| v as f32).collect())
}

fn pair(field: &Field<'_>) -> Result<(f64, f64), crate::golden::GoldenError> {
    let values = field.f64s()?;
    Ok((values[0], values[1]))
}

fn corners(field: &Field<'_>) -> Result<[(f64, f64); 4], Outcome> {
    let points = field
        .items()?
        .iter()
        .map(pair)
        .collect::<Result<Vec<_>, _>>()?;
    <[_; 4]>::try_from(points).map_err(|_| Outcome::Unsupported)
}
