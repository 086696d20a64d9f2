//! Channels in another order: `permute_channels`.

use super::fixed_step;
use crate::change::{Change, LinearChange};
use crate::kernel::Element;
use crate::sample::each_type;
use crate::{Apply, AugmentError, ColorMatrix, Sample};
use serde::{Deserialize, Serialize};

/// Channel `i` of the result is channel `order[i]` of the input:
/// torchvision's `permute_channels`. `[2, 1, 0]` turns RGB to BGR.
///
/// ```
/// use firecraft_augment::{Image, PermuteChannels, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![1, 2, 3], Size::new(1, 1), 3)?);
/// Plan::from(PermuteChannels::new([2, 0, 1])).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[3, 1, 2][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermuteChannels {
    /// Every channel once.
    pub order: Vec<usize>,
}

impl PermuteChannels {
    /// Takes the channels in that order.
    #[must_use]
    pub fn new(order: impl Into<Vec<usize>>) -> Self {
        Self {
            order: order.into(),
        }
    }

    fn check(&self) -> Result<(), AugmentError> {
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        if !sorted.is_empty() && sorted.into_iter().eq(0..self.order.len()) {
            Ok(())
        } else {
            let got = format!("{:?}", self.order);
            let expected = "every channel once, from 0 on";
            Err(AugmentError::parameter(
                "permute_channels",
                "order",
                got,
                expected,
            ))
        }
    }
}

impl Apply for PermuteChannels {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        fn run<T: Element>(data: &mut [T], order: &[usize]) {
            if let [a, b, c] = *order {
                T::permute(data.as_chunks_mut().0, [a, b, c]);
                return;
            }
            let mut pixel = Vec::with_capacity(order.len());
            for chunk in data.chunks_exact_mut(order.len()) {
                pixel.clear();
                pixel.extend(order.iter().map(|&c| chunk[c]));
                chunk.copy_from_slice(&pixel);
            }
        }
        self.check()?;
        let channels = sample.image.channels();
        if channels != self.order.len() {
            return Err(AugmentError::Image {
                operation: "permute_channels",
                got: format!("{channels} channels"),
                expected: format!("{}", self.order.len()),
            });
        }
        each_type!(sample.image.values_mut(), data => run(data, &self.order));
        Ok(())
    }

    fn color_matrix(&self, channels: usize) -> Option<ColorMatrix> {
        let row = |i: usize| std::array::from_fn(|j| f32::from(self.order[i] == j));
        (channels == 3 && self.order.len() == 3).then(|| ColorMatrix::new([row(0), row(1), row(2)]))
    }

    fn on_numbers(&self, channels: usize) -> Option<Change> {
        if self.check().is_err() || self.order.len() != channels {
            return None;
        }
        let mut change = LinearChange::line(channels, |_| 0.0, |_| 0.0);
        for (row, &column) in self.order.iter().enumerate() {
            change.weights[row * channels + column] = 1.0;
        }
        Some(Change::Linear(change))
    }
}

fixed_step!(PermuteChannels, "permute_channels");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Plan, Size};

    #[test]
    fn what_is_no_order_or_does_not_fit_is_refused() {
        assert!(PermuteChannels::new([0, 2]).check().is_err());
        assert!(PermuteChannels::new([0, 0]).check().is_err());
        let mut sample = Sample::new(Image::from_u8(vec![1, 2], Size::new(1, 1), 2).unwrap());
        let plan = Plan::from(PermuteChannels::new([2, 0, 1]));
        assert!(plan.apply(&mut sample).is_err());
    }
}
