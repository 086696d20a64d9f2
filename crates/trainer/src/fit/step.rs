//! One optimiser update.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use firecraft_core_tensor::{Key, StepKey, set_step_key};
use firecraft_schedule::{StepContext, step_value};

use super::{Fit, add_output};
use crate::clip::scale_all;
use crate::error::TrainerError;
use crate::event::Update;
use crate::metrics::Means;
use crate::source::BatchSource;
use crate::task::Task;
use crate::trainer::NonFinite;

impl<M, T, S, V> Fit<M, T, S, V>
where
    M: Module,
    T: Task<M>,
    S: BatchSource<Batch = T::Batch>,
    V: BatchSource<Batch = T::Batch>,
{
    /// Makes an update, or gives `None` when the source has ended early.
    pub(super) fn update(&mut self) -> Result<Option<Update>, TrainerError> {
        let update = self.run.progress.update;
        let learning_rate = self.schedule(update)?;
        let mut model = self.take_model()?;
        let mut batch_means = Means::default();
        let mut sum: Option<GradientsParams> = None;
        let mut samples = 0;
        let mut worst = None;

        let left = self.batches_per_epoch - self.run.progress.batch;
        let mut batches = self.parts.settings.accumulate.min(left);
        let planned = batches;
        for micro_batch in 0..planned {
            let batch = match self.train.next_batch(&self.device) {
                Ok(Some(batch)) => batch,
                Ok(None) => {
                    batches = left;
                    break;
                }
                Err(error) => {
                    self.model = Some(model);
                    return Err(error);
                }
            };
            let step = StepKey {
                seed: self.parts.settings.seed,
                update,
                micro_batch,
                rank: 0,
            };
            self.device.seed(generator_seed(&step));
            model = set_step_key(model, &step);
            let output = self.parts.task.train_step(&model, batch);
            for (name, value) in add_output(&mut batch_means, &output) {
                if name == "loss" && !value.is_finite() {
                    worst = Some(value);
                }
            }
            let gradients = GradientsParams::from_grads(output.loss.backward(), &model);
            let weighted = if planned == 1 {
                gradients
            } else {
                scale_all(&model, gradients, output.samples as f64)
            };
            sum = Some(match sum {
                None => weighted,
                Some(sum) => add(&model, sum, weighted),
            });
            samples += output.samples;
        }

        if samples == 0 {
            self.model = Some(model);
            self.run.progress.batch = self.batches_per_epoch;
            return Ok(None);
        }
        let mut gradient_norm = None;
        match (worst, self.parts.settings.non_finite) {
            (None, _) => {
                let mut gradients = sum.unwrap_or_default();
                if planned > 1 {
                    gradients = scale_all(&model, gradients, 1.0 / samples as f64);
                }
                let (gradients, norm) = self.parts.settings.clip.apply(&model, gradients);
                gradient_norm = norm;
                model = self.parts.optimizer.step(learning_rate, model, gradients);
            }
            (Some(_), NonFinite::Skip) => {}
            (Some(value), NonFinite::Stop) => {
                self.model = Some(model);
                return Err(TrainerError::NotFinite {
                    quantity: "loss",
                    value,
                    update,
                });
            }
        }
        self.model = Some(model);
        let metrics = batch_means.metrics("");
        if worst.is_none() {
            for (name, value) in metrics.iter() {
                self.run.means.add(name, value, samples as f64);
            }
        }
        self.run.progress.update += 1;
        self.run.progress.batch += batches;
        self.run.progress.samples += samples;
        Ok(Some(Update::new(
            metrics.get("loss").unwrap_or(f64::NAN),
            metrics,
            learning_rate,
            gradient_norm,
            samples,
        )))
    }

    fn schedule(&mut self, update: u64) -> Result<f64, TrainerError> {
        let context = StepContext {
            update,
            epoch: self.run.progress.epoch,
            total_updates: Some(self.plan.total_updates),
            updates_per_epoch: Some(self.plan.updates_per_epoch),
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
