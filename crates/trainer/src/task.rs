//! What a model is trained for: the loss and the metrics of a batch.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, s};

use crate::error::TrainerError;
use crate::loss::{Answers, CrossEntropy, Loss, RegressionLoss};
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
    /// use burn::tensor::{Device, Tensor, s};
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
        train_step(model, batch, &self.loss, Answers::Classes)
    }

    fn eval_step(&self, model: &M, batch: Self::Batch) -> StepOutput {
        eval_step(model, batch, &self.loss, Answers::Classes)
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
        train_step(model, batch, &self.loss, Answers::Numbers)
    }

    fn eval_step(&self, model: &M, batch: Self::Batch) -> StepOutput {
        eval_step(model, batch, &self.loss, Answers::Numbers)
    }

    fn check(&self) -> Result<(), TrainerError> {
        self.loss.check()
    }
}

/// Training of a [`Supervised`] model with a loss that is chosen at run time:
/// as [`Classification`] or as [`Regression`], whichever the loss
/// [answers](Loss::answers) for. [`Recipe::task`](crate::Recipe::task) makes it.
pub struct SupervisedTask {
    /// The training loss.
    pub loss: Box<dyn Loss>,
}

impl std::fmt::Debug for SupervisedTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let answers = self.loss.answers();
        f.debug_struct("SupervisedTask")
            .field("answers", &answers)
            .finish_non_exhaustive()
    }
}

impl<M: Supervised> Task<M> for SupervisedTask {
    type Batch = Labelled<M::Input>;

    fn train_step(&self, model: &M, batch: Self::Batch) -> StepOutput {
        train_step(model, batch, &*self.loss, self.loss.answers())
    }

    fn eval_step(&self, model: &M, batch: Self::Batch) -> StepOutput {
        eval_step(model, batch, &*self.loss, self.loss.answers())
    }

    fn check(&self) -> Result<(), TrainerError> {
        self.loss.check()
    }
}

fn train_step<M: Supervised>(
    model: &M,
    batch: Labelled<M::Input>,
    loss: &dyn Loss,
    answers: Answers,
) -> StepOutput {
    let output = model.forward(batch.inputs);
    let targets = &batch.targets;
    if let Err(error) = check_targets(targets, &output, loss.views(), "training") {
        return StepOutput::failed(error, &output.device());
    }
    let samples = targets.len();
    // Of several views of the samples, the first has the targets.
    let said = output.clone().without_autodiff().slice(s![0..samples]);
    let (name, value) = metric(answers, said, targets);
    let loss = loss.forward(output, targets, batch.weights.as_ref());
    StepOutput::new(loss, samples as u64).metric(name, value)
}

fn eval_step<M: Supervised>(
    model: &M,
    batch: Labelled<M::Input>,
    loss: &dyn Loss,
    answers: Answers,
) -> StepOutput {
    let output = model.forward(batch.inputs);
    let targets = &batch.targets;
    if let Err(error) = check_targets(targets, &output, 1, "validation") {
        return StepOutput::failed(error, &output.device());
    }
    let (name, value) = metric(answers, output.clone(), targets);
    StepOutput::new(loss.evaluation(output, targets), targets.len() as u64).metric(name, value)
}

/// The metric beside the loss; `said` is off the autodiff tape.
fn metric(answers: Answers, said: Tensor<2>, targets: &Targets) -> (&'static str, Tensor<1>) {
    match answers {
        Answers::Classes => ("accuracy", accuracy(said, targets)),
        Answers::Numbers => ("mae", absolute_error(said, targets)),
    }
}

fn absolute_error(said: Tensor<2>, targets: &Targets) -> Tensor<1> {
    RegressionLoss::absolute().forward(said, &targets.clone().without_autodiff(), None)
}

/// Backends do what they like with an index that is out of range, and panic at
/// rows that don't fit.
fn check_targets(
    targets: &Targets,
    output: &Tensor<2>,
    views: usize,
    split: &'static str,
) -> Result<(), TrainerError> {
    let [rows, classes] = output.dims();
    let samples = targets.len();
    if rows != samples && rows != samples * views {
        return Err(TrainerError::Data {
            split,
            problem: format!(
                "the model says {rows} rows for {samples} targets; give each row a target"
            ),
        });
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::JensenShannon;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Int;

    #[derive(Module, Debug)]
    struct Net {
        layer: Linear,
    }

    impl Supervised for Net {
        type Input = Tensor<2>;

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            self.layer.forward(x)
        }
    }

    fn batch(rows: usize, targets: Targets) -> Labelled<Tensor<2>> {
        Labelled {
            inputs: Tensor::ones([rows, 2], &Device::flex().autodiff()),
            targets,
            weights: None,
        }
    }

    fn classes(labels: &[i64]) -> Targets {
        Targets::Classes(Tensor::<1, Int>::from_data(labels, &Device::flex()))
    }

    #[test]
    fn rows_without_targets_are_an_error_unless_the_loss_takes_views() {
        let device = Device::flex().autodiff();
        let net = Net {
            layer: LinearConfig::new(2, 2).init(&device),
        };
        let one = Classification::default();
        let error = one.train_step(&net, batch(6, classes(&[0, 1]))).error;
        let error = error.unwrap().to_string();
        assert!(error.contains("6 rows for 2 targets"), "{error}");
        let views = Classification {
            loss: JensenShannon::timm(),
        };
        let output = views.train_step(&net, batch(6, classes(&[0, 1])));
        assert!(output.error.is_none());
        assert_eq!((output.samples, output.metrics[0].0), (2, "accuracy"));
        // Equal inputs: one of the two classes is right.
        assert_eq!(output.metrics[0].1.clone().into_scalar::<f32>(), 0.5);
        let evaluation = views.eval_step(&net, batch(6, classes(&[0, 1])));
        assert!(
            evaluation.error.is_some(),
            "there are no views in evaluation"
        );
    }

    #[test]
    fn a_loss_of_numbers_measures_their_error() {
        let device = Device::flex().autodiff();
        let net = Net {
            layer: LinearConfig::new(2, 1).init(&device),
        };
        let task = SupervisedTask {
            loss: Box::new(RegressionLoss::absolute()),
        };
        let numbers = |columns| Targets::Values(Tensor::zeros([3, columns], &Device::flex()));
        let output = task.eval_step(&net, batch(3, numbers(1)));
        let (name, mae) = output.metrics[0].clone();
        assert_eq!(name, "mae");
        let loss = output.loss.into_scalar::<f32>();
        assert_eq!(mae.into_scalar::<f32>(), loss);
        let error = task.train_step(&net, batch(3, numbers(4))).error;
        let error = error.unwrap().to_string();
        assert!(error.contains("4 columns, the model says 1"), "{error}");
    }
}
