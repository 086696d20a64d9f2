//! Softened at random: `random_gaussian_blur`.

use super::{check_border, check_probability, plain_layer, yes};
use crate::{
    AugmentError, Border, Factor, GaussianBlur, LayerTransform, Plan, SampleMeta, Transform,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// [`GaussianBlur`] with a random deviation: torchvision's `GaussianBlur`,
/// Keras' `RandomGaussianBlur`.
///
/// ```
/// use firecraft_augment::{RandomGaussianBlur, SampleMeta, Size, Step, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(8, 8), channels: 3 };
/// let plan = RandomGaussianBlur::new(5, (0.1, 2.0)).plan(&meta, Key::from_seed(1))?;
/// let [Step::GaussianBlur(step)] = &plan.steps[..] else { unreachable!() };
/// assert!((0.1..2.0).contains(&step.sigma.0) && step.sigma.0 == step.sigma.1);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomGaussianBlur {
    /// Width and height of the filter in pixels, odd.
    pub kernel_size: (usize, usize),
    /// Range of the deviation in pixels, inside `[1e-3, 1000]`.
    pub sigma: Factor,
    /// Whether x and y share one draw, as in torchvision; Keras draws two.
    #[serde(default = "yes")]
    pub shared: bool,
    /// Probability, in `0..=1`; 1 by default.
    #[serde(default = "always")]
    pub p: f64,
    /// What lies outside the image; mirrored without the edge by default,
    /// zeros in Keras.
    #[serde(default = "reflect")]
    pub border: Border,
}

const fn always() -> f64 {
    1.0
}

const fn reflect() -> Border {
    Border::Reflect
}

impl RandomGaussianBlur {
    /// A square filter with a deviation from that range.
    #[must_use]
    pub fn new(kernel_size: usize, sigma: impl Into<Factor>) -> Self {
        Self {
            kernel_size: (kernel_size, kernel_size),
            sigma: sigma.into(),
            shared: true,
            p: 1.0,
            border: Border::Reflect,
        }
    }

    /// Keras' defaults: the deviations of x and y are drawn apart, and black
    /// lies outside.
    #[must_use]
    pub fn keras(p: f64, kernel_size: usize, sigma: impl Into<Factor>) -> Self {
        Self {
            shared: false,
            p,
            border: super::no_fill(),
            ..Self::new(kernel_size, sigma)
        }
    }
}

impl Transform for RandomGaussianBlur {
    plain_layer!("random_gaussian_blur");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        check_probability(self.name(), self.p)?;
        let (w, h) = self.kernel_size;
        if w % 2 == 0 || h % 2 == 0 || w.max(h) > 4097 {
            let got = format!("({w}, {h})");
            let expected = "odd numbers up to 4097";
            return Err(AugmentError::parameter(
                self.name(),
                "kernel_size",
                got,
                expected,
            ));
        }
        let expected = "an ordered pair in [1e-3, 1000]";
        self.sigma.check(self.name(), "sigma", 1e-3..=1e3, expected)
    }

    fn plan(&self, _meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        if !rng.chance(self.p) {
            return Ok(Plan::identity());
        }
        let x = self.sigma.draw(&mut rng) as f32;
        let y = if self.shared {
            x
        } else {
            self.sigma.draw(&mut rng) as f32
        };
        Ok(GaussianBlur {
            kernel_size: self.kernel_size,
            sigma: (x, y),
            border: self.border.clone(),
        }
        .into())
    }
}

impl LayerTransform for RandomGaussianBlur {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::ops::testing::plan;

    #[test]
    fn keras_draws_two_deviations() {
        let steps = plan(&RandomGaussianBlur::keras(1.0, 3, (0.5, 1.0)), 3).steps;
        let [Step::GaussianBlur(blur)] = &steps[..] else {
            panic!("{steps:?}")
        };
        assert_ne!(blur.sigma.0, blur.sigma.1);
    }

    #[test]
    fn even_filters_and_empty_bells_are_refused() {
        assert!(RandomGaussianBlur::new(4, (0.1, 2.0)).validate().is_err());
        assert!(RandomGaussianBlur::new(3, (0.0, 2.0)).validate().is_err());
        assert!(
            RandomGaussianBlur::keras(2.0, 3, (0.1, 2.0))
                .validate()
                .is_err()
        );
    }
}
