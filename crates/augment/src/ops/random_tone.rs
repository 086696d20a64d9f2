//! Transforms with one random number: brightness, contrast, saturation,
//! sharpness, posterisation and gamma.

use super::random_factor::random_factor;
use crate::{
    Contrast, Gamma, GreyMean, Linear, Posterize, PosterizeNumbers, Saturation, SaturationOf,
    Sharpness, SharpnessEdge,
};

random_factor!(
    /// Adds a random part of white: Keras' `RandomBrightness`. A number `f`
    /// draws from `[-f, f]`, inside `[-1, 1]`.
    ///
    /// torchvision multiplies instead: see [`ColorJitter`](crate::ColorJitter).
    ///
    /// ```
    /// use firecraft_augment::{RandomBrightness, Transform};
    /// assert!(RandomBrightness::new(0.2).validate().is_ok());
    /// assert_eq!(
    ///     RandomBrightness::new((0.5, 2.0)).validate().unwrap_err().to_string(),
    ///     "random_brightness: factor = (0.5, 2) is not allowed; use an ordered pair in [-1, 1]",
    /// );
    /// ```
    RandomBrightness, "random_brightness", -1.0..=1.0, "an ordered pair in [-1, 1]",
    |factor| Linear::new([1.0], [factor as f32]).into()
);

random_factor!(
    /// Scales the distance of each channel to its mean by `1 + f`: Keras'
    /// `RandomContrast`, where a pair `(lower, upper)` is written `(-lower,
    /// upper)` here. Inside `[-1, 100]`.
    ///
    /// ```
    /// use firecraft_augment::{Factor, RandomContrast};
    /// assert_eq!(RandomContrast::new(0.2).factor, Factor::from((-0.2, 0.2)));
    /// ```
    RandomContrast, "random_contrast", -1.0..=100.0, "an ordered pair in [-1, 100]",
    |factor| Contrast::new((1.0 + factor) as f32).with_mean(GreyMean::PerChannel).into()
);

random_factor!(
    /// Scales the S of HSV by `f / (1 - f)`: Keras' `RandomSaturation`. 0 is
    /// grey, 1/2 changes nothing, 1 is as colourful as can be; a number draws
    /// from `[0, f]`.
    ///
    /// ```
    /// use firecraft_augment::{RandomSaturation, Transform};
    /// assert!(RandomSaturation::new((0.4, 0.6)).validate().is_ok());
    /// assert!(RandomSaturation::new(1.1).validate().is_err());
    /// ```
    RandomSaturation, "random_saturation", 0.0..=1.0, "an ordered pair in [0, 1]",
    |factor| {
        let scale = (factor / (1.0 - factor)).min(1e6) as f32;
        Saturation::new(scale).with_of(SaturationOf::Hsv).into()
    }
);

random_factor!(
    /// Blends with a softened image: Keras' `RandomSharpness`. 0 is soft, 1/2
    /// changes nothing, 1 sharpens; a number draws from `[0, f]`.
    ///
    /// ```
    /// use firecraft_augment::{RandomSharpness, Transform};
    /// assert!(RandomSharpness::new(0.7).validate().is_ok());
    /// ```
    RandomSharpness, "random_sharpness", 0.0..=1.0, "an ordered pair in [0, 1]",
    |factor| {
        let sharpness = Sharpness::new((2.0 * factor) as f32);
        sharpness.with_edge(SharpnessEdge::Black).into()
    }
);

random_factor!(
    /// Blends with the luma: Keras' `RandomColorDegeneration`. 0 changes
    /// nothing, 1 is grey; a number draws from `[0, f]`.
    ///
    /// ```
    /// use firecraft_augment::{RandomColorDegeneration, Transform};
    /// assert!(RandomColorDegeneration::new(0.5).validate().is_ok());
    /// ```
    RandomColorDegeneration, "random_color_degeneration", 0.0..=1.0,
    "an ordered pair in [0, 1]",
    |factor| Saturation::new((1.0 - factor) as f32).into()
);

random_factor!(
    /// Keeps a random number of bits, drawn from the range and rounded: Keras'
    /// `RandomPosterization`, inside `[1, 8]`.
    ///
    /// ```
    /// use firecraft_augment::{RandomPosterization, Transform};
    /// assert!(RandomPosterization::new((4.0, 8.0)).validate().is_ok());
    /// ```
    RandomPosterization, "random_posterization", 1.0..=8.0, "an ordered pair in [1, 8]",
    |factor| {
        let bits = factor.round_ties_even() as u8;
        Posterize::new(bits).with_numbers(PosterizeNumbers::ViaBytes).into()
    }
);

random_factor!(
    /// A power law with a random exponent, inside `[1e-3, 1000]`:
    /// albumentations' `RandomGamma`, whose limits are per cent.
    ///
    /// ```
    /// use firecraft_augment::{RandomGamma, Transform};
    /// assert!(RandomGamma::new((0.8, 1.2)).validate().is_ok());
    /// ```
    RandomGamma, "random_gamma", 1e-3..=1e3, "an ordered pair in [1e-3, 1000]",
    |factor| Gamma::new(factor as f32).into()
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::plan;
    use crate::{Step, Transform};

    #[test]
    fn a_single_number_is_the_range_up_to_it() {
        for seed in 0..50 {
            let steps = plan(&RandomSaturation::new(0.5), seed).steps;
            let [Step::Saturation(step)] = &steps[..] else {
                panic!("{steps:?}")
            };
            assert!((0.0..1.0).contains(&step.factor));
        }
        assert!(RandomSaturation::new((-0.1, 0.5)).validate().is_err());
    }

    #[test]
    fn bits_are_whole_and_inside() {
        for seed in 0..50 {
            let steps = plan(&RandomPosterization::new((2.0, 4.0)), seed).steps;
            let [Step::Posterize(step)] = &steps[..] else {
                panic!("{steps:?}")
            };
            assert!((2..=4).contains(&step.bits));
        }
    }
}
