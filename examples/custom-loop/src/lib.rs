//! A training loop written by hand: schedules, initialisation, normalisation,
//! augmentation and the loader of firecraft, each taken as a single crate, and
//! burn for the rest. There is no trainer in it.
//!
//! [`run`] is the loop, [`find_lr`] a range test with the same parts. What each
//! crate adds to a plain burn loop is marked by its name.

mod compare;
mod model;

pub use compare::{Comparison, Row, compare};
pub use model::DigitNet;

use burn::module::Module as _;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::Device;
use firecraft_augment::{Compose, RandomRotationConfig, RandomTranslationConfig};
use firecraft_data::{Batch, Dataset as _, Digits, LoaderConfig, Splits};
use firecraft_init::{Activation, InitPlan};
use firecraft_key::Key;
use firecraft_schedule::{Horizon, LrFinder, LrFinderConfig, Scheduler as _, Schedulers, register};
use firecraft_spec::{Registries, Spec};

/// Any error of a run.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Epochs to train.
    pub epochs: u64,
    /// Samples in a batch.
    pub batch: usize,
    /// Seed of the weights, of the order and of the augmentation.
    pub seed: u64,
    /// The learning rate.
    pub schedule: Spec,
}

impl Default for Setup {
    /// Warm-up and cosine.
    fn default() -> Self {
        let cosine = Spec::new("cosine").with("start", 0.1).with("length", 1.0);
        Self {
            epochs: 12,
            batch: 64,
            seed: 1,
            schedule: Spec::new("warmup")
                .with("length", 0.1)
                .with("unit", "fraction")
                .with("inner", cosine.with("unit", "fraction")),
        }
    }
}

/// One epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochReport {
    /// Its number, from 0.
    pub number: u64,
    /// Learning rate of its last update.
    pub lr: f64,
    /// Mean loss over its batches.
    pub train_loss: f64,
    /// Mean loss on the validation set.
    pub loss: f64,
    /// The fraction of the validation set that was recognised.
    pub accuracy: f64,
}

/// The digits, split the same way for every run.
///
/// # Errors
/// If the embedded files are damaged.
pub fn data() -> Result<Splits, Error> {
    Ok(Digits::split(Key::from_seed(0))?)
}

/// Trains on `splits.train` and reports on every epoch; `splits.test` is left
/// alone.
///
/// # Errors
/// If the schedule is none or does not fit the run.
pub fn run(setup: &Setup, splits: &Splits) -> Result<Vec<EpochReport>, Error> {
    // firecraft-data: the same batches for any number of workers.
    let loader = LoaderConfig::new(setup.batch)
        .shuffled()
        .with_seed(setup.seed)
        .init(splits.train.clone())?;
    let validation = LoaderConfig::new(splits.validation.len()).init(splits.validation.clone())?;

    // firecraft-schedule: built from a spec, checked against the run.
    let horizon = Horizon::epochs(setup.epochs, loader.batches()? as u64);
    let mut registries = Registries::new();
    register(&mut registries)?;
    let mut schedule = registries.build::<Schedulers>(&setup.schedule)?;
    schedule.check(&horizon)?;

    let mut training = Training::new(setup.seed)?;
    let (mut update, mut metric, mut reports) = (0, None, Vec::new());
    let mut values = vec![0.0; schedule.width()];
    for epoch in 0..setup.epochs {
        let (mut sum, mut batches) = (0.0, 0.0);
        for batch in loader.epoch(epoch)? {
            // The metric is told once, on the first update after it was measured.
            let mut context = horizon.at(update);
            context.metric = metric.take();
            schedule.step(&context, &mut values);
            sum += training.update(&batch?, values[0]);
            batches += 1.0;
            update += 1;
        }
        let (loss, accuracy) = training.evaluate(&validation_batch(&validation)?);
        metric = Some(loss);
        reports.push(EpochReport {
            number: epoch,
            lr: values[0],
            train_loss: sum / batches,
            loss,
            accuracy,
        });
    }
    Ok(reports)
}

/// What changes from update to update.
struct Training {
    /// Taken out while the optimiser has it.
    model: Option<DigitNet>,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    device: Device,
}

impl Training {
    fn new(seed: u64) -> Result<Self, Error> {
        let device = Device::flex().autodiff();
        // firecraft-augment: a layer that acts in training only.
        let augment = Compose::new()
            .with(RandomRotationConfig::new(8.0 / 360.0))
            .with(RandomTranslationConfig::new(0.05, 0.05))
            .init(&device)?
            .with_seed(seed);
        // firecraft-norm is in the model, firecraft-init fills its parameters.
        let plan = InitPlan::for_activation(Activation::Relu)?;
        let model = DigitNet::new(augment, &device)?;
        let model = plan.apply(model, Key::from_seed(seed).named("init"))?;
        let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
        Ok(Self {
            model: Some(model),
            optimizer: SgdConfig::new().with_momentum(Some(momentum)).init(),
            loss: CrossEntropyLossConfig::new().init(&device),
            device,
        })
    }

    /// One update; the loss before it.
    fn update(&mut self, batch: &Batch, lr: f64) -> f64 {
        let Some(model) = self.model.take() else {
            return f64::NAN;
        };
        let batch = batch.to_tensors(&self.device);
        let loss = self.loss.forward(model.forward(batch.images), batch.labels);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        self.model = Some(self.optimizer.step(lr, model, gradients));
        value
    }

    /// Mean loss and accuracy in evaluation mode.
    fn evaluate(&self, batch: &Batch) -> (f64, f64) {
        let Some(model) = self.model.as_ref().map(DigitNet::valid) else {
            return (f64::NAN, f64::NAN);
        };
        let device = self.device.clone().inner();
        let count = batch.len() as f64;
        let batch = batch.to_tensors(&device);
        let logits = model.forward(batch.images);
        let found = logits.clone().argmax(1).flatten::<1>(0, 1);
        let right = found.equal(batch.labels.clone()).int().sum();
        let loss = CrossEntropyLossConfig::new().init(&device);
        let loss = loss.forward(logits, batch.labels);
        (
            f64::from(loss.into_scalar::<f32>()),
            right.into_scalar::<i64>() as f64 / count,
        )
    }
}

/// A range test on the digits: trains with a growing learning rate until the
/// loss diverges.
///
/// # Errors
/// If the configuration is wrong.
pub fn find_lr(config: &LrFinderConfig, seed: u64, splits: &Splits) -> Result<LrFinder, Error> {
    let loader = LoaderConfig::new(64)
        .shuffled()
        .with_seed(seed)
        .init(splits.train.clone())?;
    let mut finder = config.init()?;
    let mut training = Training::new(seed)?;
    for epoch in 0.. {
        for batch in loader.epoch(epoch)? {
            let loss = training.update(&batch?, finder.learning_rate());
            if finder.observe(loss) {
                return Ok(finder);
            }
        }
    }
    Ok(finder)
}

fn validation_batch(loader: &firecraft_data::Loader<Batch>) -> Result<Batch, Error> {
    let batch = loader.epoch(0)?.next();
    Ok(batch.ok_or("the validation set is empty")??)
}
