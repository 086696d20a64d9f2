//! What a model is trained for: the loss and the metrics of a batch.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::error::TrainerError;
use crate::loss::CrossEntropy;
use crate::source::{Labelled, Targets};

/// Computes the loss and the metrics of a batch.
///
/// [`Classification`] is the task of most models; a custom training step is an
/// implementation of this trait.
pub trait Task<M: Module> {
    /// What one batch holds.
    type Batch;

    /// Forward pass with the training behaviour of the model.
    fn train_step(&self, model: &M, batch: Self::Batch) -> StepOutput;

    /// Forward pass of the model that [`Module::valid`] made.
    fn eval_step(&self, model: &M, batch: Self::Batch) -> StepOutput;

    /// Checks the settings before the first step.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Setting`] for a value outside its range.
    fn check(&self) -> Result<(), TrainerError> {
        Ok(())
    }
}

/// Result of a forward pass.
#[derive(Debug)]
pub struct StepOutput {
    /// Mean loss of the batch, `[1]`; in training on the autodiff tape.
    pub loss: Tensor<1>,
    /// Number of samples, the weight of the batch in means over an epoch.
    pub samples: u64,
    /// Other means of the batch by name, each `[1]`.
    pub metrics: Vec<(&'static str, Tensor<1>)>,
}

/// A classifier: a module that turns inputs into logits.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::Linear;
/// use burn::tensor::Tensor;
/// use firecraft_trainer::Supervised;
///
/// #[derive(Module, Debug)]
/// struct Perceptron {
///     layer: Linear,
/// }
///
/// impl Supervised for Perceptron {
///     type Input = Tensor<4>;
///
///     fn forward(&self, images: Tensor<4>) -> Tensor<2> {
///         self.layer.forward(images.flatten(1, 3))
///     }
/// }
/// ```
pub trait Supervised: Module {
    /// What the model takes, usually images `[N, C, H, W]`.
    type Input;

    /// Logits `[N, K]`.
    fn forward(&self, input: Self::Input) -> Tensor<2>;
}

/// Training of a [`Supervised`] model with cross-entropy.
///
/// Metrics: `loss` and `accuracy`. In evaluation the loss has neither label
/// smoothing nor weights, so that runs with different settings can be compared.
#[derive(Debug, Clone, Default)]
pub struct Classification {
    /// The training loss.
    pub loss: CrossEntropy,
}

impl<M: Supervised> Task<M> for Classification {
    type Batch = Labelled<M::Input>;

    fn train_step(&self, model: &M, batch: Self::Batch) -> StepOutput {
        let logits = model.forward(batch.inputs);
        let accuracy = accuracy(logits.clone().without_autodiff(), &batch.targets);
        StepOutput {
            samples: batch.targets.len() as u64,
            loss: self
                .loss
                .forward(logits, &batch.targets, batch.weights.as_ref()),
            metrics: vec![("accuracy", accuracy)],
        }
    }

    fn eval_step(&self, model: &M, batch: Self::Batch) -> StepOutput {
        let logits = model.forward(batch.inputs);
        StepOutput {
            samples: batch.targets.len() as u64,
            metrics: vec![("accuracy", accuracy(logits.clone(), &batch.targets))],
            loss: CrossEntropy::new().forward(logits, &batch.targets, None),
        }
    }

    fn check(&self) -> Result<(), TrainerError> {
        self.loss.check()
    }
}

/// Share of samples whose greatest logit is that of the right class, `[1]`.
///
/// With probabilities as targets, the right class is the most probable one.
/// Both tensors must be off the autodiff tape.
pub fn accuracy(logits: Tensor<2>, targets: &Targets) -> Tensor<1> {
    let predicted = logits.argmax(1);
    let device = predicted.device();
    let right = match targets {
        Targets::Classes(classes) => {
            let classes = classes.clone().without_autodiff().to_device(&device);
            classes.unsqueeze_dim(1)
        }
        Targets::Probabilities(probabilities) => probabilities
            .clone()
            .without_autodiff()
            .to_device(&device)
            .argmax(1),
    };
    predicted.equal(right).float().mean()
}
