//! Cross-entropy with label smoothing, class weights and sample weights.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{Loss, Reduction, one_hot};
use crate::error::TrainerError;
use crate::source::Targets;

/// Cross-entropy between logits and targets,
/// `ℓₙ = −Σₖ qₙₖ log softmax(xₙ)ₖ`, averaged over the batch.
///
/// For a class index `y`, `q = (1 − ε) onehot(y) + ε / K` with the label
/// smoothing ε (Szegedy et al. 2016). Class weights multiply the terms of the
/// sum and the mean is divided by the weights of the true classes, as in
/// `torch.nn.CrossEntropyLoss`. Sample weights multiply `ℓₙ` and the mean is
/// divided by their sum.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firecraft_trainer::{CrossEntropy, Targets};
///
/// let device = Device::flex();
/// let logits = Tensor::<2>::from_data([[2.0f32, 0.0], [0.0, 0.0]], &device);
/// let classes = Tensor::<1, Int>::from_data([0, 1], &device);
/// let loss = CrossEntropy::new().forward(logits, &Targets::Classes(classes), None);
/// // (0.126928 + 0.693147) / 2
/// assert!((loss.into_scalar::<f32>() - 0.410_038).abs() < 1e-5);
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrossEntropy {
    /// ε in [0, 1).
    pub label_smoothing: f64,
    /// Weight of each class, at least 0 and not all 0; equal when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f64>>,
    /// How the losses of the samples become one.
    #[serde(skip_serializing_if = "Reduction::is_default")]
    pub reduction: Reduction,
}

impl CrossEntropy {
    /// Without smoothing and weights.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the label smoothing ε.
    #[must_use]
    pub const fn with_label_smoothing(mut self, label_smoothing: f64) -> Self {
        self.label_smoothing = label_smoothing;
        self
    }

    /// Sets how the losses of the samples become one.
    #[must_use]
    pub const fn with_reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// Weights that make up for unequal numbers of samples,
    /// `N / (K · count)`: scikit-learn's and timm's "balanced" weights. A class
    /// without samples has weight 0.
    ///
    /// ```
    /// use firecraft_trainer::CrossEntropy;
    ///
    /// assert_eq!(CrossEntropy::balanced(&[30, 10, 20]), [20.0 / 30.0, 2.0, 1.0]);
    /// ```
    pub fn balanced(counts: &[u64]) -> Vec<f64> {
        let total = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
        let weight = |&count: &u64| {
            if count == 0 {
                0.0
            } else {
                total / count as f64
            }
        };
        counts.iter().map(weight).collect()
    }

