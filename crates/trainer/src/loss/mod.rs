//! Losses: from what a model says and what it should say to one number.
//!
//! | loss | for |
//! |---|---|
//! | [`CrossEntropy`] | one class per sample, or probabilities of the classes |
//! | [`BinaryCrossEntropy`] | labels that don't exclude each other |
//! | [`Asymmetric`] | many easy negatives |
//! | [`JensenShannon`] | several augmentations of each sample (AugMix) |
//! | [`RegressionLoss`] | numbers |
//!
//! Recipes reach them by name through [`LossTypes`](crate::LossTypes).

mod asymmetric;
mod binary;
mod cross_entropy;
mod jensen_shannon;
mod reduction;
mod registry;
mod regression;

pub use asymmetric::Asymmetric;
pub use binary::{BinaryCrossEntropy, SmoothTowards};
pub use cross_entropy::CrossEntropy;
pub use jensen_shannon::JensenShannon;
pub use reduction::Reduction;
pub(crate) use registry::register;
pub use registry::{LossConfig, LossTypes};
pub use regression::{RegressionLoss, RegressionRule};

use burn::tensor::{Int, Tensor};

use crate::error::TrainerError;
use crate::source::Targets;

/// Makes one number of what a model says, `[N, K]`, and what it should say.
pub trait Loss {
    /// The loss of a batch, `[1]`; `weights` has one weight per sample.
    fn forward(
        &self,
        output: Tensor<2>,
        targets: &Targets,
        weights: Option<&Tensor<1>>,
    ) -> Tensor<1>;

    /// The loss in evaluation, without what only helps training.
    fn evaluation(&self, output: Tensor<2>, targets: &Targets) -> Tensor<1> {
        self.forward(output, targets, None)
    }

    /// What the outputs are, which decides the metric beside the loss.
    fn answers(&self) -> Answers {
        Answers::Classes
    }

    /// Rows of the output per target: above 1 for a loss that compares several
    /// views of each sample, one part of the batch after another.
    fn views(&self) -> usize {
        1
    }

    /// Checks the settings before the first step.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Setting`] for a value outside its range.
    fn check(&self) -> Result<(), TrainerError> {
        Ok(())
    }
}

/// What a model that is trained with a [`Loss`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// Logits of classes; the metric is `accuracy`.
    Classes,
    /// Numbers; the metric is `mae`, the mean absolute error.
    Numbers,
}

/// A loss that is chosen at run time.
impl<L: Loss + ?Sized> Loss for Box<L> {
    fn forward(
        &self,
        output: Tensor<2>,
        targets: &Targets,
        weights: Option<&Tensor<1>>,
    ) -> Tensor<1> {
        (**self).forward(output, targets, weights)
    }

    fn evaluation(&self, output: Tensor<2>, targets: &Targets) -> Tensor<1> {
        (**self).evaluation(output, targets)
    }

    fn answers(&self) -> Answers {
        (**self).answers()
    }

    fn views(&self) -> usize {
        (**self).views()
    }

    fn check(&self) -> Result<(), TrainerError> {
        (**self).check()
    }
}

/// Labels with some of the probability given to all classes alike,
/// `(1 − ε) q + ε / K`, `[N, K]`; optax' `smooth_labels`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_trainer::smooth_labels;
///
/// let q = Tensor::<2>::from_data([[1.0f32, 0.0]], &Device::flex());
/// let q = smooth_labels(q, 0.2).into_data().try_to_vec::<f32>()?;
/// assert!((q[0] - 0.9).abs() < 1e-6 && (q[1] - 0.1).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn smooth_labels(labels: Tensor<2>, smoothing: f64) -> Tensor<2> {
    let classes = labels.dims()[1] as f64;
    labels * (1.0 - smoothing) + smoothing / classes
}

/// Targets as `[N, K]` whatever they are.
fn one_hot(targets: &Targets, classes: usize) -> Tensor<2> {
    match targets {
        Targets::Classes(labels) => {
            let [samples] = labels.dims();
            let device = labels.device();
            let all = Tensor::<1, Int>::arange(0..classes as i64, &device).reshape([1, classes]);
            let labels = labels.clone().reshape([samples, 1]);
            labels
                .expand([samples, classes])
                .equal(all.expand([samples, classes]))
                .float()
        }
        Targets::Probabilities(values) | Targets::Values(values) => values.clone(),
    }
}

fn check_range(
    field: &'static str,
    value: f64,
    good: bool,
    allowed: &'static str,
) -> Result<(), TrainerError> {
    if good {
        return Ok(());
    }
    Err(TrainerError::Setting {
        field,
        value: value.to_string(),
        allowed,
    })
}
