//! The loop.

mod evaluation;
mod requests;
mod rewind;
mod saved;
mod statistics;
pub(crate) use saved::checkpoint_name;
mod step;
mod switch;

use burn::module::Module;
use burn::tensor::Device;
use firecraft_schedule::Horizon;
use firecraft_spec::Value;

use self::evaluation::Moment;
use self::requests::{Requests, Skip};
use self::saved::Saving;
use crate::average::Averaged;
use crate::error::TrainerError;
use crate::event::{Context, Control, Event, LazySnapshot, Outcome, Plan, Progress};
use crate::metrics::{EpochRow, History, Means};
use crate::model_state::ModelState;
use crate::source::BatchSource;
use crate::task::Task;
use crate::trainer::{Fitted, Parts, Project, Trainer};

/// A trainer with its data, running.
pub(crate) struct Fit<M, T, S, V> {
    parts: Parts<T>,
    project: Option<Project<M>>,
    /// Only `None` while a step has the model.
    model: Option<M>,
    /// From the first average on.
    averaged: Option<Averaged<M>>,
    /// Averages taken when its statistics were last computed anew.
    recalibrated: u64,
    train: S,
    valid: Option<V>,
    /// What identifies `valid`, also while an evaluation has it.
    valid_data: Option<String>,
    device: Device,
    plan: Plan,
    batches_per_epoch: u64,
    run: Run,
    /// Position of the data before the running update.
    boundary: Option<Value>,
    /// Whether the running update has touched the running statistics.
    dirty: bool,
    /// Whether the source had no more batches in this epoch.
    exhausted: bool,
    /// A checkpoint that is being written in the background.
    saving: Option<Saving>,
}

/// A batch within its update.
struct Part {
    index: u64,
    micro_batch: u64,
    /// Whether gradients are weighted by samples, because several are added.
    weighted: bool,
}

/// Everything that changes in a run, apart from model, optimiser, scheduler,
/// callbacks and data.
#[derive(Default)]
struct Run {
    progress: Progress,
    history: History,
    means: Means,
    learning_rate: f64,
    learning_rate_scale: f64,
    /// Metric that the scheduler hasn't seen yet.
    pending_metric: Option<f64>,
    /// Times that the run went back to a checkpoint.
    rewinds: u64,
    /// The checkpoint it went back to last.
    rewound_to: Option<String>,
    /// Why the run is to stop once it is long enough.
    pending_stop: Option<String>,
    /// The update after which the last evaluation within an epoch was made.
    evaluated_at: Option<u64>,
}

/// How to go on after an event.
enum Flow {
    On,
    /// The run went back to a checkpoint: start over from its progress.
    Again,
    SkipTraining,
    SkipEpoch,
    End(Outcome),
}

