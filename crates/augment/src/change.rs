//! What steps do to images of numbers, in a form that every device can do.

use crate::color::LUMA;
use crate::{ColorMatrix, Region};

/// A change of the values of an image of numbers, for executors that have no
/// kernel of ours.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// Nothing.
    Nothing,
    /// One matrix on the channels of every pixel.
    Linear(LinearChange),
    /// Turn the hue by so many sixths of a turn.
    Hue {
        /// From 0 to 6.
        sixths: f32,
    },
    /// `gain x^gamma`, clipped.
    Gamma {
        /// The exponent.
        gamma: f32,
        /// The factor.
        gain: f32,
    },
    /// `1 - x` from a threshold on, after adding and clipping, if there is
    /// something to add.
    Solarize {
        /// The lowest value that is inverted.
        threshold: f32,
        /// What is added before; 0 doesn't even clip.
        addition: f32,
    },
    /// One colour in a rectangle.
    Fill {
        /// The rectangle.
        region: Region,
        /// One value, or one per channel.
        value: Vec<f32>,
    },
}

/// `weights · x + mean · m + offset`, where `x` are the channels of a pixel and
/// `m` their means over the image; clipped to `0..=1` where `clip` says so.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq)]
pub struct LinearChange {
    /// `channels * channels` numbers, row by row.
    pub weights: Vec<f32>,
    /// `channels * channels` numbers, row by row.
    pub mean: Vec<f32>,
    /// One number per channel.
    pub offset: Vec<f32>,
    /// Whether a channel is clipped.
    pub clip: Vec<bool>,
}

impl LinearChange {
    /// `scale(c) * x + offset(c)` for channel `c`, not clipped.
    pub(crate) fn line(
        channels: usize,
        scale: impl Fn(usize) -> f32,
        offset: impl Fn(usize) -> f32,
    ) -> Self {
        let mut weights = vec![0.0; channels * channels];
        for c in 0..channels {
            weights[c * channels + c] = scale(c);
        }
        Self {
            weights,
            mean: vec![0.0; channels * channels],
            offset: (0..channels).map(offset).collect(),
            clip: vec![false; channels],
        }
    }

    /// No change.
    pub(crate) fn identity(channels: usize) -> Self {
        Self::line(channels, |_| 1.0, |_| 0.0)
    }

    /// Clips every channel.
    pub(crate) fn clipped(mut self) -> Self {
        self.clip.fill(true);
        self
    }

    /// Sets the weights of the means: `weight(row, column)`.
    pub(crate) fn with_mean(mut self, weight: impl Fn(usize, usize) -> f32) -> Self {
        let channels = self.channels();
        for (i, entry) in self.mean.iter_mut().enumerate() {
            *entry = weight(i / channels, i % channels);
        }
        self
    }

    /// A change of the first three of three or four channels, clipped or not;
    /// nothing on one channel, and `None` for what has no colours.
    pub(crate) fn of_colours(matrix: &ColorMatrix, channels: usize, clip: bool) -> Option<Change> {
        match channels {
            0 | 1 => return Some(Change::Nothing),
            3 | 4 => {}
            _ => return None,
        }
        let mut change = Self::identity(channels);
        let (weights, offset) = matrix.parts();
        for (i, (weights, mean)) in weights.iter().zip(&matrix.mean).enumerate() {
            let at = i * channels;
            change.weights[at..at + 3].copy_from_slice(weights);
            change.mean[at..at + 3].copy_from_slice(mean);
            change.offset[i] = offset[i];
            change.clip[i] = clip;
        }
        Some(Change::Linear(change))
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.offset.len()
    }

    /// Whether every channel goes its own way.
    #[must_use]
    pub fn is_diagonal(&self) -> bool {
        let n = self.channels();
        let outside = |(i, &weight): (usize, &f32)| i / n == i % n || weight == 0.0;
        self.weights.iter().enumerate().all(outside)
    }

    /// Whether the means play a part.
    #[must_use]
    pub fn uses_mean(&self) -> bool {
        self.mean.iter().any(|&weight| weight != 0.0)
    }
}

/// The weights with which `channels` make one grey: the luma of the first three,
/// or all alike.
pub(crate) fn grey_weight(channels: usize, channel: usize) -> f32 {
    if channels < 3 {
        1.0 / channels as f32
    } else {
        LUMA.get(channel).copied().unwrap_or(0.0)
    }
}

/// The one value, or that of the channel.
pub(crate) fn of_channel(values: &[f32], channel: usize) -> f32 {
    values[if values.len() == 1 { 0 } else { channel }]
}

/// Whether there is one value, or one per channel.
pub(crate) fn fits(values: &[f32], channels: usize) -> bool {
    values.len() == 1 || values.len() == channels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_leave_opacity_and_grey_images_alone() {
        let negative = ColorMatrix::line([-1.0; 3], [1.0; 3]);
        let of = |channels| LinearChange::of_colours(&negative, channels, true);
        assert_eq!(of(1), Some(Change::Nothing));
        assert_eq!(of(2), None);
        let Some(Change::Linear(four)) = of(4) else {
            panic!("a matrix")
        };
        assert_eq!(four.offset, [1.0, 1.0, 1.0, 0.0]);
        assert_eq!(four.clip, [true, true, true, false]);
        assert!(four.is_diagonal() && !four.uses_mean());
    }
}
