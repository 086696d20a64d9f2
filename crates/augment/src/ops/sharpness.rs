//! Sharper or softer: `sharpness`.

use super::{check_strength, fixed_step};
use crate::kernel::Element;
use crate::{Apply, AugmentError, Sample, Size, Values};
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

    fn run<T: Element>(&self, data: &mut Vec<T>, size: Size, channels: usize) {
        let line = size.width * channels;
        let mut out = data.clone();
        let margin = usize::from(self.edge == SharpnessEdge::Keep);
        for y in margin..size.height.saturating_sub(margin) {
            let row = |y: usize| data.get(y.wrapping_mul(line)..)?.get(..line);
            let rows = [y.checked_sub(1).and_then(row), row(y), row(y + 1)];
            let target = &mut out[y * line..(y + 1) * line];
            for x in margin..size.width.saturating_sub(margin) {
                for i in x * channels..(x + 1) * channels {
                    let at = |row: &[T], i: Option<usize>| {
                        i.and_then(|i| row.get(i)).map_or(0.0, |v| v.to_f32())
                    };
                    let three = |row: &[T]| {
                        let left = at(row, i.checked_sub(channels));
                        left + at(row, Some(i)) + at(row, Some(i + channels))
                    };
                    let sum: f32 = rows.iter().flatten().map(|row| three(row)).sum();
                    let centre = data[y * line + i].to_f32();
                    let soft = (sum + 4.0 * centre) / 13.0;
                    let soft = if T::IS_INTEGER {
                        (soft + 0.5).floor()
                    } else {
                        soft
                    };
                    let value = centre + (1.0 - self.factor) * (soft - centre);
                    target[i] = T::from_f32_truncated(value.clamp(0.0, T::MAX));
                }
            }
        }
        *data = out;
    }
}

impl Apply for Sharpness {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let (size, channels) = (sample.image.size(), sample.image.channels());
        match sample.image.values_mut() {
            Values::U8(data) => self.run(data, size, channels),
            Values::F32(data) => self.run(data, size, channels),
        }
        Ok(())
    }
}

fixed_step!(Sharpness, "sharpness");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_the_identity_and_the_edge_stays() {
        let data: Vec<f32> = (0..25).map(|i| (i * i * 7 % 11) as f32 / 11.0).collect();
        let (mut same, mut soft) = (data.clone(), data.clone());
        Sharpness::new(1.0).run(&mut same, Size::new(5, 5), 1);
        assert_eq!(same, data);
        Sharpness::new(0.0).run(&mut soft, Size::new(5, 5), 1);
        for i in 0..25 {
            let edge = i / 5 % 4 == 0 || i % 5 % 4 == 0;
            assert_eq!(soft[i] == data[i], edge, "{i}");
        }
        let mut black = vec![1.0_f32; 25];
        let blur = Sharpness::new(0.0).with_edge(SharpnessEdge::Black);
        blur.run(&mut black, Size::new(5, 5), 1);
        assert!((black[0] - 8.0 / 13.0).abs() < 1e-6 && (black[12] - 1.0).abs() < 1e-6);
        let mut small = vec![1_u8, 2];
        Sharpness::new(0.0).run(&mut small, Size::new(1, 2), 1);
        assert_eq!(small, [1, 2]);
    }
}
