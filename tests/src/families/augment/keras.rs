//! Keras' layers, through ours, with fixed factors.

use super::Outcome;
use super::images::results;
use crate::compare::Tolerance;
use crate::families::failed;
use crate::golden::{Case, Field, File, GoldenError};
use burn::tensor::{Device, Tensor};
use firecraft::augment::{
    Factor, FillMode, Interpolation, RandomRotationConfig, RandomTranslationConfig,
    RandomZoomConfig,
};
use firecraft::core_tensor::Mode;

pub(super) fn check(file: &File, case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let device = Device::flex();
    macro_rules! layer {
        ($config:expr) => {{
            let layer = $config
                .with_fill_mode(fill_mode(&args)?)
                .with_interpolation(interpolation(&args)?)
                .init(&device)
                .map_err(failed)?;
            run(file, case, |x| layer.forward_mode(x, Mode::Train))
        }};
    }
    match case.name() {
        "RandomRotation" => layer!(RandomRotationConfig::new(factor(&args.get("factor"))?)),
        "RandomZoom" => layer!(
            RandomZoomConfig::new(factor(&args.get("height_factor"))?)
                .with_width_factor(factor(&args.get("width_factor"))?)
        ),
        "RandomTranslation" => layer!(RandomTranslationConfig::new(
            factor(&args.get("height_factor"))?,
            factor(&args.get("width_factor"))?,
        )),
        _ => Err(Outcome::Unsupported),
    }
}

fn run(
    file: &File,
    case: &Case,
    layer: impl Fn(Tensor<4>) -> Tensor<4>,
) -> Result<(), Outcome> {
    for expected in results(file, case)? {
        let [channels, height, width] = expected.image.shape;
        let x = Tensor::<1>::from_data(expected.image.floats().as_slice(), &Device::flex());
        let y = layer(x.reshape([1, channels, height, width]));
        let got: Vec<f32> = y.into_data().try_into_vec().map_err(failed)?;
        let got: Vec<f64> = got.into_iter().map(f64::from).collect();
        expected.compare(&[channels, height, width], &got, Tolerance::abs(1e-5))?;
    }
    Ok(())
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
    Ok(match args.get("interpolation").or("bilinear", Field::str)? {
        "nearest" => Interpolation::Nearest,
        "bilinear" => Interpolation::Bilinear,
        _ => return Err(Outcome::Unsupported),
    })
}
