//! Our schedulers in burn's own training loop.
//!
//! [`BurnLr`] is a burn [`LrScheduler`]: any schedule of this crate, in a
//! `Learner` or in a `ModuleLrScheduler` per parameter group. burn tells its
//! schedulers neither the epoch nor a metric; the first is computed from the
//! number of updates per epoch, the second comes through a [`MetricHandle`].

mod record;
#[cfg(feature = "burn-train")]
mod strategy;

#[cfg(feature = "burn-train")]
pub use strategy::MetricStrategy;

use crate::{Horizon, ScheduleError, Scheduler};
use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use burn::optim::LearningRate;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where metrics are left for schedulers that burn owns.
///
/// Clones are handles on the same place. Every [`BurnLr`] that holds one sees
/// each metric once, on its next step.
#[derive(Clone, Debug, Default)]
pub struct MetricHandle {
    /// How many metrics there were, and the last one.
    latest: Arc<Mutex<(u64, f64)>>,
}

impl MetricHandle {
    /// A handle without a metric.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves a metric; one that was not seen yet is replaced.
    pub fn offer(&self, metric: f64) {
        let mut latest = lock(&self.latest);
        *latest = (latest.0 + 1, metric);
    }

    fn latest(&self) -> (u64, f64) {
        *lock(&self.latest)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves numbers, not broken invariants.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of our schedulers as one of burn's.
///
/// Clones are independent, but listen to the same [`MetricHandle`]: burn clones
/// a scheduler when it loads a record.
///
/// ```
/// use burn::lr_scheduler::LrScheduler;
/// use firecraft_schedule::{BurnLr, MetricHandle, ReduceOnPlateauConfig, SchedulerExt};
/// let metric = MetricHandle::new();
/// let make = || ReduceOnPlateauConfig::new(0.1).with_patience(1u64).init()?.warmup(2.0);
/// let mut lr = BurnLr::new(make)?.with_metric(metric.clone());
/// assert_eq!([lr.step(), lr.step(), lr.step()], [0.0, 0.05, 0.1]);
/// metric.offer(0.5);
/// assert_eq!(lr.step(), 0.1);
/// metric.offer(0.5);
/// assert_eq!(lr.step(), 0.1 * 0.1);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
pub struct BurnLr<S> {
    make: Arc<dyn Fn() -> Result<S, ScheduleError> + Send + Sync>,
    /// burn wants its schedulers `Sync`; ours need not be.
    scheduler: Mutex<S>,
    out: Vec<f64>,
    slot: usize,
    horizon: Horizon,
    update: u64,
    metric: MetricHandle,
    /// The number of the last metric that was seen.
    seen: u64,
    /// A metric that was left before a checkpoint and not seen yet.
    pending: Option<f64>,
}

impl<S: Scheduler> BurnLr<S> {
    /// The scheduler that `make` makes. It is called again for every clone.
    ///
    /// # Errors
    /// What `make` reports.
    pub fn new(
        make: impl Fn() -> Result<S, ScheduleError> + Send + Sync + 'static,
    ) -> Result<Self, ScheduleError> {
        let scheduler = make()?;
        Ok(Self {
            out: vec![0.0; scheduler.width()],
            make: Arc::new(make),
            scheduler: Mutex::new(scheduler),
            slot: 0,
            horizon: Horizon {
                has_metric: true,
                ..Horizon::default()
            },
            update: 0,
            metric: MetricHandle::new(),
            seen: 0,
            pending: None,
        })
    }

    /// Tells the schedule what it may need to know of the run: the updates per
    /// epoch for lengths in epochs, the total for fractions.
    ///
    /// # Errors
    /// If the schedule does not fit such a run.
    pub fn with_horizon(mut self, horizon: Horizon) -> Result<Self, ScheduleError> {
        // Whether there is a metric is between the handle and its owner.
        self.horizon = Horizon {
            has_metric: true,
            ..horizon
        };
        lock(&self.scheduler).check(&self.horizon)?;
        Ok(self)
    }

    /// Listens to `metric`.
    #[must_use]
    pub fn with_metric(mut self, metric: MetricHandle) -> Self {
        self.seen = metric.latest().0;
        self.metric = metric;
        self
    }

    /// Gives burn the value of another slot than the first, for schedulers with
    /// one per parameter group.
    ///
    /// # Errors
    /// If there is no such slot.
    pub fn with_slot(mut self, slot: usize) -> Result<Self, ScheduleError> {
        let allowed = format!("< {}, the width of the schedule", self.out.len());
        crate::check::Check::of("burn_lr").that(slot < self.out.len(), "slot", allowed, slot)?;
        self.slot = slot;
        Ok(self)
    }

    fn take_metric(&mut self) -> Option<f64> {
        let (number, metric) = self.metric.latest();
        if number != self.seen {
            self.seen = number;
            self.pending = None;
            return Some(metric);
        }
        self.pending.take()
    }

    fn unseen_metric(&self) -> Option<f64> {
        let (number, metric) = self.metric.latest();
        if number == self.seen {
            self.pending
        } else {
            Some(metric)
        }
    }

    fn try_load(&mut self, record: &LrSchedulerRecord) -> Result<(), ScheduleError> {
        let state = record::read(record)?;
        let values = state.open("burn_lr", 1)?;
        self.update = values.get("update")?;
        self.pending = values.get("pending")?;
        self.seen = self.metric.latest().0;
        lock(&self.scheduler).restore(&values.inner("scheduler")?)
    }

    fn state(&self) -> crate::State {
        let state = crate::State::new("burn_lr", 1)
            .with_count("update", self.update)
            .with_inner("scheduler", lock(&self.scheduler).state());
        match self.unseen_metric() {
            Some(metric) => state.with("pending", metric),
            None => state,
        }
    }
}

impl<S: Scheduler> Clone for BurnLr<S> {
    /// # Panics
    /// If the function that made the scheduler fails now, or makes another one.
    fn clone(&self) -> Self {
        let copy = || -> Result<S, ScheduleError> {
            let mut scheduler = (self.make)()?;
            scheduler.restore(&lock(&self.scheduler).state())?;
            Ok(scheduler)
        };
        let scheduler = match copy() {
            Ok(scheduler) => scheduler,
            // burn's trait leaves no other way to say so.
            Err(error) => panic!("cannot clone a schedule: {error}"),
        };
        Self {
            make: Arc::clone(&self.make),
            scheduler: Mutex::new(scheduler),
            out: self.out.clone(),
            slot: self.slot,
            horizon: self.horizon,
            update: self.update,
            metric: self.metric.clone(),
            seen: self.seen,
            pending: self.pending,
        }
    }
}

impl<S: Scheduler + 'static> LrScheduler for BurnLr<S> {
    fn step(&mut self) -> LearningRate {
        let mut context = self.horizon.at(self.update);
        context.metric = self.take_metric();
        self.update += 1;
        let scheduler = self.scheduler.get_mut();
        let scheduler = scheduler.unwrap_or_else(PoisonError::into_inner);
        scheduler.step(&context, &mut self.out);
        self.out[self.slot]
    }

    fn to_record(&self) -> LrSchedulerRecord {
        record::write(&self.state())
    }

    /// # Panics
    /// If the record is of another schedule or damaged. burn's trait can't
    /// report it, and going on with a wrong learning rate would be worse.
    fn load_record(&mut self, record: LrSchedulerRecord) {
        if let Err(error) = self.try_load(&record) {
            panic!("cannot resume the schedule: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Combine, Combined, CosineConfig, Pure, ReduceOnPlateauConfig, SchedulerExt, Unit};

    /// Warm-up and cosine in epochs, times a plateau rule.
    fn make() -> Result<Combined, ScheduleError> {
        let cosine = Pure::new(CosineConfig::new(0.1, 8.0).init()?, Unit::FractionalEpochs);
        let warm = crate::WarmupConfig::new(2.0)
            .with_unit(Unit::Epochs)
            .init(cosine)?;
        let plateau = ReduceOnPlateauConfig::new(1.0).with_patience(1u64).init()?;
        Combined::new(Combine::Product, vec![warm.boxed(), plateau.boxed()])
    }

    fn lr(metric: &MetricHandle) -> BurnLr<Combined> {
        BurnLr::new(make)
            .unwrap()
            .with_horizon(Horizon::epochs(10, 4))
            .unwrap()
            .with_metric(metric.clone())
    }

    fn run(
        lr: &mut dyn LrScheduler,
        metric: &MetricHandle,
        updates: std::ops::Range<u64>,
    ) -> Vec<u64> {
        let step = |update: u64| {
            if update > 0 && update.is_multiple_of(4) {
                metric.offer((1.0 / update as f64).max(0.06));
            }
            lr.step().to_bits()
        };
        updates.map(step).collect()
    }

    #[test]
    fn records_are_lossless_at_every_update() {
        let whole = run(&mut lr(&MetricHandle::new()), &MetricHandle::new(), 0..40);
        let metric = MetricHandle::new();
        let fed = run(&mut lr(&metric), &metric, 0..40);
        assert_ne!(whole, fed, "the metric must matter");
        for split in 0..40 {
            let metric = MetricHandle::new();
            let mut first = lr(&metric);
            let mut values = run(&mut first, &metric, 0..split);
            let bytes = first.to_record().into_bytes().unwrap();
            let record = LrSchedulerRecord::from_bytes(bytes).unwrap();
            let metric = MetricHandle::new();
            let mut second = lr(&metric);
            second.load_record(record);
            values.extend(run(&mut second, &metric, split..40));
            assert_eq!(values, fed, "split at {split}");
        }
    }

    #[test]
    fn a_metric_that_was_left_before_a_checkpoint_is_not_lost() {
        let metric = MetricHandle::new();
        let mut first = lr(&metric);
        run(&mut first, &metric, 0..20);
        metric.offer(9.0);
        let record = first.to_record();
        let mut second = lr(&MetricHandle::new());
        second.load_record(record);
        assert_eq!(second.step(), first.step());
        assert_eq!(second.step(), first.step());
    }

    #[test]
    fn clones_are_independent_but_hear_the_same_metric() {
        let metric = MetricHandle::new();
        let mut one = lr(&metric);
        run(&mut one, &metric, 0..17);
        let mut other = one.clone();
        metric.offer(9.0);
        let values: Vec<f64> = (0..10).map(|_| one.step()).collect();
        let again: Vec<f64> = (0..10).map(|_| other.step()).collect();
        assert_eq!(values, again);
    }

    #[test]
    #[should_panic(expected = "cannot resume the schedule")]
    fn the_record_of_another_schedule_is_not_taken_in_silence() {
        let constant = || Ok(Pure::updates(crate::ConstantConfig::new(0.1).init()?));
        let record = BurnLr::new(constant).unwrap().to_record();
        lr(&MetricHandle::new()).load_record(record);
    }

    #[test]
    #[should_panic(expected = "cannot resume the schedule")]
    fn the_record_of_a_scheduler_of_burn_is_not_taken_in_silence() {
        lr(&MetricHandle::new()).load_record(LrSchedulerRecord::new().with_scalar("step", 3_u64));
    }

    #[test]
    fn each_group_has_its_own_slot() {
        let make = || make()?.per_group([("backbone", 0.1), ("head", 1.0)]);
        let group = |slot| BurnLr::new(make).unwrap().with_slot(slot).unwrap();
        let (mut backbone, mut head) = (group(0), group(1));
        let horizon = Horizon::epochs(10, 4);
        backbone = backbone.with_horizon(horizon).unwrap();
        head = head.with_horizon(horizon).unwrap();
        for _ in 0..10 {
            assert_eq!(backbone.step(), head.step() * 0.1);
        }
        assert!(BurnLr::new(make).unwrap().with_slot(2).is_err());
    }
}
