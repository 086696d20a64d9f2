//! Binary cross-entropy for labels that don't exclude each other.

use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;
use serde::{Deserialize, Serialize};

use super::{Loss, Reduction, check_range, one_hot};
use crate::error::TrainerError;
use crate::source::Targets;

/// Cross-entropy of K independent labels,
/// `ℓₙ = −Σₖ [qₙₖ log σ(xₙₖ) + (1 − qₙₖ) log σ(−xₙₖ)]`, divided by K unless
/// [`sum_classes`](Self::sum_classes).
///
/// timm trains classifiers with it (Wightman et al. 2021): every class is a
/// question of its own.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_trainer::{BinaryCrossEntropy, Loss, Targets};
///
/// let device = Device::flex();
/// let logits = Tensor::<2>::from_data([[0.0f32, 0.0]], &device);
/// let labels = Targets::Values(Tensor::from_data([[1.0f32, 0.0]], &device));
/// let loss = BinaryCrossEntropy::timm().forward(logits, &labels, None);
/// assert!((loss.into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BinaryCrossEntropy {
    /// ε in [0, 1): `q = (1 − ε) y + ε c`.
    pub label_smoothing: f64,
    /// What `c` is.
    pub towards: SmoothTowards,
    /// Labels above this number become 1, the others 0, after smoothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Whether classes are summed instead of averaged.
    pub sum_classes: bool,
    /// How the losses of the samples become one.
    #[serde(skip_serializing_if = "Reduction::is_default")]
    pub reduction: Reduction,
}

/// Where label smoothing of independent labels leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmoothTowards {
    /// `1 / K`, as timm.
    #[default]
    Uniform,
    /// `1 / 2`, as Keras.
    Half,
}

impl Default for BinaryCrossEntropy {
    fn default() -> Self {
        Self::timm()
    }
}

impl BinaryCrossEntropy {
    /// Smoothing towards `1 / K`, mean over classes; none unless set.
    pub const fn timm() -> Self {
        Self {
            label_smoothing: 0.0,
            towards: SmoothTowards::Uniform,
            threshold: None,
            sum_classes: false,
            reduction: Reduction::Mean,
        }
    }

    /// `keras.losses.BinaryCrossentropy(from_logits=True)`.
    pub const fn keras() -> Self {
        Self {
            towards: SmoothTowards::Half,
            reduction: Reduction::MeanOverCount,
            ..Self::timm()
        }
    }
}

impl Loss for BinaryCrossEntropy {
    fn forward(
        &self,
        output: Tensor<2>,
        targets: &Targets,
        weights: Option<&Tensor<1>>,
    ) -> Tensor<1> {
        let [samples, classes] = output.dims();
        let centre = match self.towards {
            SmoothTowards::Uniform => 1.0 / classes as f64,
            SmoothTowards::Half => 0.5,
        };
        let smoothing = self.label_smoothing;
        let mut q = one_hot(targets, classes) * (1.0 - smoothing) + smoothing * centre;
        if let Some(threshold) = self.threshold {
            q = q.greater_elem(threshold).float();
        }
        let no = log_sigmoid(output.clone() * -1.0);
        let each = (q.clone() * log_sigmoid(output) + (q * -1.0 + 1.0) * no) * -1.0;
        let each = if self.sum_classes {
            each.sum_dim(1)
        } else {
            each.mean_dim(1)
        };
        self.reduction.apply(each.reshape([samples]), None, weights)
    }

    fn check(&self) -> Result<(), TrainerError> {
        let smoothing = self.label_smoothing;
        let good = (0.0..1.0).contains(&smoothing);
        check_range("label_smoothing", smoothing, good, "[0, 1)")
    }
}
