//! Glorot, He, LeCun and their common form.

use crate::error::{non_negative, positive};
use crate::fill::Truncated;
use crate::initializer::same_length;
use crate::{Activation, FanMode, FanSource, Fans, InitError, Initializer, Target, fill};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Serialize};

/// The shape of a random distribution whose variance is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// `N(0, σ²)`.
    #[default]
    Normal,
    /// `N(0, (σ / 0.8796)²)` cut at two of *its* standard deviations, so that
    /// the values have variance `σ²`: what Keras, JAX and timm mean by `normal`.
    TruncatedNormal,
    /// `U(−√3 σ, √3 σ)`.
    Uniform,
}

/// Standard deviation of a standard normal cut at ±2.
pub(crate) const TWO_SIGMA_STD: f64 = 0.879_625_661_034_239_8;

/// Zero-mean values of variance `σ² = scale / fan`.
///
/// | constructor | `scale` | fan | source |
/// |---|---|---|---|
/// | [`glorot_normal`](Self::glorot_normal), [`glorot_uniform`](Self::glorot_uniform) | 1 | average | Glorot & Bengio 2010 |
/// | [`he_normal`](Self::he_normal), [`he_uniform`](Self::he_uniform) | 2 | in | He et al. 2015 |
/// | [`lecun_normal`](Self::lecun_normal), [`lecun_uniform`](Self::lecun_uniform) | 1 | in | LeCun et al. 1998 |
///
/// ```
/// use firecraft_init::{Initializer, Layout, Target, VarianceScaling};
/// let target = Target::new(&[300, 40], Layout::LINEAR);
/// let (mean, std) = VarianceScaling::he_normal().moments(&target).unwrap();
/// assert_eq!((mean, std), (0.0, (2.0 / 300_f64).sqrt()));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VarianceScaling {
    /// Numerator of the variance, the square of a gain; 1 by default.
    pub scale: f64,
    /// The fan in the denominator; `fan_in` by default.
    pub mode: FanMode,
    /// Shape of the distribution; normal by default.
    pub distribution: Distribution,
    /// How the fans are counted; semantic by default.
    pub fans: FanSource,
}

impl Default for VarianceScaling {
    fn default() -> Self {
        Self::new(1.0, FanMode::In, Distribution::Normal)
    }
}

impl VarianceScaling {
    /// Variance `scale / fan(mode)`.
    #[must_use]
    pub const fn new(scale: f64, mode: FanMode, distribution: Distribution) -> Self {
        Self {
            scale,
            mode,
            distribution,
            fans: FanSource::Semantic,
        }
    }

    /// `σ² = 2 / (fan_in + fan_out)`, normal: for tanh, sigmoid and softmax.
    #[must_use]
    pub const fn glorot_normal() -> Self {
        Self::new(1.0, FanMode::Avg, Distribution::Normal)
    }

    /// `σ² = 2 / (fan_in + fan_out)`, uniform.
    #[must_use]
    pub const fn glorot_uniform() -> Self {
        Self::new(1.0, FanMode::Avg, Distribution::Uniform)
    }

    /// `σ² = 2 / fan_in`, normal: for ReLU and its relatives.
    #[must_use]
    pub const fn he_normal() -> Self {
        Self::new(2.0, FanMode::In, Distribution::Normal)
    }

    /// `σ² = 2 / fan_in`, uniform.
    #[must_use]
    pub const fn he_uniform() -> Self {
        Self::new(2.0, FanMode::In, Distribution::Uniform)
    }

    /// `σ² = 1 / fan_in`, normal: for SELU and linear layers.
    #[must_use]
    pub const fn lecun_normal() -> Self {
        Self::new(1.0, FanMode::In, Distribution::Normal)
    }

    /// `σ² = 1 / fan_in`, uniform.
    #[must_use]
    pub const fn lecun_uniform() -> Self {
        Self::new(1.0, FanMode::In, Distribution::Uniform)
    }

    /// What suits the layers before `activation`.
    ///
    /// | activation | initialiser |
    /// |---|---|
    /// | ReLU, leaky ReLU, ELU, GELU, SiLU, Mish, … | He normal with the activation's exact [gain](Activation::gain) |
    /// | SELU | LeCun normal, as its fixed point requires |
    /// | linear, tanh, sigmoid, softsign, hard sigmoid | Glorot uniform |
    ///
    /// Saturating functions get gain 1 on purpose: the exact gain keeps their
    /// activations at unit variance but lets the gradients grow with depth.
    ///
    /// ```
    /// use firecraft_init::{Activation, FanMode, VarianceScaling};
    /// assert_eq!(VarianceScaling::for_activation(Activation::Tanh)?, VarianceScaling::glorot_uniform());
    /// let relu = VarianceScaling::for_activation(Activation::Relu)?;
    /// assert_eq!(relu.mode, FanMode::In);
    /// assert!((relu.scale - 2.0).abs() < 1e-15);
    /// # Ok::<(), firecraft_init::InitError>(())
    /// ```
    ///
    /// # Errors
    /// [`InitError::Setting`] if a slope or alpha is not finite.
    pub fn for_activation(activation: Activation) -> Result<Self, InitError> {
        use Activation as A;
        Ok(match activation {
            A::Linear | A::Tanh | A::Sigmoid | A::Softsign | A::HardSigmoid => {
                Self::glorot_uniform()
            }
            A::Selu => Self::lecun_normal(),
            activation => Self::he_normal().with_gain(activation.gain()?),
        })
    }

    /// Replaces `scale` by `gain²`.
    #[must_use]
    pub const fn with_gain(mut self, gain: f64) -> Self {
        self.scale = gain * gain;
        self
    }