impl<M, T, S, V> Fit<M, T, S, V>
where
    M: Module,
    T: Task<M>,
    S: BatchSource<Batch = T::Batch>,
    V: BatchSource<Batch = T::Batch>,
{
    pub(crate) fn new(
        trainer: Trainer<M, T>,
        train: S,
        valid: Option<V>,
    ) -> Result<Self, TrainerError> {
        let Trainer {
            model,
            project,
            parts,
        } = trainer;
        let settings = &parts.settings;
        parts.task.check()?;
        settings.check()?;
        parts.callbacks.check_keys()?;
        for penalty in &parts.penalties {
            penalty.check()?;
        }
        let width = parts.scheduler.width();
        if width != 1 {
            return Err(setting(
                "schedule",
                &format!("a scheduler of {width} values"),
                "a scheduler of one value, the learning rate",
            ));
        }

        let all = train.batches_per_epoch();
        let batches_per_epoch = settings
            .batches_per_epoch
            .map_or(all, |limit| limit.min(all));
        if batches_per_epoch == 0 {
            return Err(TrainerError::Data {
                split: "training",
                problem: "it has no batch; check the path and the batch size".into(),
            });
        }
        if valid
            .as_ref()
            .is_some_and(|valid| valid.batches_per_epoch() == 0)
        {
            return Err(TrainerError::Data {
                split: "validation",
                problem: "it has no batch; check the path or fit without validation".into(),
            });
        }
        let accumulation = &settings.accumulate;
        let epochs = settings.initial_epoch..settings.epochs;
        let mut total_updates = accumulation.updates(epochs, batches_per_epoch);
        if let Some(limit) = settings.max_updates {
            total_updates = total_updates.min(limit);
        }
        let plan = Plan {
            epochs: settings.epochs,
            updates_per_epoch: batches_per_epoch.div_ceil(accumulation.at(settings.initial_epoch)),
            total_updates,
            samples_per_epoch: train.samples_per_epoch(),
            evaluates: valid.is_some(),
        };
        let mut horizon = Horizon {
            has_metric: valid.is_some(),
            ..Horizon::epochs(plan.epochs, plan.updates_per_epoch)
        };
        if !accumulation.is_constant() {
            // Fractions of an epoch would be of another length in each.
            horizon.updates_per_epoch = None;
            horizon.total_updates = Some(total_updates);
        }
        parts.scheduler.check(&horizon)?;

        let model = model.train();
        // Statistics may sit on the plain device; parameters tell the strategy.
        let device = model.devices().into_iter().find(Device::is_autodiff);
        let device = device.or_else(|| model.devices().into_iter().next());
        let device = device.unwrap_or_default().autodiff();
        let progress = Progress {
            epoch: settings.initial_epoch,
            ..Progress::default()
        };
        Ok(Self {
            parts,
            project,
            model: Some(model),
            averaged: None,
            recalibrated: 0,
            train,
            valid_data: valid.as_ref().map(BatchSource::identity),
            valid,
            device,
            plan,
            batches_per_epoch,
            run: Run {
                progress,
                learning_rate_scale: 1.0,
                ..Run::default()
            },
            boundary: None,
            dirty: false,
            exhausted: false,
            saving: None,
        })
    }

    pub(crate) fn run(mut self) -> Result<Fitted<M>, TrainerError> {
        match self.run_inner() {
            Ok(outcome) => Ok(Fitted {
                model: self.take_model()?,
                averaged: self.averaged.take().map(Averaged::into_model),
                history: self.run.history,
                outcome,
                progress: self.run.progress,
            }),
            Err(error) => {
                // The first error is the one that matters.
                let _ = self.failed(&error);
                Err(error)
            }
        }
    }

    /// Tells the callbacks of an error, and saves a checkpoint if one of them
    /// asks for it and the run stands between two updates.
    fn failed(&mut self, error: &TrainerError) -> Result<(), TrainerError> {
        let asked = self.tell(&Event::Failed { error })?;
        self.wait_for_checkpoint()?;
        if asked.save && !self.dirty && self.model.is_some() {
            self.save()?;
            self.wait_for_checkpoint()?;
        }
        Ok(())
    }

    fn run_inner(&mut self) -> Result<Outcome, TrainerError> {
        let (resumed, notices) = if self.parts.resume {
            self.load_latest()?
        } else {
            (false, Vec::new())
        };
        let mut flow = self.emit(&Event::FitStart { resumed })?;
        for message in notices {
            flow = first(flow, self.emit(&Event::Notice { message: &message })?);
        }
        if !resumed && !matches!(flow, Flow::End(_)) {
            flow = first(flow, self.sanity()?);
        }
        let outcome = loop {
            if let Flow::End(outcome) = flow {
                break outcome;
            }
            if self.is_over() {
                break Outcome::Completed;
            }
            flow = self.epoch()?;
        };
        self.wait_for_checkpoint()?;
        if !matches!(outcome, Outcome::Interrupted { .. }) {
            self.recalibrate()?;
        }
        // Callbacks may put the best weights back at the very end.
        let _ = self.emit(&Event::FitEnd { outcome: &outcome })?;
        self.wait_for_checkpoint()?;
        Ok(outcome)
    }

    fn is_over(&self) -> bool {
        let progress = &self.run.progress;
        // A checkpoint may lie between the last update and its evaluation.
        progress.epoch >= self.plan.epochs || (progress.batch == 0 && self.has_all_updates())
    }

    fn has_all_updates(&self) -> bool {
        let limit = self.parts.settings.max_updates;
        limit.is_some_and(|limit| self.run.progress.update >= limit)
    }

    /// One epoch, or what is left of it after a restart.
    fn epoch(&mut self) -> Result<Flow, TrainerError> {
        self.exhausted = false;
        let accumulate = self.parts.settings.accumulate.at(self.run.progress.epoch);
        self.plan.updates_per_epoch = self.batches_per_epoch.div_ceil(accumulate);
        if self.run.progress.batch == 0 {
            self.train.start_epoch(self.run.progress.epoch)?;
            match self.emit(&Event::EpochStart)? {
                Flow::On => {}
                Flow::SkipTraining => self.run.progress.batch = self.batches_per_epoch,
                Flow::SkipEpoch => return self.end_epoch(false),
                other => return Ok(other),
            }
        }
        while self.run.progress.batch < self.batches_per_epoch
            && !self.exhausted
            && !self.has_all_updates()
        {
            let flow = if self.is_evaluation_due() {
                self.evaluate_within()?
            } else {
                self.update()?
            };
            match flow {
                Flow::On => {}
                Flow::SkipTraining => break,
                Flow::SkipEpoch => return self.end_epoch(false),
                Flow::Again => return Ok(Flow::On),
                Flow::End(outcome) => return Ok(Flow::End(outcome)),
            }
        }
        let every = self.parts.settings.validate_every;
        let due = (self.run.progress.epoch + 1).is_multiple_of(every);
        self.end_epoch(due || self.is_update_due())
    }

    fn end_epoch(&mut self, evaluate: bool) -> Result<Flow, TrainerError> {
        let mut metrics = self.run.means.metrics("");
        if metrics.get("loss").is_none() && self.exhausted {
            return Err(TrainerError::Data {
                split: "training",
                problem: "an epoch gave no sample; check the skipped samples".into(),
            });
        }
        let mut flow = Flow::On;
        if evaluate {
            let (measured, end) = self.evaluate(Moment::EpochEnd)?;
            flow = first(flow, end);
            for (name, value) in measured.iter() {
                metrics.set(name, value);
            }
        }
        let row = EpochRow {
            epoch: self.run.progress.epoch,
            update: self.run.progress.update,
            learning_rate: self.run.learning_rate,
            metrics,
        };
        self.run.history.push(row.clone());
        self.run.means.clear();
        self.run.progress.epoch += 1;
        self.run.progress.batch = 0;
        let end = first(flow, self.emit(&Event::EpochEnd { row: &row })?);
        // What is left out of an epoch is no matter once it is over.
        Ok(match end {
            Flow::End(outcome) => Flow::End(outcome),
            _ => self.stop_if_long_enough(),
        })
    }

    /// Tells the callbacks and does what they ask for.
    fn emit(&mut self, event: &Event<'_>) -> Result<Flow, TrainerError> {
        let asked = self.tell(event)?;
        self.perform(asked)
    }

    /// Tells the callbacks and collects what they ask for.
    fn tell(&mut self, event: &Event<'_>) -> Result<Requests, TrainerError> {
        let Some(model) = &self.model else {
            // Only after an error inside a step; there is nothing to show.
            return Ok(Requests::default());
        };
        // What is evaluated is what callbacks keep.
        let model = self.averaged.as_ref().map_or(model, Averaged::model);
        let snapshot = LazySnapshot::of(model);
        let context = Context::new(
            &self.run.progress,
            &self.plan,
            &self.run.history,
            self.run.learning_rate,
            self.run.evaluated_at,
            &snapshot,
        );
        let mut asked = Requests::default();
        for control in self.parts.callbacks.on(event, &context)? {
            self.add(&mut asked, control);
        }
        Ok(asked)
    }

    fn add(&mut self, asked: &mut Requests, control: Control) {
        match control {
            // Too early: it stops when the run has its least length.
            Control::Stop { reason } if !self.is_long_enough() => {
                self.run.pending_stop.get_or_insert(reason);
            }
            control => asked.add(control),
        }
    }

    fn is_long_enough(&self) -> bool {
        let settings = &self.parts.settings;
        let progress = &self.run.progress;
        progress.epoch >= settings.min_epochs && progress.update >= settings.min_updates
    }

    fn stop_if_long_enough(&mut self) -> Flow {
        if self.is_long_enough()
            && let Some(reason) = self.run.pending_stop.clone()
        {
            return Flow::End(Outcome::Stopped { reason });
        }
        Flow::On
    }

    /// Does what the callbacks asked for.
    fn perform(&mut self, asked: Requests) -> Result<Flow, TrainerError> {
        let mut flow = match (asked.outcome, asked.skip) {
            (Some(outcome), _) => Flow::End(outcome),
            (None, Skip::Training) => {
                // Also for a checkpoint that is saved now.
                self.run.progress.batch = self.batches_per_epoch;
                Flow::SkipTraining
            }
            (None, Skip::Epoch) => Flow::SkipEpoch,
            (None, _) => Flow::On,
        };
        if let Some(factor) = asked.learning_rate_factor {
            self.run.learning_rate_scale *= factor;
        }
        for message in asked.notices {
            flow = first(flow, self.emit(&Event::Notice { message: &message })?);
        }
        for switch in asked.switches {
            let model = self.take_model()?;
            self.model = Some(switch.apply(model));
        }
        // The checkpoint holds the weights of the run, not the restored ones; a
        // moment that is given up has none.
        if asked.save && asked.rewind.is_none() {
            flow = first(flow, self.save()?);
        } else if self.saving.as_ref().is_some_and(Saving::is_finished) {
            flow = first(flow, self.wait_for_checkpoint()?);
        }
        if let Some(state) = asked.restore {
            self.put(&state)?;
        }
        if let Some((factor, reason)) = asked.rewind {
            // Also when the fit ends now: what is given up is neither handed
            // out nor met again by the run that is resumed.
            let again = self.rewind(factor, &reason)?;
            flow = match flow {
                Flow::End(outcome) => Flow::End(outcome),
                _ => again,
            };
        }
        Ok(flow)
    }

    fn put(&mut self, state: &ModelState) -> Result<(), TrainerError> {
        if let (Some(averaged), Some(rule)) = (self.averaged.take(), self.parts.settings.average) {
            let taken = averaged.taken();
            let model = state.apply(averaged.into_model())?;
            self.averaged = Some(Averaged::from_parts(rule, model, taken));
            return Ok(());
        }
        let model = self.take_model()?;
        self.model = Some(state.apply(model)?);
        Ok(())
    }

    fn model(&self) -> Result<&M, TrainerError> {
        self.model.as_ref().ok_or(TrainerError::ModelLost)
    }

    fn take_model(&mut self) -> Result<M, TrainerError> {
        self.model.take().ok_or(TrainerError::ModelLost)
    }
}

/// The end of the fit goes before everything else, then what came first.
fn first(a: Flow, b: Flow) -> Flow {
    match (a, b) {
        (end @ Flow::End(_), _) | (_, end @ Flow::End(_)) => end,
        (Flow::On, b) => b,
        (a, _) => a,
    }
}

pub(crate) fn setting(field: &'static str, value: &str, allowed: &'static str) -> TrainerError {
    TrainerError::Setting {
        field,
        value: value.to_owned(),
        allowed,
    }
}
