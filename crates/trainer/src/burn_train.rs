//! Models, metrics and renderers written for burn-train.
//!
//! burn-train hides the loss and the backward pass of a model in one step.
//! Everything of the trainer that doesn't look inside works with such models:
//! schedules, groups, clipping, accumulation, averages, every callback,
//! checkpoints and exact resuming. Penalties and label smoothing need the loss;
//! write a [`Task`] for those.

use std::sync::Arc;

use burn::data::dataloader::Progress;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn::train::metric::{
    Adaptor, LossInput, LossMetric, Metric, MetricAttributes, MetricDefinition, MetricEntry,
    MetricId, MetricMetadata, Numeric, NumericAttributes, NumericEntry, SerializedEntry,
};
use burn::train::renderer::{MetricState, MetricsRenderer};
use burn::train::{InferenceStep, Interrupter, TrainStep};
use firecraft_schedule::Mode;

use crate::callback::Callback;
use crate::error::TrainerError;
use crate::event::{Context, Control, Event, Phase};
use crate::metrics::Metrics;
use crate::task::{StepOutput, Task};

type Count<I> = Box<dyn Fn(&I) -> usize>;
type Measure<O> = Box<dyn Fn(&O) -> Result<f64, TrainerError>>;

/// Trains a model by its [`TrainStep`] and [`InferenceStep`], unchanged.
///
/// The loss is what burn's `LossMetric` says of the output; other numeric
/// metrics of burn are added by [`metric`](Self::metric). Metrics of a batch
/// are averaged by samples, also those that burn computes over a whole epoch
/// (AUROC, say): judge such a metric by [`predict`](crate::predict) instead.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::loss::CrossEntropyLossConfig;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Int, Tensor};
/// use burn::train::metric::AccuracyMetric;
/// use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};
/// use firecraft_trainer::{BurnTask, InMemory, Sgd, Trainer};
///
/// #[derive(Module, Debug)]
/// struct Net {
///     layer: Linear,
/// }
///
/// struct Batch {
///     x: Tensor<2>,
///     y: Tensor<1, Int>,
/// }
///
/// impl Net {
///     fn classify(&self, batch: Batch) -> ClassificationOutput {
///         let logits = self.layer.forward(batch.x);
///         let loss = CrossEntropyLossConfig::new().init(&logits.device());
///         let loss = loss.forward(logits.clone(), batch.y.clone());
///         ClassificationOutput::new(loss, logits, batch.y)
///     }
/// }
///
/// impl TrainStep for Net {
///     type Input = Batch;
///     type Output = ClassificationOutput;
///     fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
///         let output = self.classify(batch);
///         TrainOutput::new(self, output.loss.backward(), output)
///     }
/// }
///
/// impl InferenceStep for Net {
///     type Input = Batch;
///     type Output = ClassificationOutput;
///     fn step(&self, batch: Batch) -> ClassificationOutput {
///         self.classify(batch)
///     }
/// }
///
/// let device = Device::flex().autodiff();
/// let batches = || {
///     InMemory::new(1, 2, |_epoch, _batch, device: &Device| Batch {
///         x: Tensor::from_data([[0.0f32, 1.0], [1.0, 0.0]], device),
///         y: Tensor::from_data([0, 1], device),
///     })
/// };
/// let task = BurnTask::new(|batch: &Batch| batch.y.dims()[0])
///     .metric("accuracy", AccuracyMetric::new());
/// let model = Net { layer: LinearConfig::new(2, 2).init(&device) };
/// let fitted = Trainer::new(model, Sgd::torch())
///     .task(task)
///     .learning_rate(1.0)
///     .epochs(20)
///     .fit(batches(), batches())?;
/// let row = fitted.history.last().unwrap();
/// assert_eq!(row.metrics.get("val_accuracy"), Some(100.0)); // burn's are per cent
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
pub struct BurnTask<M: TrainStep + InferenceStep> {
    samples: Count<<M as TrainStep>::Input>,
    train: Vec<(&'static str, Measure<<M as TrainStep>::Output>)>,
    evaluation: Vec<(&'static str, Measure<<M as InferenceStep>::Output>)>,
}

impl<M, I> BurnTask<M>
where
    M: TrainStep<Input = I> + InferenceStep<Input = I>,
    <M as TrainStep>::Output: Adaptor<LossInput>,
    <M as InferenceStep>::Output: Adaptor<LossInput>,
{
    /// A task that measures the loss; `samples` counts a batch.
    pub fn new(samples: impl Fn(&I) -> usize + 'static) -> Self {
        let task = Self {
            samples: Box::new(samples),
            train: Vec::new(),
            evaluation: Vec::new(),
        };
        task.metric("loss", LossMetric::new())
    }

    /// Adds a metric of burn under a name, for training and evaluation.
    #[must_use]
    pub fn metric<X>(mut self, name: &'static str, metric: X) -> Self
    where
        X: Metric + Numeric + 'static,
        <M as TrainStep>::Output: Adaptor<X::Input>,
        <M as InferenceStep>::Output: Adaptor<X::Input>,
    {
        let measure = metric.clone();
        let train = move |output: &<M as TrainStep>::Output| value(&measure, &output.adapt());
        self.train.push((name, Box::new(train)));
        let evaluation =
            move |output: &<M as InferenceStep>::Output| value(&metric, &output.adapt());
        self.evaluation.push((name, Box::new(evaluation)));
        self
    }
}

impl<M: TrainStep + InferenceStep> std::fmt::Debug for BurnTask<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.train.iter().map(|(name, _)| *name).collect();
        f.debug_struct("BurnTask").field("metrics", &names).finish()
    }
}

/// A metric of one batch alone.
fn value<X: Metric + Numeric>(metric: &X, input: &X::Input) -> Result<f64, TrainerError> {
    let unread = |error| TrainerError::Data {
        split: "measured",
        problem: format!("burn's metric `{}` failed: {error}", metric.name()),
    };
    let mut metric = metric.clone();
    metric.clear();
    let metadata = MetricMetadata {
        progress: Progress::new(1, 1, None),
        iteration: None,
        lr: None,
    };
    metric
        .update(input, &metadata)
        .map_err(|error| unread(error.to_string()))?;
    if let Some(entry) = metric.value() {
        return Ok(entry.current());
    }
    metric
        .compute()
        .map_err(|error| unread(error.to_string()))?;
    Ok(metric.final_value().current())
}

fn output<O>(
    measures: &[(&'static str, Measure<O>)],
    item: &O,
    samples: usize,
    devices: Vec<Device>,
) -> StepOutput {
    let device = devices.into_iter().next().unwrap_or_default();
    let device = device.without_autodiff();
    let scalar = |value: f64| Tensor::<1>::from_data([value as f32], &device);
    let mut output = StepOutput::new(scalar(f64::NAN), samples as u64);
    for (name, measure) in measures {
        match measure(item) {
            Ok(value) if *name == "loss" => output.loss = scalar(value),
            Ok(value) => output.metrics.push((name, scalar(value))),
            Err(error) => {
                output.error.get_or_insert(error);
            }
        }
    }
    output
}

impl<M, I> Task<M> for BurnTask<M>
where
    M: Module + TrainStep<Input = I> + InferenceStep<Input = I>,
{
    type Batch = I;

    fn train_step(&self, model: &M, batch: I) -> StepOutput {
        let samples = (self.samples)(&batch);
        let step = TrainStep::step(model, batch);
        let mut output = output(&self.train, &step.item, samples, model.devices());
        output.gradients = Some(step.grads);
        output
    }

    fn eval_step(&self, model: &M, batch: I) -> StepOutput {
        let samples = (self.samples)(&batch);
        let item = InferenceStep::step(model, batch);
        output(&self.evaluation, &item, samples, model.devices())
    }
}

/// Shows a fit on a renderer of burn: its dashboard for the terminal
/// (`TuiMetricsRenderer`, feature `tui` of burn) or one of one's own.
///
/// With an [`Interrupter`] the fit ends, with a checkpoint, when the renderer
/// asks for it.
///
/// ```no_run
/// use burn::train::Interrupter;
/// use burn::train::renderer::CliMetricsRenderer;
/// use firecraft_trainer::BurnRenderer;
///
/// let interrupter = Interrupter::new();
/// let dashboard = BurnRenderer::new(CliMetricsRenderer::new()).interrupter(interrupter);
/// ```
pub struct BurnRenderer {
    renderer: Box<dyn MetricsRenderer>,
    interrupter: Option<Interrupter>,
    known: Vec<String>,
    /// Samples of the epoch so far.
    samples: u64,
    /// Batches of the last evaluation.
    batches: u64,
    sanity: bool,
}

impl BurnRenderer {
    /// Shows the fit on `renderer`.
    pub fn new(renderer: impl MetricsRenderer + 'static) -> Self {
        Self {
            renderer: Box::new(renderer),
            interrupter: None,
            known: Vec::new(),
            samples: 0,
            batches: 0,
            sanity: false,
        }
    }

    /// Ends the fit when the user asks for it in the renderer.
    #[must_use]
    pub fn interrupter(mut self, interrupter: Interrupter) -> Self {
        self.interrupter = Some(interrupter);
        self
    }

    fn show(&mut self, metrics: &Metrics, phase: Phase) {
        for (name, value) in metrics.iter() {
            let id = MetricId::new(Arc::new(name.to_owned()));
            if !self.known.iter().any(|known| known == name) {
                self.known.push(name.to_owned());
                self.renderer.register_metric(MetricDefinition {
                    metric_id: id.clone(),
                    name: Arc::new(name.to_owned()),
                    description: None,
                    attributes: MetricAttributes::Numeric(NumericAttributes {
                        unit: None,
                        higher_is_better: Mode::of_metric(name) == Mode::Max,
                    }),
                });
            }
            let text = SerializedEntry::new(format!("{value:.4}"), value.to_string());
            let entry = MetricEntry::new(id, text);
            let state = MetricState::Numeric(entry, Some(NumericEntry::Value(value)));
            match phase {
                Phase::Train => self.renderer.update_train(state),
                Phase::Evaluation => self.renderer.update_valid(state),
            }
        }
    }

    fn start_training(&mut self, context: &Context<'_>) {
        let total = context.plan.samples_per_epoch as usize;
        self.renderer.start_split("train", total);
    }

    fn end(&mut self) -> Result<(), TrainerError> {
        self.renderer.end();
        self.renderer
            .on_train_end(None)
            .map_err(|error| TrainerError::Callback {
                key: self.key(),
                problem: error.to_string(),
            })
    }
}

impl std::fmt::Debug for BurnRenderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BurnRenderer").finish_non_exhaustive()
    }
}

impl Callback for BurnRenderer {
    fn key(&self) -> String {
        "burn_renderer".into()
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        match event {
            Event::FitStart { .. } => {
                let (epochs, epoch) = (context.plan.epochs, context.progress.epoch);
                let total = context.plan.samples_per_epoch * epochs;
                self.renderer.start(
                    epochs as usize,
                    epoch as usize + 1,
                    Some(total as usize),
                    Some("training"),
                );
                if context.progress.batch > 0 {
                    self.start_training(context);
                }
            }
            Event::SanityStart => self.sanity = true,
            Event::SanityEnd => self.sanity = false,
            Event::EpochStart => {
                self.samples = 0;
                self.start_training(context);
            }
            Event::UpdateEnd(update) => {
                self.samples += update.samples;
                self.show(&update.metrics, Phase::Train);
                self.renderer.update_split(self.samples as usize);
            }
            Event::EvaluationStart if !self.sanity => {
                self.renderer.end_split();
                let batches = std::mem::take(&mut self.batches);
                self.renderer.start_split("valid", batches as usize);
            }
            Event::BatchEnd {
                phase: Phase::Evaluation,
                batch,
                metrics,
            } if !self.sanity => {
                self.batches = batch + 1;
                self.show(metrics, Phase::Evaluation);
                self.renderer.update_split(self.batches as usize);
            }
            Event::EvaluationEnd { within_epoch, .. } if !self.sanity => {
                self.renderer.end_split();
                if *within_epoch {
                    self.start_training(context);
                    self.renderer.update_split(self.samples as usize);
                }
            }
            Event::EpochEnd { row } => self.renderer.update_epoch(row.epoch as usize + 1),
            Event::Notice { message } => self.renderer.log_event_training((*message).to_owned()),
            Event::FitEnd { .. } | Event::Failed { .. } => self.end()?,
            _ => {}
        }
        let asked = self
            .interrupter
            .as_ref()
            .is_some_and(Interrupter::should_stop);
        if asked && matches!(event, Event::UpdateEnd(_) | Event::EpochEnd { .. }) {
            return Ok(Control::Many(vec![
                Control::Checkpoint,
                Control::Interrupt {
                    reason: "ended in the dashboard".into(),
                },
            ]));
        }
        Ok(Control::Continue)
    }
}
