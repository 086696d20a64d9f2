//! Losses between numbers.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Answers, Loss, Reduction, check_range, one_hot};
use crate::error::TrainerError;
use crate::source::Targets;

/// Loss of a regression: the mean of a rule over the K numbers of a sample.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_trainer::{Loss, RegressionLoss, Targets};
///
/// let device = Device::flex();
/// let said = Tensor::<2>::from_data([[1.0f32], [4.0]], &device);
/// let true_values = Targets::Values(Tensor::from_data([[1.0f32], [2.0]], &device));
/// let loss = RegressionLoss::squared().forward(said, &true_values, None);
/// assert_eq!(loss.into_scalar::<f32>(), 2.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegressionLoss {
    /// Of the difference `d` of what is said and what is true.
    pub rule: RegressionRule,
    /// How the losses of the samples become one.
    #[serde(skip_serializing_if = "Reduction::is_default")]
    pub reduction: Reduction,
}

/// The loss of one number.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RegressionRule {
    /// `d²`.
    #[default]
    Squared,
    /// `|d|`.
    Absolute,
    /// `d² / 2` for `|d| ≤ δ`, else `δ (|d| − δ / 2)`.
    Huber {
        /// δ, above 0; 1 in Keras and torch.
        delta: f64,
    },
}

impl RegressionLoss {
    /// The mean squared error.
    pub const fn squared() -> Self {
        Self::of(RegressionRule::Squared)
    }

    /// The mean absolute error.
    pub const fn absolute() -> Self {
        Self::of(RegressionRule::Absolute)
    }

    /// The Huber loss.
    pub const fn huber(delta: f64) -> Self {
        Self::of(RegressionRule::Huber { delta })
    }

    /// Sets how the losses of the samples become one.
    #[must_use]
    pub const fn with_reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    const fn of(rule: RegressionRule) -> Self {
        Self {
            rule,
            reduction: Reduction::Mean,
        }
    }
}

impl Loss for RegressionLoss {
    fn forward(
        &self,
        output: Tensor<2>,
        targets: &Targets,
        weights: Option<&Tensor<1>>,
    ) -> Tensor<1> {
        let [samples, numbers] = output.dims();
        let difference = output - one_hot(targets, numbers);
        let each = match self.rule {
            RegressionRule::Squared => difference.powi_scalar(2),
            RegressionRule::Absolute => difference.abs(),
            RegressionRule::Huber { delta } => {
                let size = difference.abs();
                let near = size.clone().clamp_max(delta);
                let far = size - near.clone();
                near.powi_scalar(2) * 0.5 + far * delta
            }
        };
        let each = each.mean_dim(1).reshape([samples]);
        self.reduction.apply(each, None, weights)
    }

    fn evaluation(&self, output: Tensor<2>, targets: &Targets) -> Tensor<1> {
        Self::of(self.rule).forward(output, targets, None)
    }

    fn answers(&self) -> Answers {
        Answers::Numbers
    }

    fn check(&self) -> Result<(), TrainerError> {
        match self.rule {
            RegressionRule::Huber { delta } => {
                let good = delta > 0.0 && delta.is_finite();
                check_range("delta", delta, good, "(0, ∞)")
            }
            _ => Ok(()),
        }
    }
}
