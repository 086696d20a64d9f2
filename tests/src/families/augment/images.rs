//! The inputs of the cases, `augment/images.json`, and comparing results.

use super::Outcome;
use crate::compare::{Tolerance, close};
use crate::golden::{Case, Field, File, Tensor};

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
    let tensor = file
        .sibling("images")?
        .get("images")
        .get(name)
        .tensor()?;
    let shape = <[usize; 3]>::try_from(tensor.shape.as_slice()).map_err(crate::families::failed)?;
    Ok(Image { shape, data: tensor.u8s() })
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
