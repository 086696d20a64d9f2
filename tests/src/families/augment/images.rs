//! The inputs of the cases, `augment/images.json`, and comparing results.

use super::Outcome;
use crate::compare::{Tolerance, close};
use crate::families::failed;
use crate::golden::{Case, Field, File, Tensor};
use firecraft::augment::{
    self, Displace, Displacement, Matrix, Plan, Sample, SampleMeta, Size, Step,
};

/// An image `[channel, height, width]` of bytes.
pub(super) struct Image {
    pub(super) shape: [usize; 3],
    pub(super) data: Vec<u8>,
}

impl Image {
    /// The image in `0..=1`, as the float cases take it.
    pub(super) fn floats(&self) -> Vec<f32> {
        self.data.iter().map(|&v| f32::from(v) / 255.0).collect()
    }
}

/// The image of that name.
pub(super) fn load(file: &File, name: &str) -> Result<Image, Outcome> {
    let tensor = file.sibling("images")?.get("images").get(name).tensor()?;
    let shape = <[usize; 3]>::try_from(tensor.shape.as_slice()).map_err(failed)?;
    Ok(Image {
        shape,
        data: tensor.u8s(),
    })
}

/// One expected result of a case: the image and the type it was computed in.
pub(super) struct Expected<'a> {
    pub(super) image: Image,
    pub(super) is_float: bool,
    pub(super) result: Field<'a>,
}

impl Expected<'_> {
    /// What the peer gave.
    pub(super) fn out(&self) -> Result<Tensor, Outcome> {
        Ok(self.result.get("out").tensor()?)
    }

    /// Compares with what the peer gave.
    pub(super) fn compare(
        &self,
        shape: &[usize],
        got: &[f64],
        tolerance: Tolerance,
    ) -> Result<(), Outcome> {
        let out = self.out()?;
        if out.shape != shape {
            return Err(Outcome::Failed(format!(
                "shape: got {shape:?}, expected {:?}",
                out.shape
            )));
        }
        let what = if self.is_float { "f32" } else { "u8" };
        close(what, got, &out.data, tolerance)
    }
}

/// The results of a case, with their inputs.
pub(super) fn results<'a>(file: &File, case: &'a Case) -> Result<Vec<Expected<'a>>, Outcome> {
    let results = case.get("results").items()?;
    results
        .into_iter()
        .map(|result| {
            Ok(Expected {
                image: load(file, result.get("image").str()?)?,
                is_float: result.get("dtype").str()? == "f32",
                result,
            })
        })
        .collect()
}

/// Applies a plan to the input of a result and compares.
pub(super) fn apply(
    expected: &Expected<'_>,
    tolerance: Tolerance,
    plan: impl Fn(&SampleMeta) -> Result<Plan, Outcome>,
) -> Result<(), Outcome> {
    let image = applied(expected, plan)?;
    let got: Vec<f64> = image.to_planes().into_iter().map(f64::from).collect();
    expected.compare(&shape(&image), &got, tolerance)
}

/// [`apply`] for nearest neighbours. Where a source point lies halfway between
/// two pixels, peers in `f32` take the one that their rounding errors point
/// to; there, either is accepted.
pub(super) fn apply_nearest(
    expected: &Expected<'_>,
    plan: impl Fn(&SampleMeta) -> Result<Plan, Outcome>,
) -> Result<(), Outcome> {
    const NUDGE: f64 = 1e-4;
    let nudges = [
        (0.0, 0.0),
        (-NUDGE, -NUDGE),
        (NUDGE, -NUDGE),
        (-NUDGE, NUDGE),
        (NUDGE, NUDGE),
    ];
    let mut candidates = Vec::new();
    for (dx, dy) in nudges {
        candidates.push(applied(expected, |meta| {
            let mut plan = plan(meta)?;
            for step in &mut plan.steps {
                match step {
                    Step::Warp(warp) => {
                        warp.matrix = Matrix::translation(dx, dy).compose(warp.matrix);
                    }
                    Step::Displace(Displace {
                        displacement: Displacement::Given(field),
                        ..
                    }) => {
                        field
                            .iter_mut()
                            .for_each(|d| *d = [d[0] + dx as f32, d[1] + dy as f32]);
                    }
                    _ => {}
                }
            }
            Ok(plan)
        })?);
    }
    let shape = shape(&candidates[0]);
    let candidates: Vec<Vec<f32>> = candidates.iter().map(augment::Image::to_planes).collect();
    let want = expected.out()?.data;
    let got: Vec<f64> = (0..candidates[0].len())
        .map(|i| {
            let options = candidates.iter().map(|c| f64::from(c[i]));
            let error = |v: &f64| want.get(i).map_or(0.0, |w| (w - v).abs());
            options
                .min_by(|a, b| error(a).total_cmp(&error(b)))
                .unwrap_or(f64::NAN)
        })
        .collect();
    let tolerance = if expected.is_float {
        Tolerance::TENSOR
    } else {
        Tolerance::EXACT
    };
    expected.compare(&shape, &got, tolerance)
}

fn shape(image: &augment::Image) -> [usize; 3] {
    [image.channels(), image.size().height, image.size().width]
}

fn applied(
    expected: &Expected<'_>,
    plan: impl Fn(&SampleMeta) -> Result<Plan, Outcome>,
) -> Result<augment::Image, Outcome> {
    let [channels, height, width] = expected.image.shape;
    let size = Size::new(height, width);
    let image = if expected.is_float {
        augment::Image::from_f32_planes(&expected.image.floats(), size, channels)
    } else {
        augment::Image::from_u8_planes(&expected.image.data, size, channels)
    };
    let mut sample = Sample::new(image.map_err(failed)?);
    plan(&sample.meta())?.apply(&mut sample).map_err(failed)?;
    Ok(sample.image)
}
