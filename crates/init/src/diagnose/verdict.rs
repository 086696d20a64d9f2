//! What the numbers of a layer mean.

use super::report::{LayerSignal, Moments};
use crate::InitError;
use crate::error::positive;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is wrong with the signal at a layer, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Activations and gradients have a size that training can use.
    Healthy,
    /// The activations carry almost nothing.
    Vanishing,
    /// The activations are huge or not finite.
    Exploding,
    /// Most units are 0 for every sample.
    Dead,
    /// Most values are at the ends of a bounded activation.
    Saturated,
    /// The gradients have almost died away on their way back to here.
    VanishingGradient,
    /// The gradients have grown on their way back to here.
    ExplodingGradient,
}

impl Verdict {
    /// What usually helps.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Healthy => "nothing to do",
            Self::Vanishing => {
                "raise the gain: InitPlan::for_activation, Lsuv, or a normalisation layer"
            }
            Self::Exploding => {
                "lower the gain: InitPlan::for_activation, Lsuv, a zero-initialised residual \
                 branch, or a normalisation layer"
            }
            Self::Dead => {
                "centre the input, start biases at 0, lower the gain, or use a leaky activation"
            }
            Self::Saturated => "lower the gain: Glorot for tanh and sigmoid, or normalise before",
            Self::VanishingGradient => {
                "match gain and activation (InitPlan::for_activation), orthogonal weights, \
                 residual connections, or a normalisation layer"
            }
            Self::ExplodingGradient => {
                "lower the gain (for tanh 1, not 5/3), scale residual branches, or clip gradients"
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Vanishing => "vanishing",
            Self::Exploding => "exploding",
            Self::Dead => "dead",
            Self::Saturated => "saturated",
            Self::VanishingGradient => "vanishing gradient",
            Self::ExplodingGradient => "exploding gradient",
        })
    }
}

/// Where healthy ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Root mean square of the activations below which they vanish.
    pub vanishing: f64,
    /// Root mean square of the activations above which they explode.
    pub exploding: f64,
    /// Fraction of dead units above which a layer is dead.
    pub dead: f64,
    /// Fraction of values at the ends above which a layer is saturated.
    pub saturated: f64,
    /// Root mean square of the gradients, relative to the last layer's, below
    /// which they vanish; above its inverse they explode.
    pub gradient: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            vanishing: 1e-3,
            exploding: 1e3,
            dead: 0.5,
            saturated: 0.5,
            gradient: 1e-3,
        }
    }
}

impl Thresholds {
    pub(super) fn validate(&self) -> Result<(), InitError> {
        for (field, value) in [
            ("vanishing", self.vanishing),
            ("exploding", self.exploding),
            ("dead", self.dead),
            ("saturated", self.saturated),
            ("gradient", self.gradient),
        ] {
            positive("thresholds", field, value)?;
        }
        Ok(())
    }

    /// The verdict on one layer; `gradient` is relative to the last layer's.
    pub(super) fn judge(&self, layer: &LayerSignal, gradient: Option<f64>) -> Verdict {
        let size = layer.activation.root_mean_square();
        if size.is_nan() || size > self.exploding {
            Verdict::Exploding
        } else if layer.dead > self.dead {
            Verdict::Dead
        } else if size < self.vanishing {
            Verdict::Vanishing
        } else if layer.saturated > self.saturated {
            Verdict::Saturated
        } else {
            match gradient {
                Some(gradient) if gradient < self.gradient => Verdict::VanishingGradient,
                Some(gradient) if gradient.is_nan() || gradient > 1.0 / self.gradient => {
                    Verdict::ExplodingGradient
                }
                _ => Verdict::Healthy,
            }
        }
    }
}

impl Moments {
    pub(super) fn root_mean_square(&self) -> f64 {
        (self.mean * self.mean + self.std * self.std).sqrt()
    }
}
