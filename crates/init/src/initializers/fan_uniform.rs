//! Uniform values bounded by a fan of the layer's weight.

use crate::error::positive;
use crate::initializer::same_length;
use crate::{FanMode, Fans, InitError, Initializer, Target, fill};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Serialize};

/// `U(−scale/√fan, scale/√fan)`, for weights and, unlike
/// [`VarianceScaling`](crate::VarianceScaling), for biases too, which take the
/// fan of the weight beside them: torch's default for its layers.
///
/// ```
/// use firecraft_init::{FanUniform, Fans, Initializer, Target};
/// let bias = Target::bias(5, Fans { fan_in: 16.0, fan_out: 5.0 });
/// let (mean, std) = FanUniform::default().moments(&bias).unwrap();
/// assert_eq!((mean, std), (0.0, 0.25 / 3_f64.sqrt()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FanUniform {
    /// Numerator of the bound; 1 by default.
    pub scale: f64,
    /// The fan under the root; `fan_in` by default.
    pub mode: FanMode,
}

impl Default for FanUniform {
    fn default() -> Self {
        Self::new(FanMode::In)
    }
}

impl FanUniform {
    /// Bound `1/√fan`.
    #[must_use]
    pub const fn new(mode: FanMode) -> Self {
        Self { scale: 1.0, mode }
    }

    fn bound(&self, target: &Target) -> Result<f64, InitError> {
        positive("fan_uniform", "scale", self.scale)?;
        let fans = match target.weight_fans {
            Some(fans) => fans,
            None if target.shape.len() < 2 => {
                let expected = "a weight, or a bias beside one";
                return Err(InitError::shape("fan_uniform", expected, &target.shape));
            }
            None => Fans::semantic(&target.shape, target.layout)?,
        };
        let fan = fans.get(self.mode);
        if fan == 0.0 {
            return Err(InitError::ZeroFan {
                mode: self.mode,
                shape: target.shape.clone(),
            });
        }
        Ok(self.scale / fan.sqrt())
    }
}

impl Initializer for FanUniform {
    fn name(&self) -> &str {
        "fan_uniform"
    }

    fn validate(&self) -> Result<(), InitError> {
        positive("fan_uniform", "scale", self.scale).map(drop)
    }

    fn check(&self, target: &Target) -> Result<(), InitError> {
        self.bound(target).map(drop)
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config("fan_uniform", self)
    }

    fn fill(&self, target: &Target, out: &mut [f32], key: Key) -> Result<(), InitError> {
        let bound = self.bound(target)? as f32;
        same_length(target, out)?;
        fill::uniform(out, -bound, bound, key);
        Ok(())
    }

    fn moments(&self, target: &Target) -> Option<(f64, f64)> {
        let bound = self.bound(target).ok()?;
        Some((0.0, bound / 3_f64.sqrt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    #[test]
    fn a_bias_alone_has_no_fan() {
        let error = FanUniform::default().check(&Target::new(&[5], Layout::Elementwise));
        assert!(error.unwrap_err().to_string().contains("a bias beside one"));
    }

    #[test]
    fn values_reach_up_to_the_bound_and_not_further() {
        let fans = Fans {
            fan_in: 4.0,
            fan_out: 9.0,
        };
        let values = FanUniform::new(FanMode::Out)
            .values(&Target::bias(10_000, fans), Key::from_seed(1))
            .unwrap();
        let most = values.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(most <= 1.0 / 3.0 && most > 0.333, "{most}");
    }
}
