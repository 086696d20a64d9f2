//! One optimiser update.

use std::rc::Rc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use firecraft_core_tensor::{Key, StepKey, set_step_key};
use firecraft_schedule::{StepContext, step_value};

use super::requests::{Requests, Skip};
use super::statistics::Statistics;
use super::{Fit, Flow, Part};
use crate::average::Averaged;
use crate::clip::scale_all;
use crate::error::TrainerError;
use crate::evaluate::values;
use crate::event::{Event, Phase, Update};
use crate::metrics::{Means, Metrics};
use crate::source::BatchSource;
use crate::task::{StepOutput, Task};
use crate::trainer::NonFinite;

/// What the batches of an update add up to.
#[derive(Default)]
struct Sum {
    gradients: Option<GradientsParams>,
    samples: u64,
    means: Means,
    /// The first quantity that is not finite.
    broken: Option<(&'static str, f64)>,
    /// What the model held before the first batch.
    before: Option<Rc<Statistics>>,
}

impl<M, T, S, V> Fit<M, T, S, V>
where
    M: Module,
    T: Task<M>,
    S: BatchSource<Batch = T::Batch>,
    V: BatchSource<Batch = T::Batch>,
{
    /// Makes an update of the batches that come next.
    pub(super) fn update(&mut self) -> Result<Flow, TrainerError> {
        let left = self.batches_per_epoch - self.run.progress.batch;
        let accumulate = &self.parts.settings.accumulate;
        let planned = accumulate.at(self.run.progress.epoch).min(left);
        self.boundary = Some(self.train.cursor());

        let mut sum = Sum::default();
        let mut asked = Requests::default();
        let mut taken = 0;
        let mut last = Metrics::default();
        for micro_batch in 0..planned {
            let index = self.run.progress.batch + micro_batch;
            let Some(batch) = self.train.next_batch(&self.device)? else {
                self.exhausted = true;
                break;
            };
            taken += 1;
            if micro_batch > 0 {
                // The batch before this one is done with; an update remains.
                let end = self.batch_end(index - 1, &last)?;
                asked.merge(end);
            }
            asked.merge(self.tell(&Event::BatchStart {
                phase: Phase::Train,
                batch: index,
            })?);
            last = Metrics::default();
            if asked.skip < Skip::Batch && !asked.breaks_off() {
                let part = Part {
                    index,
                    micro_batch,
                    weighted: planned > 1,
                };
                last = self.backward(batch, &part, &mut sum, &mut asked)?;
            }
            if asked.breaks_off() {
                self.put_back(sum.before.as_deref())?;
                return self.break_off(asked, taken);
            }
            if asked.skip == Skip::Batch {
                asked.skip = Skip::Nothing;
            }
        }
        if taken == 0 {
            self.boundary = None;
            return Ok(Flow::On);
        }
        self.finish(sum, asked, taken, planned, &last)
    }

    /// Forward and backward pass of a batch; gives its means.
    fn backward(
        &mut self,
        batch: T::Batch,
        part: &Part,
        sum: &mut Sum,
        asked: &mut Requests,
    ) -> Result<Metrics, TrainerError> {
        let step = StepKey {
            seed: self.parts.settings.seed,
            update: self.run.progress.update,
            micro_batch: part.micro_batch,
            rank: 0,
        };
        self.device.seed(generator_seed(&step));
        let model = set_step_key(self.take_model()?, &step);
        // A batch that is left out must not stay in the running statistics.
        let before = Statistics::of(&model).map(Rc::new);
        if sum.before.is_none() {
            sum.before.clone_from(&before);
        }
        // From here on they are those of a part of an update.
        self.dirty = true;
        let mut output = self.parts.task.train_step(&model, batch);
        if output.gradients.is_some() && !self.parts.penalties.is_empty() {
            output.error.get_or_insert(TrainerError::Setting {
                field: "penalty",
                value: "given".into(),
                allowed: "none for a task that makes its own backward pass",
            });
        }
        if let Some(error) = output.error.take() {
            self.model = Some(model);
            return Err(error);
        }
        self.penalise(&model, &mut output);
        self.model = Some(model);
        let values = values(&output);
        let loss = values.first().map_or(f64::NAN, |value| value.1);
        asked.merge(self.tell(&Event::ForwardEnd {
            batch: part.index,
            micro_batch: part.micro_batch,
            loss,
        })?);
        if asked.skip >= Skip::Batch || asked.breaks_off() {
            self.put_back(before.as_deref())?;
            return Ok(Metrics::default());
        }
        let model = self.model.as_ref().ok_or(TrainerError::ModelLost)?;
        let gradients = match output.gradients {
            Some(gradients) => gradients,
            None => GradientsParams::from_grads(output.loss.backward(), model),
        };
        asked.merge(self.tell(&Event::BackwardEnd {
            batch: part.index,
            micro_batch: part.micro_batch,
        })?);
        if asked.skip >= Skip::Batch || asked.breaks_off() {
            self.put_back(before.as_deref())?;
            return Ok(Metrics::default());
        }
        if !loss.is_finite() {
            sum.broken.get_or_insert(("loss", loss));
        }
        let model = self.model.as_ref().ok_or(TrainerError::ModelLost)?;
        let weighted = if part.weighted {
            scale_all(model, gradients, output.samples as f64)
        } else {
            gradients
        };
        sum.gradients = Some(match sum.gradients.take() {
            None => weighted,
            Some(sum) => add(model, sum, weighted),
        });
        sum.samples += output.samples;
        let mut metrics = Metrics::default();
        for (name, value) in values {
            sum.means.add(name, value, output.samples as f64);
            metrics.set(name, value);
        }
        Ok(metrics)
    }

    /// Takes what left-out batches did to the running statistics back.
    fn put_back(&mut self, before: Option<&Statistics>) -> Result<(), TrainerError> {
        if let Some(before) = before {
            let model = self.take_model()?;
            self.model = Some(before.put_back(model));
        }
        Ok(())
    }

    fn penalise(&self, model: &M, output: &mut StepOutput) {
        let penalties = &self.parts.penalties;
        let parts = penalties.iter().filter_map(|part| part.forward(model));
        if let Some(penalty) = parts.reduce(|a, b| a + b) {
            output.metrics.push(("penalty", penalty.clone()));
            output.loss = output.loss.clone() + penalty;
        }
    }

    /// The part of an update after its last batch.
    fn finish(
        &mut self,
        mut sum: Sum,
        mut asked: Requests,
        taken: u64,
        planned: u64,
        last: &Metrics,
    ) -> Result<Flow, TrainerError> {
        let update = self.run.progress.update;
        let learning_rate = self.schedule(update)?;
        let mut gradient_norm = None;
        let mut applied = false;
        if sum.samples > 0 {
            asked.merge(self.tell(&Event::UpdateStart)?);
            let model = self.take_model()?;
            let mut gradients = sum.gradients.take().unwrap_or_default();
            if planned > 1 {
                gradients = scale_all(&model, gradients, 1.0 / sum.samples as f64);
            }
            let (gradients, norm) = self.parts.settings.clip.apply(&model, gradients);
            gradient_norm = norm;
            if let Some(norm) = norm.filter(|norm| !norm.is_finite()) {
                sum.broken.get_or_insert(("gradient", norm));
            }
            let allowed = self.parts.settings.non_finite == NonFinite::Allow;
            applied = asked.skip < Skip::Update
                && !asked.breaks_off()
                && (sum.broken.is_none() || allowed);
            self.model = Some(match (&mut self.project, applied) {
                (_, false) => model,
                (None, true) => self.parts.optimizer.step(learning_rate, model, gradients),
                (Some(project), true) => {
                    project(self.parts.optimizer.step(learning_rate, model, gradients))?
                }
            });
            if let Some((quantity, value)) = sum.broken {
                self.not_finite(quantity, value, &mut asked)?;
                if self.parts.settings.non_finite == NonFinite::Skip {
                    self.put_back(sum.before.as_deref())?;
                }
            }
        }
        if asked.skip <= Skip::Batch {
            asked.skip = Skip::Nothing;
        }
        self.average(update + 1)?;
        let metrics = sum.means.metrics("");
        if sum.broken.is_none() || applied {
            for (name, value) in metrics.iter() {
                self.run.means.add(name, value, sum.samples as f64);
            }
        }
        let first = self.run.progress.batch;
        self.run.progress.update += 1;
        self.run.progress.batch += taken;
        self.run.progress.samples += sum.samples;
        self.boundary = None;
        self.dirty = false;
        let done = Update {
            loss: metrics.get("loss").unwrap_or(f64::NAN),
            metrics,
            learning_rate,
            gradient_norm,
            samples: sum.samples,
            applied,
        };
        if !asked.breaks_off() {
            asked.merge(self.tell(&Event::UpdateEnd(&done))?);
            asked.merge(self.batch_end(first + taken - 1, last)?);
        }
        if let Some(limit) = self.parts.settings.max_updates
            && self.run.progress.update >= limit
        {
            asked.skip = asked.skip.max(Skip::Training);
        }
        self.perform(asked)
    }

    /// Ends the running update without changing anything.
    fn break_off(&mut self, asked: Requests, taken: u64) -> Result<Flow, TrainerError> {
        self.run.progress.batch += taken;
        self.boundary = None;
        self.dirty = false;
        self.perform(asked)
    }

    fn batch_end(&mut self, batch: u64, metrics: &Metrics) -> Result<Requests, TrainerError> {
        self.tell(&Event::BatchEnd {
            phase: Phase::Train,
            batch,
            metrics,
        })
    }

    /// Does what the policy for a loss or gradient that is not finite says.
    fn not_finite(
        &mut self,
        quantity: &'static str,
        value: f64,
        asked: &mut Requests,
    ) -> Result<(), TrainerError> {
        let update = self.run.progress.update;
        match self.parts.settings.non_finite {
            NonFinite::Stop => Err(TrainerError::NotFinite {
                quantity,
                value,
                update,
            }),
            NonFinite::Skip | NonFinite::Allow => Ok(()),
            NonFinite::Rewind { factor, at_most } => {
                if self.run.rewinds >= at_most {
                    return Err(TrainerError::NotFinite {
                        quantity,
                        value,
                        update,
                    });
                }
                asked.rewind = Some((factor, format!("the {quantity} is {value}")));
                Ok(())
            }
        }
    }

    fn average(&mut self, updates: u64) -> Result<(), TrainerError> {
        let Some(rule) = self.parts.settings.average else {
            return Ok(());
        };
        if rule.is_due(updates) {
            let model = self.model.as_ref().ok_or(TrainerError::ModelLost)?;
            match &mut self.averaged {
                Some(averaged) => averaged.update(model),
                None => self.averaged = Some(Averaged::new(rule, model)),
            }
        }
        if rule.overwrites(updates) && self.averaged.is_some() {
            let model = self.take_model()?;
            if let Some(averaged) = &self.averaged {
                self.model = Some(averaged.overwrite(model));
            }
        }
        Ok(())
    }

    fn schedule(&mut self, update: u64) -> Result<f64, TrainerError> {
        let context = StepContext {
            update,
            epoch: self.run.progress.epoch,
            total_updates: Some(self.plan.total_updates),
            updates_per_epoch: (self.parts.settings.accumulate.is_constant())
                .then_some(self.plan.updates_per_epoch),
            metric: self.run.pending_metric.take(),
        };
        let value = step_value(&mut self.parts.scheduler, &context);
        let learning_rate = value * self.run.learning_rate_scale;
        if !(learning_rate >= 0.0 && learning_rate.is_finite()) {
            return Err(TrainerError::Setting {
                field: "learning_rate",
                value: match self.parts.scheduler.state().failure() {
                    Some(reason) => format!("{learning_rate} at update {update} ({reason})"),
                    None => format!("{learning_rate} at update {update}"),
                },
                allowed: "a finite number of at least 0; check the schedule",
            });
        }
        self.run.learning_rate = learning_rate;
        Ok(learning_rate)
    }
}

/// Seed of burn's own generator for a step, of which its dropout layers draw.
fn generator_seed(step: &StepKey) -> u64 {
    Key::from_seed(step.seed)
        .named("burn")
        .fold(step.rank)
        .fold(step.update)
        .fold(step.micro_batch)
        .words()[0]
}

fn add<M: Module>(model: &M, a: GradientsParams, b: GradientsParams) -> GradientsParams {
    struct Add {
        a: GradientsParams,
        b: GradientsParams,
    }
    impl ModuleVisitor for Add {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(b) = self.b.remove::<D>(param.id) {
                let sum = match self.a.remove::<D>(param.id) {
                    Some(a) => a + b,
                    None => b,
                };
                self.a.register(param.id, sum);
            }
        }
    }
    let mut add = Add { a, b };
    model.visit(&mut add);
    add.a
}
