//! The loop.

mod saved;
pub(crate) use saved::checkpoint_name;
mod step;

use burn::module::Module;
use burn::tensor::Device;
use firecraft_schedule::Horizon;

use crate::error::TrainerError;
use crate::event::{Context, Control, Event, LazySnapshot, Outcome, Plan, Progress};
use crate::metrics::{EpochRow, History, Means, Metrics};
use crate::model_state::ModelState;
use crate::source::BatchSource;
use crate::task::{StepOutput, Task};
use crate::trainer::{Fitted, Parts, Trainer};

/// A trainer with its data, running.
pub(crate) struct Fit<M, T, S, V> {
    parts: Parts<T>,
    /// Only `None` while a step has the model.
    model: Option<M>,
    train: S,
    valid: Option<V>,
    device: Device,
    plan: Plan,
    batches_per_epoch: u64,
    run: Run,
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
}

/// How to go on after an event.
enum Flow {
    On,
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
        let Trainer { model, parts } = trainer;
        let settings = &parts.settings;
        parts.task.check()?;
        settings.clip.check()?;
        parts.callbacks.check_keys()?;
        for (field, value) in [
            ("epochs", settings.epochs),
            ("accumulate", settings.accumulate),
            ("limit_batches", settings.batches_per_epoch.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(setting(field, "0", "at least 1"));
            }
        }
        if i64::try_from(settings.seed).is_err() {
            return Err(setting("seed", &settings.seed.to_string(), "below 2^63"));
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
        let updates_per_epoch = batches_per_epoch.div_ceil(settings.accumulate);
        let plan = Plan {
            epochs: settings.epochs,
            updates_per_epoch,
            total_updates: settings.epochs * updates_per_epoch,
            samples_per_epoch: train.samples_per_epoch(),
        };
        parts.scheduler.check(&Horizon {
            has_metric: valid.is_some(),
            ..Horizon::epochs(plan.epochs, plan.updates_per_epoch)
        })?;

        let model = model.train();
        // Statistics may sit on the plain device; parameters tell the strategy.
        let device = model.devices().into_iter().find(Device::is_autodiff);
        let device = device.or_else(|| model.devices().into_iter().next());
        let device = device.unwrap_or_default().autodiff();
        Ok(Self {
            parts,
            model: Some(model),
            train,
            valid,
            device,
            plan,
            batches_per_epoch,
            run: Run {
                learning_rate_scale: 1.0,
                ..Run::default()
            },
        })
    }

    pub(crate) fn run(mut self) -> Result<Fitted<M>, TrainerError> {
        match self.run_inner() {
            Ok(outcome) => Ok(Fitted {
                model: self.take_model()?,
                history: self.run.history,
                outcome,
                progress: self.run.progress,
            }),
            Err(error) => {
                // The first error is the one that matters.
                let _ = self.emit(&Event::Failed { error: &error });
                Err(error)
            }
        }
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
        let outcome = loop {
            if let Flow::End(outcome) = flow {
                break outcome;
            }
            if self.run.progress.epoch >= self.plan.epochs {
                break Outcome::Completed;
            }
            flow = self.epoch()?;
        };
        // Callbacks may put the best weights back at the very end.
        let _ = self.emit(&Event::FitEnd { outcome: &outcome })?;
        Ok(outcome)
    }

