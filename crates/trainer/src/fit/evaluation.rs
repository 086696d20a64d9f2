//! Evaluations: before the run, within an epoch and at its end.

use burn::module::Module;
use firecraft_core_tensor::Key;

use super::{Fit, Flow, first};
use crate::average::Averaged;
use crate::error::TrainerError;
use crate::evaluate::values;
use crate::event::{Event, Phase};
use crate::metrics::{Means, Metrics};
use crate::model_state::ModelState;
use crate::recalibrate::recalibrate;
use crate::source::BatchSource;
use crate::task::Task;

/// When an evaluation is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before the training, on a few batches, to find faults.
    Sanity,
    WithinEpoch,
    EpochEnd,
}

impl<M, T, S, V> Fit<M, T, S, V>
where
    M: Module,
    T: Task<M>,
    S: BatchSource<Batch = T::Batch>,
    V: BatchSource<Batch = T::Batch>,
{
    /// Tries a few validation batches, so that a fault in them is found now.
    pub(super) fn sanity(&mut self) -> Result<Flow, TrainerError> {
        if self.parts.settings.sanity_batches == 0 || self.valid.is_none() {
            return Ok(Flow::On);
        }
        let mut flow = self.emit(&Event::SanityStart)?;
        flow = first(flow, self.evaluate(Moment::Sanity)?.1);
        Ok(first(flow, self.emit(&Event::SanityEnd)?))
    }

    /// Whether the updates made so far ask for an evaluation.
    pub(super) fn is_update_due(&self) -> bool {
        let every = self.parts.settings.validate_every_updates;
        every.is_some_and(|every| self.run.progress.update.is_multiple_of(every))
    }

    /// Whether an evaluation is due before the next update of the epoch.
    pub(super) fn is_evaluation_due(&self) -> bool {
        let progress = &self.run.progress;
        self.valid.is_some()
            && progress.batch > 0
            && self.is_update_due()
            && self.run.evaluated_at != Some(progress.update)
    }

    /// An evaluation between two updates of an epoch.
    pub(super) fn evaluate_within(&mut self) -> Result<Flow, TrainerError> {
        Ok(self.evaluate(Moment::WithinEpoch)?.1)
    }

    /// Validation metrics with their `val_` names; none without data.
    pub(super) fn evaluate(&mut self, moment: Moment) -> Result<(Metrics, Flow), TrainerError> {
        let Some(mut valid) = self.valid.take() else {
            return Ok((Metrics::default(), Flow::On));
        };
        let measured = self.evaluate_on(&mut valid, moment);
        self.valid = Some(valid);
        measured
    }

    fn evaluate_on(
        &mut self,
        valid: &mut V,
        moment: Moment,
    ) -> Result<(Metrics, Flow), TrainerError> {
        let settings = &self.parts.settings;
        let limit = match moment {
            Moment::Sanity => settings.sanity_batches,
            _ => settings.valid_batches.unwrap_or(u64::MAX),
        };
        let mut flow = self.emit(&Event::EvaluationStart)?;
        let within_epoch = moment == Moment::WithinEpoch;
        let cursor = within_epoch.then(|| self.train.cursor());
        if self.recalibrate()?
            && let Some(cursor) = cursor
        {
            self.train.restore(&cursor)?;
        }
        let device = self.device.clone().without_autodiff();
        let model = match &self.averaged {
            Some(averaged) => averaged.model().clone(),
            None => self.model()?.valid(),
        };
        let mut means = Means::default();
        valid.start_epoch(0)?;
        let phase = Phase::Evaluation;
        let mut batch = 0;
        while batch < limit {
            let Some(data) = valid.next_batch(&device)? else {
                break;
            };
            flow = first(flow, self.emit(&Event::BatchStart { phase, batch })?);
            let mut output = self.parts.task.eval_step(&model, data);
            if let Some(error) = output.error.take() {
                return Err(error);
            }
            let mut metrics = Metrics::default();
            for (name, value) in values(&output) {
                means.add(name, value, output.samples as f64);
                metrics.set(name, value);
            }
            let end = Event::BatchEnd {
                phase,
                batch,
                metrics: &metrics,
            };
            flow = first(flow, self.emit(&end)?);
            batch += 1;
        }
        let metrics = means.metrics("val_");
        if metrics.get("val_loss").is_none() {
            return Err(TrainerError::Data {
                split: "validation",
                problem: "it gave no batch; check the path and the skipped samples".into(),
            });
        }
        if moment != Moment::Sanity {
            let trained = self.run.means.metrics("");
            let value = monitored(&self.parts.monitor, &metrics, &trained)?;
            self.run.pending_metric = Some(value);
        }
        if within_epoch {
            // A checkpoint that is saved now must not make it again.
            self.run.evaluated_at = Some(self.run.progress.update);
        }
        let end = self.emit(&Event::EvaluationEnd {
            metrics: &metrics,
            within_epoch,
        })?;
        Ok((metrics, first(flow, end)))
    }
}

impl<M, T, S, V> Fit<M, T, S, V>
where
    M: Module,
    T: Task<M>,
    S: BatchSource<Batch = T::Batch>,
    V: BatchSource<Batch = T::Batch>,
{
    /// Computes the running statistics of the averaged model anew, if that is
    /// asked for and it has changed; the position in the training data is lost
    /// then. Doing it twice gives the same bits, so checkpoints need no note.
    pub(super) fn recalibrate(&mut self) -> Result<bool, TrainerError> {
        let rule = self.parts.settings.average;
        let Some((rule, batches)) = rule.and_then(|rule| Some((rule, rule.recalibrate?))) else {
            return Ok(false);
        };
        let Some(averaged) = &self.averaged else {
            return Ok(false);
        };
        let taken = averaged.taken();
        if self.recalibrated == taken {
            return Ok(false);
        }
        let key = Key::from_seed(self.parts.settings.seed).named("recalibrate");
        self.device.seed(key.words()[0]);
        // What is frozen now is frozen in the averaged model too.
        let values = ModelState::of(averaged.model());
        let model = values.apply(self.model()?.valid())?;
        let model = recalibrate(model, &self.parts.task, &mut self.train, batches)?;
        self.averaged = Some(Averaged::from_parts(rule, model, taken));
        self.recalibrated = taken;
        Ok(true)
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
