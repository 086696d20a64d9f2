//! How pixels between and outside the grid get their value.

use serde::{Deserialize, Serialize};

/// How a value between pixel centres is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The nearest pixel; ties go to the even one. For masks and labels.
    Nearest,
    /// Between the four neighbours, linearly in each direction.
    #[default]
    Bilinear,
    /// Between sixteen neighbours, by cubic convolution (Keys, 1981) with
    /// `a = -3/4`: OpenCV, torch.
    Bicubic,
    /// The same with `a = -1/2`, which overshoots less: Pillow.
    CatmullRom,
}

impl Interpolation {
    /// The parameter of cubic convolution, if that is what it is.
    pub(crate) const fn cubic(self) -> Option<f32> {
        match self {
            Self::Nearest | Self::Bilinear => None,
            Self::Bicubic => Some(-0.75),
            Self::CatmullRom => Some(-0.5),
        }
    }
}

/// The weights of the pixels at -1, 0, 1 and 2 for a point at `t` in `[0, 1)`.
#[inline]
pub(crate) fn cubic_weights(t: f32, a: f32) -> [f32; 4] {
    let near = |x: f32| ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

/// What lies outside the image.
///
/// The peers use the same words for different things; each variant says what
/// they call it. `abcd` is a row of the image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Border {
    /// `kkkk|abcd|kkkk`: one value per channel, or one for all. Interpolation
    /// blends towards it over one pixel. Keras, torchvision and OpenCV:
    /// constant.
    Constant(Vec<f32>),
    /// As [`Border::Constant`], blended as torchvision's `affine`, `rotate`
    /// and `perspective` do when a fill is given: with `m` the weight that
    /// falls inside and `s` the sum there, `s m + (1 - m) k`.
    ConstantTwice(Vec<f32>),
    /// As [`Border::Constant`], without blending: a point more than half a
    /// pixel outside shows the constant, any other the image with its edge
    /// repeated. Pillow's `transform` and `rotate`, and with them timm.
    ConstantHard(Vec<f32>),
    /// `aaaa|abcd|dddd`. Keras: nearest; torchvision: edge; OpenCV: replicate.
    Replicate,
    /// `dcba|abcd|dcba`. Keras: reflect; torchvision: symmetric; OpenCV:
    /// reflect.
    #[default]
    Symmetric,
    /// `dcb|abcd|cba`. Keras: mirror; torchvision: reflect; OpenCV: reflect
    /// 101.
    Reflect,
    /// `abcd|abcd|abcd`.
    Wrap,
}

impl Border {
    /// The index in `0..length` that stands for `index`, or `None` where the
    /// constant does.
    ///
    /// ```
    /// use firecraft_augment::Border;
    /// let at = |border: Border| (-5..7).map(|i| border.resolve(i, 3)).collect::<Option<Vec<_>>>();
    /// assert_eq!(at(Border::Replicate).unwrap(), [0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2]);
    /// assert_eq!(at(Border::Symmetric).unwrap(), [1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]);
    /// assert_eq!(at(Border::Reflect).unwrap(), [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
    /// assert_eq!(at(Border::Wrap).unwrap(), [1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
    /// assert_eq!(at(Border::Constant(vec![])), None);
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn resolve(&self, index: i64, length: usize) -> Option<usize> {
        let n = length as i64;
        if (0..n).contains(&index) {
            return Some(index as usize);
        }
        if n == 0 {
            return None;
        }
        // Up to an image away no division is needed.
        let near = -n < index && index < 2 * n - 1;
        let inside = match self {
            Self::Constant(_) | Self::ConstantTwice(_) => return None,
            // Whether the point counts as outside is for the sampler to see.
            Self::Replicate | Self::ConstantHard(_) => index.clamp(0, n - 1),
            Self::Wrap if near => index + if index < 0 { n } else { -n },
            Self::Wrap => remainder(index, n),
            Self::Symmetric if near && index < 0 => -1 - index,
            Self::Symmetric if near => 2 * n - 1 - index,
            Self::Symmetric => {
                let folded = remainder(index, 2 * n);
                folded.min(2 * n - 1 - folded)
            }
            Self::Reflect if near && index < 0 => -index,
            Self::Reflect if near => 2 * n - 2 - index,
            Self::Reflect if n == 1 => 0,
            Self::Reflect => {
                let folded = remainder(index, 2 * n - 2);
                folded.min(2 * n - 2 - folded)
            }
        };
        Some(inside as usize)
    }

    /// Whether a constant lies outside.
    #[must_use]
    pub const fn is_constant(&self) -> bool {
        matches!(
            self,
            Self::Constant(_) | Self::ConstantTwice(_) | Self::ConstantHard(_)
        )
    }

    /// The constant of a channel; 0 where none is given.
    #[inline]
    #[must_use]
    pub fn fill(&self, channel: usize) -> f32 {
        match self {
            Self::Constant(values) | Self::ConstantTwice(values) | Self::ConstantHard(values) => {
                values
                    .get(channel)
                    .or_else(|| values.first())
                    .copied()
                    .unwrap_or(0.0)
            }
            _ => 0.0,
        }
    }
}

/// `index` modulo `period`, for most without a division.
#[inline]
const fn remainder(index: i64, period: i64) -> i64 {
    if index >= 0 && index < period {
        index
    } else if index < 0 && index + period >= 0 {
        index + period
    } else {
        index.rem_euclid(period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn borders_stay_inside(index in -1_000_000_i64..1_000_000, length in 1_usize..50) {
            for border in [Border::Replicate, Border::Symmetric, Border::Reflect, Border::Wrap] {
                prop_assert!(border.resolve(index, length).unwrap() < length);
            }
        }
    }

    #[test]
    fn cubic_weights_sum_to_one_and_pass_through_the_pixels() {
        for a in [-0.5, -0.75] {
            assert_eq!(cubic_weights(0.0, a), [0.0, 1.0, 0.0, 0.0]);
            for i in 0..16 {
                let sum: f32 = cubic_weights(i as f32 / 16.0, a).iter().sum();
                assert!((sum - 1.0).abs() < 1e-6, "{sum}");
            }
        }
    }

    #[test]
    fn one_fill_serves_all_channels_and_none_is_zero() {
        assert_eq!(Border::Constant(vec![7.0]).fill(2), 7.0);
        assert_eq!(Border::Constant(vec![1.0, 2.0]).fill(1), 2.0);
        assert_eq!(Border::Constant(vec![]).fill(1), 0.0);
    }
}