    /// One epoch, or what is left of it after a restart.
    fn epoch(&mut self) -> Result<Flow, TrainerError> {
        if self.run.progress.batch == 0 {
            self.train.start_epoch(self.run.progress.epoch)?;
            if let Flow::End(outcome) = self.emit(&Event::EpochStart)? {
                return Ok(Flow::End(outcome));
            }
        }
        while self.run.progress.batch < self.batches_per_epoch {
            let Some(update) = self.update()? else {
                break;
            };
            if let Flow::End(outcome) = self.emit(&Event::UpdateEnd(&update))? {
                return Ok(Flow::End(outcome));
            }
        }
        let mut metrics = self.run.means.metrics("");
        if metrics.get("loss").is_none() {
            return Err(TrainerError::Data {
                split: "training",
                problem: "an epoch gave no sample; check the skipped samples".into(),
            });
        }
        let mut flow = Flow::On;
        if self.valid.is_some() {
            flow = first(flow, self.emit(&Event::EvaluationStart)?);
            let measured = self.evaluate()?;
            self.run.pending_metric = Some(monitored(&self.parts.monitor, &measured, &metrics)?);
            for (name, value) in measured.iter() {
                metrics.set(name, value);
            }
            flow = first(
                flow,
                self.emit(&Event::EvaluationEnd { metrics: &measured })?,
            );
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
        Ok(first(flow, self.emit(&Event::EpochEnd { row: &row })?))
    }

    fn evaluate(&mut self) -> Result<Metrics, TrainerError> {
        let model = self.model()?.valid();
        let device = self.device.clone().without_autodiff();
        let mut means = Means::default();
        let Some(valid) = &mut self.valid else {
            return Ok(Metrics::default());
        };
        valid.start_epoch(0)?;
        while let Some(batch) = valid.next_batch(&device)? {
            add_output(&mut means, &self.parts.task.eval_step(&model, batch));
        }
        Ok(means.metrics("val_"))
    }

    /// Tells the callbacks and does what they ask for.
    fn emit(&mut self, event: &Event<'_>) -> Result<Flow, TrainerError> {
        let controls = {
            let Some(model) = &self.model else {
                // Only after an error inside a step; there is nothing to show.
                return Ok(Flow::On);
            };
            let snapshot = LazySnapshot::of(model);
            let context = Context::new(
                &self.run.progress,
                &self.plan,
                &self.run.history,
                self.run.learning_rate,
                &snapshot,
            );
            self.parts.callbacks.on(event, &context)?
        };
        let mut flow = Flow::On;
        let mut save = false;
        let mut restore = None;
        let mut notices = Vec::new();
        for control in controls {
            match control {
                Control::Checkpoint => save = true,
                Control::Stop { reason } => {
                    flow = first(flow, Flow::End(Outcome::Stopped { reason }));
                }
                Control::Interrupt { reason } => {
                    flow = first(flow, Flow::End(Outcome::Interrupted { reason }));
                }
                Control::ScaleLearningRate(factor) => self.run.learning_rate_scale *= factor,
                Control::Restore(state) => restore = Some(state),
                Control::Notice(message) => notices.push(message),
                Control::Continue | Control::Many(_) => {}
            }
        }
        for message in notices {
            flow = first(flow, self.emit(&Event::Notice { message: &message })?);
        }
        // The checkpoint holds the weights of the run, not the restored ones.
        if save && let Some((name, path)) = self.save()? {
            let saved = Event::CheckpointSaved {
                name: &name,
                path: &path,
            };
            flow = first(flow, self.emit(&saved)?);
        }
        if let Some(state) = restore {
            self.put(&state)?;
        }
        Ok(flow)
    }

    fn put(&mut self, state: &ModelState) -> Result<(), TrainerError> {
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

/// Adds the values of a batch; on a GPU this is the one transfer of a step.
fn add_output(means: &mut Means, output: &StepOutput) -> Vec<(&'static str, f64)> {
    let mut names = vec!["loss"];
    let mut values = vec![output.loss.clone().without_autodiff()];
    for (name, value) in &output.metrics {
        names.push(name);
        values.push(value.clone().without_autodiff());
    }
    let values = burn::tensor::Tensor::cat(values, 0).into_data();
    let values: Vec<(&'static str, f64)> = names.into_iter().zip(values.iter::<f64>()).collect();
    for &(name, value) in &values {
        means.add(name, value, output.samples as f64);
    }
    values
}

fn first(a: Flow, b: Flow) -> Flow {
    match a {
        Flow::On => b,
        end => end,
    }
}

fn monitored(name: &str, measured: &Metrics, trained: &Metrics) -> Result<f64, TrainerError> {
    measured
        .get(name)
        .or_else(|| trained.get(name))
        .ok_or_else(|| TrainerError::UnknownMetric {
            name: name.to_owned(),
            known: format!("{}, {}", trained.known(), measured.known()),
        })
}

fn setting(field: &'static str, value: &str, allowed: &'static str) -> TrainerError {
    TrainerError::Setting {
        field,
        value: value.to_owned(),
        allowed,
    }
}
