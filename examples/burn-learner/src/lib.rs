//! burn's own `Learner`, unchanged, with a learning rate of `firecraft-schedule`:
//! a warm-up, then `ReduceOnPlateau` on the validation loss, for two parameter
//! groups.
//!
//! burn's schedulers are told neither a metric nor the epoch. Three lines bridge
//! that: a [`MetricHandle`], a [`BurnLr`] per parameter group that listens to it,
//! and a [`MetricStrategy`] around burn's checkpointing strategy that feeds it.
//!
//! With several workers burn's own multi-device strategy trains. All that a
//! schedule has to be told then is how many updates an epoch has:
//! [`updates_per_epoch`].

mod model;
mod report;

pub use model::DigitNet;
pub use report::{EpochReport, Recorded};

use burn::module::ParamGroup;
use burn::optim::SgdConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::momentum::MomentumConfig;
use burn::tensor::Device;
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::metric::{AccuracyMetric, LearningRateMetric, LossMetric};
use burn::train::{ExecutionStrategy, Learner, MultiDeviceOptim, SupervisedTraining};
use firecraft_data::{Batch, BurnLoader, DataError, Digits, Loader, LoaderConfig};
use firecraft_schedule::{
    BurnLr, Horizon, MetricHandle, MetricStrategy, PerGroup, ReduceOnPlateauConfig, ScheduleError,
    SchedulerExt as _, Unit, Warmup, WarmupConfig,
};
use report::{Reporter, Silent};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Epochs to train.
    pub epochs: usize,
    /// Samples in a batch.
    pub batch: usize,
    /// Epochs of warm-up.
    pub warmup: f64,
    /// The rule that follows the metric.
    pub plateau: ReduceOnPlateauConfig,
    /// What it follows, of the validation set, by burn's name.
    pub metric: String,
    /// Seed of the weights and of the order of the samples.
    pub seed: u64,
    /// Workers that share out each epoch, at least 1; one device each, the same
    /// one here.
    ///
    /// burn adds their gradients and doesn't divide by their number: a learning
    /// rate that was chosen for one worker has to be divided by it.
    pub workers: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch: 64,
            warmup: 2.0,
            plateau: ReduceOnPlateauConfig::new(0.3)
                .with_factor(0.3)
                .with_patience(2u64)
                .with_min_delta(1e-3),
            metric: "Loss".to_owned(),
            seed: 1,
            workers: 1,
        }
    }
}

/// The schedule of a run: warm-up, then plateau; the head learns half as fast.
type Schedule = PerGroup<Warmup<firecraft_schedule::ReduceOnPlateau>>;

impl Setup {
    /// The schedule, made anew.
    ///
    /// # Errors
    /// If a number is outside its range.
    pub fn schedule(&self) -> Result<Schedule, ScheduleError> {
        WarmupConfig::new(self.warmup)
            .with_unit(Unit::FractionalEpochs)
            .init(self.plateau.init()?)?
            .per_group([("body", 1.0), ("head", 0.5)])
    }
}

/// Updates that burn makes in an epoch when it shares out `loader` among
/// `workers` (0 counts as 1).
///
/// Each worker reads a part of the epoch, and one batch of every worker makes one
/// update, so the part with the most batches counts. The parts are cut between
/// samples and keep the batches of the whole: a batch that is cut counts in both.
///
/// # Errors
/// If the loader has nothing to give.
pub fn updates_per_epoch(loader: &Loader<Batch>, workers: usize) -> Result<u64, DataError> {
    // As burn's `split_dataloader` cuts: the last one gets the rest.
    let samples = loader.epoch_samples()?;
    let workers = workers.max(1);
    let share = samples / workers;
    let mut most = 0;
    for worker in 0..workers {
        let end = if worker + 1 == workers {
            samples
        } else {
            (worker + 1) * share
        };
        most = most.max(loader.slice(worker * share, end).batches()?);
    }
    Ok(most as u64)
}

/// Trains in `folder`, from the checkpoint of epoch `from` if there is one, and
/// reports on each epoch.
///
/// # Errors
/// If the data can't be read, the schedule does not fit the run, or burn's
/// training fails.
pub fn train(
    setup: &Setup,
    folder: &Path,
    from: Option<usize>,
) -> Result<Vec<EpochReport>, Box<dyn Error>> {
    let device = Device::flex();
    device.seed(setup.seed);
    let digits = Digits::split(firecraft_key::Key::from_seed(0))?;
    let validation = LoaderConfig::new(180).init(digits.validation)?;
    let training = LoaderConfig::new(setup.batch)
        .shuffled()
        .with_seed(setup.seed)
        .init(digits.train)?;
    let updates_per_epoch = updates_per_epoch(&training, setup.workers)?;
    let tensors = |batch: Batch, device: &Device| batch.to_tensors(device);
    let training =
        BurnLoader::new(training, device.clone(), tensors).starting_at(from.unwrap_or(0) as u64);
    let validation = BurnLoader::new(validation, device.clone(), tensors).fixed();

    let run = Horizon::epochs(setup.epochs as u64, updates_per_epoch);
    let metric = MetricHandle::new();
    let group = |slot: usize| {
        let setup = setup.clone();
        BurnLr::new(move || setup.schedule())?
            .with_slot(slot)?
            .with_horizon(run)
            .map(|lr| Recorded::new(lr.with_metric(metric.clone())))
    };
    let (body, head) = (group(0)?, group(1)?);
    let reporter = Reporter::new(body.last(), head.last());
    let reports = reporter.reports();
    let schedulers =
        ModuleLrScheduler::new(body).with_group(ParamGroup::from_predicate("head"), head);

    let optimizer = SgdConfig::new().with_momentum(Some(MomentumConfig::new().with_dampening(0.0)));
    let mut training = SupervisedTraining::new(folder, Arc::new(training), Arc::new(validation))
        .metrics((LossMetric::new(), AccuracyMetric::new()))
        .metric_train_numeric(LearningRateMetric::new())
        .with_default_checkpointers()
        .with_checkpointing_strategy(MetricStrategy::new(
            setup.metric.as_str(),
            metric.clone(),
            reporter.around(KeepLastNCheckpoints::new(2)),
        ))
        .renderer(Box::new(Silent))
        .num_epochs(setup.epochs);
    if setup.workers > 1 {
        let devices = vec![device.clone(); setup.workers];
        training = training.with_training_strategy(
            ExecutionStrategy::multi(devices, MultiDeviceOptim::OptimMainDevice).into(),
        );
    }
    if let Some(epoch) = from {
        training = training.checkpoint(epoch);
    }
    let model = DigitNet::new(&device.autodiff());
    let result = training.launch(Learner::new(model, optimizer.init(), schedulers));
    if let Some(error) = result.error {
        return Err(error.to_string().into());
    }
    Ok(std::mem::take(
        &mut *reports.lock().map_err(|e| e.to_string())?,
    ))
}
