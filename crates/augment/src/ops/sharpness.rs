//! Sharper or softer: `sharpness`.

use super::{check_strength, fixed_step};
use crate::kernel;
use crate::sample::each_type;
use crate::{Apply, AugmentError, Sample};
use serde::{Deserialize, Serialize};

/// What [`Sharpness`] does at the edge of the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharpnessEdge {
    /// The outermost pixels stay: torchvision, Pillow, kornia.
    #[default]
    Keep,
    /// They are softened with black from outside: Keras.
    Black,
}

/// Blends with a softened image: `soft + factor * (x - soft)`, clipped.
/// torchvision's `adjust_sharpness`, Pillow's `Sharpness`.
///
/// The filter is `[[1, 1, 1], [1, 5, 1], [1, 1, 1]] / 13`. Keras' factor `f`
/// is `2 f` here.
///
/// ```
/// use firecraft_augment::{Image, Plan, Sample, Sharpness, Size};
/// let dot = vec![0, 0, 0, 0, 130, 0, 0, 0, 0];
/// let mut sample = Sample::new(Image::from_u8(dot, Size::new(3, 3), 1)?);
/// Plan::from(Sharpness::new(0.0)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[0, 0, 0, 0, 50, 0, 0, 0, 0][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharpness {
    /// 0 is soft, 1 changes nothing, more sharpens; not negative.
    pub factor: f32,
    /// What happens at the edge.
    #[serde(default)]
    pub edge: SharpnessEdge,
}

impl Sharpness {
    /// Scales the distance to the softened image.
    #[must_use]
    pub const fn new(factor: f32) -> Self {
        Self {
            factor,
            edge: SharpnessEdge::Keep,
        }
    }

    /// Sets what happens at the edge.
    #[must_use]
    pub const fn with_edge(mut self, edge: SharpnessEdge) -> Self {
        self.edge = edge;
        self
    }

    fn check(&self) -> Result<(), AugmentError> {
        check_strength("sharpness", "factor", self.factor)
    }
}

impl Apply for Sharpness {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let (size, channels) = (sample.image.size(), sample.image.channels());
        let keep = self.edge == SharpnessEdge::Keep;
        let (values, scratch) = sample.image.parts_mut();
        each_type!(values, data => {
            kernel::sharpen(data, size, channels, self.factor, keep, scratch);
        });
        Ok(())
    }
}

fixed_step!(Sharpness, "sharpness");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Plan, Size, Values};

    fn run(sharpness: Sharpness, values: impl Into<Values>, size: Size) -> Image {
        let image = match values.into() {
            Values::U8(data) => Image::from_u8(data, size, 1).unwrap(),
            Values::F32(data) => Image::from_f32(data, size, 1).unwrap(),
        };
        let mut sample = Sample::new(image);
        Plan::from(sharpness).apply(&mut sample).unwrap();
        sample.image
    }

    #[test]
    fn one_is_the_identity_and_the_edge_stays() {
        let data: Vec<f32> = (0..25).map(|i| (i * i * 7 % 11) as f32 / 11.0).collect();
        let size = Size::new(5, 5);
        let same = run(Sharpness::new(1.0), data.clone(), size);
        assert_eq!(same.to_planes(), data);
        let soft = run(Sharpness::new(0.0), data.clone(), size).to_planes();
        for i in 0..25 {
            let edge = i / 5 % 4 == 0 || i % 5 % 4 == 0;
            assert_eq!(soft[i] == data[i], edge, "{i}");
        }
        let blur = Sharpness::new(0.0).with_edge(SharpnessEdge::Black);
        let black = run(blur, vec![1.0_f32; 25], size).to_planes();
        assert!((black[0] - 8.0 / 13.0).abs() < 1e-6 && (black[12] - 1.0).abs() < 1e-6);
        let small = run(Sharpness::new(0.0), vec![1_u8, 2], Size::new(1, 2));
        assert_eq!(small.as_u8(), Some(&[1, 2][..]));
    }
}
