//! One linear map of the colours: `color_matrix`.

use super::fixed_step;
use crate::color::is_colour;
use crate::kernel::Element;
use crate::sample::each_type;
use crate::{Apply, AugmentError, Sample};
use serde::{Deserialize, Serialize};

/// Multiplies every colour by a matrix and adds an offset, clipped:
/// `r' = m00 r + m01 g + m02 b + m03` and so on, with the offset in units of
/// white. Images of one channel stay as they are.
///
/// ```
/// use firecraft_augment::{ColorMatrix, Image, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![100, 50, 10], Size::new(1, 1), 3)?);
/// Plan::from(ColorMatrix::sepia()).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[80, 71, 55][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorMatrix {
    /// Rows of weights of red, green and blue, and the offset.
    pub rows: [[f32; 4]; 3],
}

impl ColorMatrix {
    /// The matrix with these rows.
    #[must_use]
    pub const fn new(rows: [[f32; 4]; 3]) -> Self {
        Self { rows }
    }

    /// The brown of old photographs: albumentations' `ToSepia`.
    #[must_use]
    pub const fn sepia() -> Self {
        Self::new([
            [0.393, 0.769, 0.189, 0.0],
            [0.349, 0.686, 0.168, 0.0],
            [0.272, 0.534, 0.131, 0.0],
        ])
    }

    fn check(&self) -> Result<(), AugmentError> {
        if self.rows.iter().flatten().all(|v| v.is_finite()) {
            return Ok(());
        }
        let got = format!("{:?}", self.rows);
        let expected = "finite numbers";
        Err(AugmentError::parameter(
            "color_matrix",
            "rows",
            got,
            expected,
        ))
    }

    fn run<T: Element>(&self, data: &mut [T], channels: usize) {
        for pixel in data.chunks_exact_mut(channels) {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(T::to_f32);
            for (value, [x, y, z, offset]) in pixel.iter_mut().zip(self.rows) {
                let sum = x * r + y * g + z * b + offset * T::MAX;
                *value = T::from_f32(sum.clamp(0.0, T::MAX));
            }
        }
    }
}

impl Apply for ColorMatrix {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        let channels = sample.image.channels();
        if is_colour("color_matrix", &sample.image)? {
            each_type!(sample.image.values_mut(), data => self.run(data, channels));
        }
        Ok(())
    }
}

fixed_step!(ColorMatrix, "color_matrix");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opacity_stays_and_offsets_are_in_units_of_white() {
        let mut data = vec![100_u8, 50, 10, 7];
        let red = ColorMatrix::new([[1.0, 0.0, 0.0, 0.2], [0.0; 4], [0.0, 0.0, 0.0, 2.0]]);
        red.run(&mut data, 4);
        assert_eq!(data, [151, 0, 255, 7]);
        assert!(ColorMatrix::new([[f32::NAN; 4]; 3]).check().is_err());
    }
}