    /// Replaces the fan in the denominator.
    #[must_use]
    pub const fn with_mode(mut self, mode: FanMode) -> Self {
        self.mode = mode;
        self
    }

    /// Replaces the shape of the distribution.
    #[must_use]
    pub const fn with_distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = distribution;
        self
    }

    /// Replaces the way in which fans are counted.
    #[must_use]
    pub fn with_fans(mut self, fans: FanSource) -> Self {
        self.fans = fans;
        self
    }

    /// Standard deviation of the values for this target, `√(scale / fan)`.
    ///
    /// # Errors
    /// A scale that is negative or not finite, a shape without fans, a zero fan.
    pub fn std(&self, target: &Target) -> Result<f64, InitError> {
        non_negative("variance_scaling", "scale", self.scale)?;
        let fans = Fans::from_source(&self.fans, &target.shape, target.layout)?;
        let fan = fans.get(self.mode);
        if fan == 0.0 {
            return Err(InitError::ZeroFan {
                mode: self.mode,
                shape: target.shape.clone(),
            });
        }
        Ok((self.scale / fan).sqrt())
    }

    fn truncated(std: f64) -> Result<Truncated, InitError> {
        let parent = positive("variance_scaling", "scale", std / TWO_SIGMA_STD)?;
        Truncated::new(0.0, parent, -2.0 * parent, 2.0 * parent)
    }
}

impl Initializer for VarianceScaling {
    fn name(&self) -> &str {
        let unit = self.scale == 1.0;
        let he = (self.scale - 2.0).abs() < 1e-12;
        match (self.distribution, self.mode) {
            (Distribution::Uniform, FanMode::Avg) if unit => "glorot_uniform",
            (Distribution::Normal, FanMode::Avg) if unit => "glorot_normal",
            (Distribution::Uniform, FanMode::In) if unit => "lecun_uniform",
            (Distribution::Normal, FanMode::In) if unit => "lecun_normal",
            (Distribution::Uniform, FanMode::In) if he => "he_uniform",
            (Distribution::Normal, FanMode::In) if he => "he_normal",
            _ => "variance_scaling",
        }
    }

    fn validate(&self) -> Result<(), InitError> {
        non_negative("variance_scaling", "scale", self.scale).map(drop)
    }

    fn check(&self, target: &Target) -> Result<(), InitError> {
        let std = self.std(target)?;
        if self.distribution == Distribution::TruncatedNormal {
            Self::truncated(std)?;
        }
        Ok(())
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config("variance_scaling", self)
    }

    fn fill(&self, target: &Target, out: &mut [f32], key: Key) -> Result<(), InitError> {
        let std = self.std(target)?;
        same_length(target, out)?;
        match self.distribution {
            Distribution::Normal => fill::normal(out, 0.0, std as f32, key),
            Distribution::TruncatedNormal => {
                fill::truncated_normal(out, &Self::truncated(std)?, key);
            }
            Distribution::Uniform => {
                let limit = (3_f64.sqrt() * std) as f32;
                fill::uniform(out, -limit, limit, key);
            }
        }
        Ok(())
    }

    fn moments(&self, target: &Target) -> Option<(f64, f64)> {
        self.std(target).ok().map(|std| (0.0, std))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;
    use crate::initializers::testing::drawn;
    use proptest::prelude::*;

    #[test]
    fn every_distribution_has_the_variance_asked_for() {
        let target = Target::new(&[300, 40, 3], Layout::CONV);
        for distribution in [
            Distribution::Normal,
            Distribution::TruncatedNormal,
            Distribution::Uniform,
        ] {
            let init = VarianceScaling::he_normal().with_distribution(distribution);
            let expected = (2.0_f64 / 120.0).sqrt();
            let (mean, std) = drawn(&init, &target);
            assert!(mean.abs() < 0.002, "{distribution:?} {mean}");
            assert!(
                (std / expected - 1.0).abs() < 0.01,
                "{distribution:?} {std}"
            );
        }
    }

    #[test]
    fn a_zero_fan_names_the_fan_and_the_shape() {
        let target = Target::new(&[0, 4], Layout::LINEAR);
        let error = VarianceScaling::he_normal().check(&target).unwrap_err();
        assert!(
            error.to_string().starts_with("fan_in of shape [0, 4] is 0"),
            "{error}"
        );
    }

    #[test]
    fn bad_scales_are_errors() {
        let target = Target::new(&[4, 4], Layout::LINEAR);
        for scale in [-1.0, f64::NAN, f64::INFINITY] {
            let init = VarianceScaling {
                scale,
                ..VarianceScaling::default()
            };
            assert!(init.check(&target).is_err(), "{scale}");
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        let parse = serde_json::from_str::<VarianceScaling>;
        assert_eq!(
            parse(r#"{"scale":2.0,"mode":"fan_out","distribution":"uniform"}"#).unwrap(),
            VarianceScaling::he_uniform().with_mode(FanMode::Out)
        );
        assert!(parse(r#"{"gain":2.0}"#).is_err());
    }

    proptest! {
        #[test]
        fn uniform_values_stay_inside_the_limit(input in 1..40_usize, out in 1..40_usize, seed: u64) {
            let target = Target::new(&[input, out], Layout::LINEAR);
            let values = VarianceScaling::glorot_uniform().values(&target, Key::from_seed(seed)).unwrap();
            let limit = (6.0 / (input + out) as f64).sqrt() as f32;
            prop_assert!(values.iter().all(|x| x.abs() <= limit));
        }
    }
}
