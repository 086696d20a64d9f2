//! What a model is trained for: the loss and the metrics of a batch.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use crate::error::TrainerError;
use crate::loss::{CrossEntropy, Loss, RegressionLoss};
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
    /// Gradients, if the step has made the backward pass by itself; the loss is
    /// not on the tape then.
    pub gradients: Option<GradientsParams>,
    /// Why the batch can't be used; ends the fit.
    pub error: Option<TrainerError>,
}

impl StepOutput {
    /// A loss `[1]` over so many samples.
    pub fn new(loss: Tensor<1>, samples: u64) -> Self {
        Self {
            loss,
            samples,
            metrics: Vec::new(),
            gradients: None,
            error: None,
        }
    }

    /// A batch that can't be used.
    pub fn failed(error: TrainerError, device: &Device) -> Self {
        Self {
            error: Some(error),
            ..Self::new(Tensor::zeros([1], device), 0)
        }
    }

    /// The weighted sum of several losses, `Σ wᵢ ℓᵢ`; each is a metric too.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use firecraft_trainer::StepOutput;
    ///
    /// let loss = |value: f32| Tensor::<1>::from_data([value], &Device::flex());
    /// let output = StepOutput::weighted(
    ///     [("boxes", loss(2.0), 0.5), ("classes", loss(3.0), 1.0)],
    ///     32,
    /// );
    /// assert_eq!(output.loss.into_scalar::<f32>(), 4.0);
    /// assert_eq!(output.metrics[0].0, "boxes");
    /// ```
    ///
    /// # Panics
    ///
    /// Without any loss.
    pub fn weighted(
        losses: impl IntoIterator<Item = (&'static str, Tensor<1>, f64)>,
        samples: u64,
    ) -> Self {
        let mut metrics = Vec::new();
        let mut total: Option<Tensor<1>> = None;
        for (name, loss, weight) in losses {
            metrics.push((name, loss.clone()));
            let part = loss * weight;
            total = Some(match total {
                Some(total) => total + part,
                None => part,
            });
        }
        #[allow(clippy::expect_used, reason = "documented: there must be a loss")]
        let loss = total.expect("a step needs at least one loss");
        Self {
            metrics,
            ..Self::new(loss, samples)
        }
    }

    /// Adds a mean of the batch, `[1]`.
    #[must_use]
    pub fn metric(mut self, name: &'static str, value: Tensor<1>) -> Self {
        self.metrics.push((name, value));
        self
    }
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

/// Training of a [`Supervised`] model as a classifier, by cross-entropy unless
/// another [`Loss`] is given.
///
/// Metrics: `loss` and `accuracy`. In evaluation the loss has neither label
/// smoothing nor weights, so that runs with different settings can be compared.
#[derive(Debug, Clone)]
pub struct Classification<L = CrossEntropy> {
    /// The training loss.
    pub loss: L,
}

impl Default for Classification {
    fn default() -> Self {
        Self {
            loss: CrossEntropy::new(),
        }
    }
}

impl<M: Supervised, L: Loss> Task<M> for Classification<L> {
    type Batch = Labelled<M::Input>;

    fn train_step(&self, model: &M, batch: Self::Batch) -> StepOutput {
        let logits = model.forward(batch.inputs);
        if let Err(error) = check_labels(&batch.targets, &logits, "training") {
            return StepOutput::failed(error, &logits.device());
        }
        let accuracy = accuracy(logits.clone().without_autodiff(), &batch.targets);
        let samples = batch.targets.len() as u64;
        let loss = self
            .loss
            .forward(logits, &batch.targets, batch.weights.as_ref());
        StepOutput::new(loss, samples).metric("accuracy", accuracy)
    }

    fn eval_step(&self, model: &M, batch: Self::Batch) -> StepOutput {
        let logits = model.forward(batch.inputs);
        if let Err(error) = check_labels(&batch.targets, &logits, "validation") {
            return StepOutput::failed(error, &logits.device());
        }
        let accuracy = accuracy(logits.clone(), &batch.targets);
        let samples = batch.targets.len() as u64;
        StepOutput::new(self.loss.evaluation(logits, &batch.targets), samples)
            .metric("accuracy", accuracy)
    }

    fn check(&self) -> Result<(), TrainerError> {
        self.loss.check()
    }
}

/// Training of a [`Supervised`] model that says numbers, on
/// [`Targets::Values`].
///
/// Metrics: `loss` and `mae`, the mean absolute error.
#[derive(Debug, Clone, Default)]
pub struct Regression {
    /// The training loss; the squared error unless set.
    pub loss: RegressionLoss,
}

impl<M: Supervised> Task<M> for Regression {
    type Batch = Labelled<M::Input>;

    fn train_step(&self, model: &M, batch: Self::Batch) -> StepOutput {
        let said = model.forward(batch.inputs);
        let error = absolute_error(said.clone().without_autodiff(), &batch.targets);
        let samples = batch.targets.len() as u64;
        let loss = self
            .loss
            .forward(said, &batch.targets, batch.weights.as_ref());
        StepOutput::new(loss, samples).metric("mae", error)
    }

    fn eval_step(&self, model: &M, batch: Self::Batch) -> StepOutput {
        let said = model.forward(batch.inputs);
        let error = absolute_error(said.clone(), &batch.targets);
        let samples = batch.targets.len() as u64;
        StepOutput::new(self.loss.evaluation(said, &batch.targets), samples).metric("mae", error)
    }

    fn check(&self) -> Result<(), TrainerError> {
        self.loss.check()
    }
}

fn absolute_error(said: Tensor<2>, targets: &Targets) -> Tensor<1> {
    RegressionLoss::absolute().forward(said, &targets.clone().without_autodiff(), None)
}

/// Backends do what they like with an index that is out of range.
fn check_labels(
    targets: &Targets,
    logits: &Tensor<2>,
    split: &'static str,
) -> Result<(), TrainerError> {
    let classes = logits.dims()[1];
    match targets {
        Targets::Classes(labels) => {
            let labels = labels.to_data();
            let good = |label: &i64| usize::try_from(*label).is_ok_and(|label| label < classes);
            match labels.iter::<i64>().find(|label| !good(label)) {
                None => Ok(()),
                Some(odd) => Err(TrainerError::Data {
                    split,
                    problem: format!(
                        "a label is {odd}, the model has {classes} classes; check the labels or the size of the last layer"
                    ),
                }),
            }
        }
        Targets::Probabilities(values) | Targets::Values(values) => {
            let given = values.dims()[1];
            if given == classes {
                return Ok(());
            }
            Err(TrainerError::Data {
                split,
                problem: format!(
                    "targets have {given} columns, the model says {classes}; make them equal"
                ),
            })
        }
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
        Targets::Probabilities(values) | Targets::Values(values) => values
            .clone()
            .without_autodiff()
            .to_device(&device)
            .argmax(1),
    };
    predicted.equal(right).float().mean()
}
