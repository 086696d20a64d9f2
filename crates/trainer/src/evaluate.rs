//! Metrics and answers of a model outside a fit.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use crate::error::TrainerError;
use crate::metrics::{Means, Metrics};
use crate::source::{BatchSource, Labelled};
use crate::task::{StepOutput, Supervised, Task};

/// The metrics of a model on the first epoch of a source, each a mean over
/// its samples: `loss`, `accuracy`.
///
/// The model is put into validation mode; it stays as it is.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Int, Tensor};
/// use firecraft_trainer::{Classification, InMemory, Labelled, Supervised, Targets, evaluate, predict};
///
/// #[derive(Module, Debug)]
/// struct Net {
///     layer: Linear,
/// }
///
/// impl Supervised for Net {
///     type Input = Tensor<2>;
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         self.layer.forward(x)
///     }
/// }
///
/// let device = Device::flex();
/// let model = Net { layer: LinearConfig::new(2, 3).init(&device) };
/// let source = || {
///     InMemory::new(2, 4, |_epoch, _batch, device: &Device| Labelled {
///         inputs: Tensor::from_data([[0.0f32, 1.0], [1.0, 0.0]], device),
///         targets: Targets::Classes(Tensor::<1, Int>::from_data([0, 1], device)),
///         weights: None,
///     })
/// };
/// let metrics = evaluate(&model, &Classification::default(), &mut source())?;
/// assert!(metrics.get("loss").unwrap() > 0.0);
/// assert_eq!(predict(&model, &mut source())?.dims(), [4, 3]);
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
///
/// # Errors
///
/// [`TrainerError::Data`] when the source has no batch, or its own errors.
pub fn evaluate<M, T, S>(model: &M, task: &T, source: &mut S) -> Result<Metrics, TrainerError>
where
    M: Module,
    T: Task<M>,
    S: BatchSource<Batch = T::Batch>,
{
    let model = model.valid();
    let device = plain_device(&model);
    means(&model, task, source, &device).map(|means| means.metrics(""))
}

/// The logits `[N, K]` of a model for all samples of the first epoch of a
/// source, in its order.
///
/// # Errors
///
/// As [`evaluate`].
pub fn predict<M, S>(model: &M, source: &mut S) -> Result<Tensor<2>, TrainerError>
where
    M: Supervised,
    S: BatchSource<Batch = Labelled<M::Input>>,
{
    let model = model.valid();
    let device = plain_device(&model);
    let mut logits = Vec::new();
    source.start_epoch(0)?;
    while let Some(batch) = source.next_batch(&device)? {
        logits.push(model.forward(batch.inputs));
    }
    if logits.is_empty() {
        return Err(no_batch());
    }
    Ok(Tensor::cat(logits, 0))
}

/// Probabilities `[N, K]`, each the mean over several views of its sample:
/// test-time augmentation.
///
/// A view is a function of the inputs, such as a flip; give the identity too if
/// the plain inputs should count.
///
/// ```
/// # use burn::module::Module;
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::tensor::{Device, Int, Tensor};
/// # use firecraft_trainer::{Arrays, Supervised, Targets, predict_views};
/// # #[derive(Module, Debug)]
/// # struct Net { layer: Linear }
/// # impl Supervised for Net {
/// #     type Input = Tensor<2>;
/// #     fn forward(&self, x: Tensor<2>) -> Tensor<2> { self.layer.forward(x) }
/// # }
/// let device = Device::flex();
/// let model = Net { layer: LinearConfig::new(2, 3).init(&device) };
/// let y = Targets::Classes(Tensor::<1, Int>::zeros([4], &device));
/// let mut source = Arrays::new(Tensor::<2>::ones([4, 2], &device), y, 3)?;
/// let p = predict_views(&model, &mut source, &[&|x| x, &|x| x.flip([1])])?;
/// assert_eq!(p.dims(), [4, 3]);
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
///
/// # Errors
///
/// As [`evaluate`]; [`TrainerError::Setting`] without any view.
pub fn predict_views<M, S>(
    model: &M,
    source: &mut S,
    views: &[&dyn Fn(M::Input) -> M::Input],
) -> Result<Tensor<2>, TrainerError>
where
    M: Supervised,
    M::Input: Clone,
    S: BatchSource<Batch = Labelled<M::Input>>,
{
    if views.is_empty() {
        return Err(TrainerError::Setting {
            field: "views",
            value: "none".into(),
            allowed: "one at least; the identity is one",
        });
    }
    let model = model.valid();
    let device = plain_device(&model);
    let mut all = Vec::new();
    source.start_epoch(0)?;
    while let Some(batch) = source.next_batch(&device)? {
        let answers = views
            .iter()
            .map(|view| softmax(model.forward(view(batch.inputs.clone())), 1));
        let scale = 1.0 / views.len() as f64;
        all.extend(answers.reduce(|a, b| a + b).map(|sum| sum * scale));
    }
    if all.is_empty() {
        return Err(no_batch());
    }
    Ok(Tensor::cat(all, 0))
}

/// Means over the batches of a model that is in validation mode already.
fn means<M, T, S>(
    model: &M,
    task: &T,
    source: &mut S,
    device: &Device,
) -> Result<Means, TrainerError>
where
    M: Module,
    T: Task<M>,
    S: BatchSource<Batch = T::Batch>,
{
    let mut means = Means::default();
    source.start_epoch(0)?;
    while let Some(batch) = source.next_batch(device)? {
        let mut output = task.eval_step(model, batch);
        if let Some(error) = output.error.take() {
            return Err(error);
        }
        for (name, value) in values(&output) {
            means.add(name, value, output.samples as f64);
        }
    }
    if means.metrics("").get("loss").is_none() {
        return Err(no_batch());
    }
    Ok(means)
}

/// The values of a batch, the loss first; on a GPU this is the one transfer of
/// a step.
pub(crate) fn values(output: &StepOutput) -> Vec<(&'static str, f64)> {
    let mut names = vec!["loss"];
    let mut values = vec![output.loss.clone().without_autodiff()];
    for (name, value) in &output.metrics {
        names.push(name);
        values.push(value.clone().without_autodiff());
    }
    let values = Tensor::cat(values, 0).into_data();
    names.into_iter().zip(values.iter::<f64>()).collect()
}

fn plain_device<M: Module>(model: &M) -> Device {
    let device = model.devices().into_iter().next();
    device.unwrap_or_default().without_autodiff()
}

fn no_batch() -> TrainerError {
    TrainerError::Data {
        split: "evaluation",
        problem: "it gave no batch; check the path and the skipped samples".into(),
    }
}