    /// Sets a weight for each class.
    #[must_use]
    pub fn with_class_weights(mut self, weights: Vec<f64>) -> Self {
        self.class_weights = Some(weights);
        self
    }

    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Setting`] for a value outside its range.
    pub fn check(&self) -> Result<(), TrainerError> {
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Err(TrainerError::Setting {
                field: "label_smoothing",
                value: self.label_smoothing.to_string(),
                allowed: "[0, 1)",
            });
        }
        let weights = self.class_weights.as_deref().unwrap_or_default();
        if let Some(odd) = weights.iter().find(|&&w| !(w >= 0.0 && w.is_finite())) {
            return Err(TrainerError::Setting {
                field: "class_weights",
                value: odd.to_string(),
                allowed: "[0, ∞)",
            });
        }
        if !weights.is_empty() && weights.iter().all(|&w| w == 0.0) {
            return Err(TrainerError::Setting {
                field: "class_weights",
                value: "0 for every class".into(),
                allowed: "above 0 for one class at least",
            });
        }
        Ok(())
    }

    /// The loss of a batch, `[1]`, from logits `[N, K]` and, if given, sample
    /// weights `[N]`.
    pub fn forward(
        &self,
        logits: Tensor<2>,
        targets: &Targets,
        weights: Option<&Tensor<1>>,
    ) -> Tensor<1> {
        let (loss, norm) = self.parts(logits, targets);
        self.reduction.apply(loss, norm, weights)
    }

    /// The loss of each sample, `[N]`, times its class weight.
    pub fn each(&self, logits: Tensor<2>, targets: &Targets) -> Tensor<1> {
        self.parts(logits, targets).0
    }

    /// The losses of the samples, and the weights of their classes.
    fn parts(&self, logits: Tensor<2>, targets: &Targets) -> (Tensor<1>, Option<Tensor<1>>) {
        let [samples, classes] = logits.dims();
        let device = logits.device();
        let smoothing = self.label_smoothing;
        let log_p = log_softmax(logits, 1);
        let class_weights = self.class_weights.as_ref().map(|weights| {
            let weights: Vec<f32> = weights.iter().map(|&w| w as f32).collect();
            Tensor::<1>::from_data(TensorData::new(weights, [classes]), &device)
        });
        let weighted = match &class_weights {
            Some(w) => log_p * w.clone().reshape([1, classes]),
            None => log_p,
        };
        match targets {
            Targets::Classes(labels) => {
                let index = labels.clone().reshape([samples, 1]);
                let mut loss = weighted.clone().gather(1, index).reshape([samples]) * -1.0;
                if smoothing > 0.0 {
                    let uniform =
                        weighted.sum_dim(1).reshape([samples]) * (-smoothing / classes as f64);
                    loss = loss * (1.0 - smoothing) + uniform;
                }
                let norm = class_weights.map(|w| w.select(0, labels.clone()));
                (loss, norm)
            }
            Targets::Probabilities(_) | Targets::Values(_) => {
                let q = one_hot(targets, classes);
                let q = if smoothing > 0.0 {
                    q * (1.0 - smoothing) + smoothing / classes as f64
                } else {
                    q
                };
                ((q * weighted).sum_dim(1).reshape([samples]) * -1.0, None)
            }
        }
    }
}

impl Loss for CrossEntropy {
    fn forward(
        &self,
        output: Tensor<2>,
        targets: &Targets,
        weights: Option<&Tensor<1>>,
    ) -> Tensor<1> {
        Self::forward(self, output, targets, weights)
    }

    fn evaluation(&self, output: Tensor<2>, targets: &Targets) -> Tensor<1> {
        Self::new().forward(output, targets, None)
    }

    fn check(&self) -> Result<(), TrainerError> {
        Self::check(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int};

    const LOGITS: [[f32; 3]; 2] = [[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]];
    const CLASSES: [i64; 2] = [1, 0];

    fn log_softmax_f64(row: &[f32]) -> Vec<f64> {
        let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
        row.iter().map(|&x| f64::from(x) - sum.ln()).collect()
    }

    fn expected(smoothing: f64, class: [f64; 3], sample: [f64; 2]) -> f64 {
        let mut total = 0.0;
        let mut norm = 0.0;
        for (n, row) in LOGITS.iter().enumerate() {
            let y = CLASSES[n] as usize;
            for (k, log_p) in log_softmax_f64(row).into_iter().enumerate() {
                let q = (1.0 - smoothing) * f64::from(k == y) + smoothing / 3.0;
                total -= sample[n] * class[k] * q * log_p;
            }
            norm += sample[n] * class[y];
        }
        total / norm
    }

    fn found(loss: &CrossEntropy, weights: Option<[f32; 2]>) -> f64 {
        let device = Device::flex();
        let logits = Tensor::<2>::from_data(LOGITS, &device);
        let classes = Targets::Classes(Tensor::<1, Int>::from_data(CLASSES, &device));
        let weights = weights.map(|w| Tensor::<1>::from_data(w, &device));
        let value = loss.forward(logits, &classes, weights.as_ref());
        f64::from(value.into_scalar::<f32>())
    }

    #[test]
    fn every_combination_of_weights_and_smoothing_is_the_written_formula() {
        for smoothing in [0.0, 0.1] {
            for class in [None, Some([0.5, 2.0, 3.0])] {
                for sample in [None, Some([1.0f32, 3.0])] {
                    let mut loss = CrossEntropy::new().with_label_smoothing(smoothing);
                    if let Some(class) = class {
                        loss = loss.with_class_weights(class.to_vec());
                    }
                    let expected = expected(
                        smoothing,
                        class.unwrap_or([1.0; 3]),
                        sample.map_or([1.0; 2], |w| w.map(f64::from)),
                    );
                    let found = found(&loss, sample);
                    assert!((found - expected).abs() < 1e-5, "{found} {expected}");
                }
            }
        }
    }

    #[test]
    fn one_hot_probabilities_equal_class_indices() {
        let device = Device::flex();
        let one_hot = Tensor::<2>::from_data([[0.0f32, 1.0, 0.0], [1.0, 0.0, 0.0]], &device);
        let loss = CrossEntropy::new().with_label_smoothing(0.1);
        let logits = Tensor::<2>::from_data(LOGITS, &device);
        let soft = loss.forward(logits, &Targets::Probabilities(one_hot), None);
        let soft = f64::from(soft.into_scalar::<f32>());
        assert!((soft - found(&loss, None)).abs() < 1e-6);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        assert!(CrossEntropy::new().check().is_ok());
        assert!(
            CrossEntropy::new()
                .with_label_smoothing(1.0)
                .check()
                .is_err()
        );
        let weights = |w: &[f64]| CrossEntropy::new().with_class_weights(w.to_vec());
        assert!(weights(&[1.0, 0.0]).check().is_ok());
        assert!(weights(&[1.0, -1.0]).check().is_err());
        assert!(weights(&[0.0, 0.0]).check().is_err());
    }
}
