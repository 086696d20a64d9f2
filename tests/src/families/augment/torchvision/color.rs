//! Colour, tone, blur and erasing.

use super::Request;
use crate::compare::Tolerance;
use crate::families::Outcome;
use crate::golden::Field;
use firecraft::augment::{
    AutoContrast, Brightness, Contrast, Equalize, Erase, Gamma, GaussianBlur, Grayscale, Hue,
    Invert, Normalize, PermuteChannels, Posterize, Region, Saturation, Sharpness, Size, Solarize,
};

/// The transform that stands for a functional and its arguments.
pub(super) fn request(name: &str, args: &Field<'_>, is_float: bool) -> Result<Request, Outcome> {
    let factor = |name: &str| Ok::<f32, Outcome>(args.get(name).f64()? as f32);
    let list = |name: &str| floats(&args.get(name));
    Ok(match name {
        "adjust_brightness" => Request::rounded(Brightness::new(factor("brightness_factor")?)),
        "adjust_contrast" => Request::rounded(Contrast::new(factor("contrast_factor")?)),
        "adjust_saturation" => Request::rounded(Saturation::new(factor("saturation_factor")?)),
        "adjust_hue" => Request::rounded(Hue::new(factor("hue_factor")?)),
        "adjust_gamma" => Request::rounded(
            Gamma::new(factor("gamma")?).with_gain(args.get("gain").or(1.0, Field::f64)? as f32),
        ),
        "adjust_sharpness" => Request::rounded(Sharpness::new(factor("sharpness_factor")?)),
        "rgb_to_grayscale" => match args.get("num_output_channels").usize()? {
            1 => Request::rounded(Grayscale::new().single_channel()),
            _ => Request::rounded(Grayscale::new()),
        },
        "invert" => Request::exact(Invert::new()),
        "posterize" => Request::exact(Posterize::new(args.get("bits").u64()? as u8)),
        "solarize" => {
            // The peer takes the unit of the image.
            let white = if is_float { 255.0 } else { 1.0 };
            Request::exact(Solarize::new(factor("threshold")? * white))
        }
        "equalize" => Request::exact(Equalize::new()),
        "autocontrast" => Request::rounded(AutoContrast::new()),
        "gaussian_blur" => {
            let size = args.get("kernel_size").usizes()?;
            let sigma = args.get("sigma").f64s()?;
            let mut blur = GaussianBlur::new(size[0], sigma[0] as f32);
            blur.kernel_size.1 = size[1];
            blur.sigma.1 = sigma[1] as f32;
            Request::rounded(blur)
        }
        "normalize" => Request::rounded(Normalize::new(list("mean")?, list("std")?)),
        "permute_channels" => {
            Request::exact(PermuteChannels::new(args.get("permutation").usizes()?))
        }
        "erase" => {
            let region = Region {
                top: args.get("i").usize()?,
                left: args.get("j").usize()?,
                size: Size::new(args.get("h").usize()?, args.get("w").usize()?),
            };
            Request::exact(Erase::new(region, list("v")?))
        }
        _ => return Err(Outcome::Unsupported),
    })
}

/// The numbers of nested lists.
fn floats(field: &Field<'_>) -> Result<Vec<f32>, Outcome> {
    if field.json().is_array() {
        let parts = field.items()?;
        let parts = parts.iter().map(floats).collect::<Result<Vec<_>, _>>()?;
        Ok(parts.concat())
    } else {
        Ok(vec![field.f64()? as f32])
    }
}

impl Request {
    /// Bytes may differ where the peer's sum is cut off next to a whole number.
    fn rounded(transform: impl firecraft::augment::Transform) -> Self {
        Self {
            bytes: Tolerance::abs(1.0),
            ..Self::exact(transform)
        }
    }
}
