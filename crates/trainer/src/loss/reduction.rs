//! From the losses of the samples to the loss of the batch.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// How the losses `ℓₙ` of the samples become one, with weights `wₙ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reduction {
    /// `Σ wₙ ℓₙ / Σ wₙ`: torch's `mean`, Keras' `mean_with_sample_weight`.
    #[default]
    Mean,
    /// `Σ wₙ ℓₙ / N`: Keras' `sum_over_batch_size`. The step shrinks with the
    /// weights.
    MeanOverCount,
    /// `Σ wₙ ℓₙ`.
    Sum,
}

impl Reduction {
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde wants a reference here"
    )]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Reduces losses `[N]`; `class` are weights that are in them already.
    pub(super) fn apply(
        self,
        loss: Tensor<1>,
        class: Option<Tensor<1>>,
        sample: Option<&Tensor<1>>,
    ) -> Tensor<1> {
        let loss = match sample {
            Some(weights) => loss * weights.clone(),
            None => loss,
        };
        match self {
            Self::Sum => loss.sum(),
            Self::MeanOverCount => loss.mean(),
            Self::Mean => match (class, sample) {
                (None, None) => loss.mean(),
                (Some(class), None) => loss.sum() / class.sum(),
                (None, Some(sample)) => loss.sum() / sample.clone().sum(),
                (Some(class), Some(sample)) => loss.sum() / (class * sample.clone()).sum(),
            },
        }
    }
}
