//! Asymmetric focusing (Ben-Baruch et al. 2021).

use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, sigmoid};
use serde::{Deserialize, Serialize};

use super::{Loss, Reduction, check_range, one_hot, smooth_labels};
use crate::error::TrainerError;
use crate::source::Targets;

/// Focuses on hard samples, by one exponent for positives and another one for
/// negatives.
///
/// With one class per sample (timm's `AsymmetricLossSingleLabel`) the terms
/// of the cross-entropy are multiplied by `(1 − p)^γ₊` for the right class and
/// `p^γ₋` for the others. With [`multi_label`](Self::multi_label)
/// (`AsymmetricLossMultiLabel`) it is binary cross-entropy with probabilities
/// of negatives shifted down by [`clip`](Self::clip), summed over classes and
/// samples.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firecraft_trainer::{Asymmetric, Loss, Targets};
///
/// let device = Device::flex();
/// let right = Tensor::<2>::from_data([[9.0f32, 0.0]], &device);
/// let classes = Targets::Classes(Tensor::<1, Int>::from_data([0], &device));
/// let loss = Asymmetric::single_label().forward(right, &classes, None);
/// assert!(loss.into_scalar::<f32>() < 0.46, "easy samples hardly count");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Asymmetric {
    /// γ₊, at least 0.
    pub gamma_positive: f64,
    /// γ₋, at least 0.
    pub gamma_negative: f64,
    /// Label smoothing with one class per sample, in [0, 1).
    pub label_smoothing: f64,
    /// What is taken off the probabilities of negatives with many labels, in
    /// [0, 1).
    pub clip: f64,
    /// Whether labels don't exclude each other.
    pub multi_label: bool,
}

impl Default for Asymmetric {
    fn default() -> Self {
        Self::single_label()
    }
}

impl Asymmetric {
    /// One class per sample: γ₊ 1, γ₋ 4, smoothing 0.1.
    pub const fn single_label() -> Self {
        Self {
            gamma_positive: 1.0,
            gamma_negative: 4.0,
            label_smoothing: 0.1,
            clip: 0.0,
            multi_label: false,
        }
    }

    /// Many labels: γ₊ 1, γ₋ 4, clip 0.05.
    pub const fn multi_label() -> Self {
        Self {
            label_smoothing: 0.0,
            clip: 0.05,
            multi_label: true,
            ..Self::single_label()
        }
    }

    fn single(&self, output: Tensor<2>, yes: Tensor<2>) -> Tensor<1> {
        let [samples, _] = output.dims();
        let no = yes.clone() * -1.0 + 1.0;
        let log_p = log_softmax(output, 1);
        let p = log_p.clone().exp();
        // 1 − p of the right class, p of the others.
        let hard = (p.clone() * -1.0 + 1.0) * yes.clone() + p * no.clone();
        let focus = power(hard.clone(), self.gamma_positive) * yes.clone()
            + power(hard, self.gamma_negative) * no;
        let q = smooth_labels(yes, self.label_smoothing);
        (q * log_p * focus).sum_dim(1).reshape([samples]) * -1.0
    }

    fn multi(&self, output: Tensor<2>, yes: Tensor<2>) -> Tensor<1> {
        let [samples, _] = output.dims();
        let no = yes.clone() * -1.0 + 1.0;
        let p = sigmoid(output);
        let q = (p.clone() * -1.0 + 1.0 + self.clip).clamp_max(1.0);
        let loss = yes.clone() * p.clone().clamp_min(1e-8).log()
            + no.clone() * q.clone().clamp_min(1e-8).log();
        let hard = (p * yes.clone() + q * no.clone()) * -1.0 + 1.0;
        let focus =
            power(hard.clone(), self.gamma_positive) * yes + power(hard, self.gamma_negative) * no;
        (loss * focus).sum_dim(1).reshape([samples]) * -1.0
    }
}

/// `x^γ` whose gradient is a number at 0 too.
fn power(x: Tensor<2>, gamma: f64) -> Tensor<2> {
    match gamma {
        0.0 => x * 0.0 + 1.0,
        1.0 => x,
        _ if gamma.fract() == 0.0 && gamma < 64.0 => x.powi_scalar(gamma as i32),
        _ => x.clamp_min(1e-12).powf_scalar(gamma),
    }
}

impl Loss for Asymmetric {
    fn forward(
        &self,
        output: Tensor<2>,
        targets: &Targets,
        weights: Option<&Tensor<1>>,
    ) -> Tensor<1> {
        let yes = one_hot(targets, output.dims()[1]);
        if self.multi_label {
            Reduction::Sum.apply(self.multi(output, yes), None, weights)
        } else {
            Reduction::Mean.apply(self.single(output, yes), None, weights)
        }
    }

    fn check(&self) -> Result<(), TrainerError> {
        for (field, value) in [
            ("gamma_positive", self.gamma_positive),
            ("gamma_negative", self.gamma_negative),
        ] {
            check_range(field, value, value >= 0.0 && value.is_finite(), "[0, ∞)")?;
        }
        for (field, value) in [
            ("label_smoothing", self.label_smoothing),
            ("clip", self.clip),
        ] {
            check_range(field, value, (0.0..1.0).contains(&value), "[0, 1)")?;
        }
        Ok(())
    }
}
