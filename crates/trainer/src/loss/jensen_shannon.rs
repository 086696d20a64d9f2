//! Jensen-Shannon consistency (Hendrycks et al. 2020, AugMix).

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Tensor, s};
use serde::{Deserialize, Serialize};

use super::{CrossEntropy, Loss, check_range};
use crate::error::TrainerError;
use crate::source::Targets;

/// Cross-entropy of the first of `splits` parts of a batch plus
/// `α · meanₖ KL(pₖ ‖ m)` between the parts and their mean `m`: the parts
/// are augmentations of the same samples. timm's `JsdCrossEntropy`.
///
/// Logits have `splits · N` rows, one part after another; targets are those of
/// the first part, or of all rows.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firecraft_trainer::{JensenShannon, Loss, Targets};
///
/// let device = Device::flex();
/// let same = Tensor::<2>::from_data([[1.0f32, 0.0], [1.0, 0.0], [1.0, 0.0]], &device);
/// let class = Targets::Classes(Tensor::<1, Int>::from_data([0], &device));
/// let loss = JensenShannon { label_smoothing: 0.0, ..JensenShannon::timm() };
/// // Equal parts: the plain cross-entropy ln(1 + 1/e).
/// let value = loss.forward(same, &class, None).into_scalar::<f32>();
/// assert!((value - 0.313_262).abs() < 1e-5);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JensenShannon {
    /// Number of parts, at least 2.
    pub splits: usize,
    /// α, at least 0.
    pub alpha: f64,
    /// Label smoothing of the cross-entropy, in [0, 1).
    pub label_smoothing: f64,
}

impl Default for JensenShannon {
    fn default() -> Self {
        Self::timm()
    }
}

impl JensenShannon {
    /// Three parts, α = 12, smoothing 0.1.
    pub const fn timm() -> Self {
        Self {
            splits: 3,
            alpha: 12.0,
            label_smoothing: 0.1,
        }
    }
}

impl Loss for JensenShannon {
    fn forward(
        &self,
        output: Tensor<2>,
        targets: &Targets,
        weights: Option<&Tensor<1>>,
    ) -> Tensor<1> {
        let rows = output.dims()[0];
        let samples = rows / self.splits;
        let first = match targets {
            Targets::Classes(t) => Targets::Classes(t.clone().slice(s![0..samples])),
            Targets::Probabilities(t) => Targets::Probabilities(t.clone().slice(s![0..samples])),
            Targets::Values(t) => Targets::Values(t.clone().slice(s![0..samples])),
        };
        let weights = weights.map(|w| w.clone().slice(s![0..samples]));
        let entropy = CrossEntropy::new()
            .with_label_smoothing(self.label_smoothing)
            .forward(
                output.clone().slice(s![0..samples]),
                &first,
                weights.as_ref(),
            );
        let parts: Vec<Tensor<2>> = (0..self.splits)
            .map(|k| output.clone().slice(s![k * samples..(k + 1) * samples]))
            .collect();
        let scale = 1.0 / self.splits as f64;
        let mean = parts
            .iter()
            .map(|part| softmax(part.clone(), 1))
            .reduce(|a, b| a + b);
        let Some(mean) = mean else {
            return entropy;
        };
        let log_mean = (mean * scale).clamp(1e-7, 1.0).log();
        let consistency = parts
            .into_iter()
            .map(|part| {
                let p = softmax(part.clone(), 1);
                (p * (log_softmax(part, 1) - log_mean.clone())).sum()
            })
            .reduce(|a, b| a + b);
        match consistency {
            Some(sum) => entropy + sum * (self.alpha * scale / samples as f64),
            None => entropy,
        }
    }

    fn evaluation(&self, output: Tensor<2>, targets: &Targets) -> Tensor<1> {
        CrossEntropy::new().forward(output, targets, None)
    }

    fn views(&self) -> usize {
        self.splits
    }

    fn check(&self) -> Result<(), TrainerError> {
        let (splits, alpha, smoothing) = (self.splits as f64, self.alpha, self.label_smoothing);
        check_range("splits", splits, self.splits >= 2, "at least 2")?;
        check_range("alpha", alpha, alpha >= 0.0 && alpha.is_finite(), "[0, ∞)")?;
        let good = (0.0..1.0).contains(&smoothing);
        check_range("label_smoothing", smoothing, good, "[0, 1)")
    }
}
