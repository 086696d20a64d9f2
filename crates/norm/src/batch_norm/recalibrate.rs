//! Running statistics computed anew from data: "precise" batch normalisation.

use std::collections::BTreeMap;

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Int, Tensor};
use firecraft_core_tensor::cells::{COUNT_CELL, reveal, to_tensor, to_words};
use serde::{Deserialize, Serialize};

use super::RunningVariance;
use super::layer::{BatchNorm, BatchNormMode};
use crate::precision::{cast, kept};

/// How batches add up to statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// Every value weighs the same: the mean and variance of all values
    /// together, whatever the batch sizes.
    #[default]
    PerSample,
    /// Every batch weighs the same, and variances are averaged without the
    /// spread of the means: torch's `update_bn`.
    PerBatch,
}

impl Weighting {
    const fn code(self) -> u64 {
        match self {
            Self::PerSample => 1,
            Self::PerBatch => 2,
        }
    }
}

/// Computes the running statistics of every [`BatchNorm`] of a model anew, by
/// running it over `batches`, and returns the model with them.
///
/// The running averages of training lag behind the weights, and after weight
/// averaging (SWA, EMA) they belong to other weights altogether: recalibrate
/// before evaluating. `forward` runs a copy of the model in evaluation mode, in
/// which the batch normalisations alone normalise by the batch; dropout and
/// augmentation are off. Frozen layers keep their statistics; without batches
/// all do. The model itself comes back in the mode in which it was given.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::{BatchNorm, BatchNormConfig, Weighting, recalibrate};
///
/// let device = Device::flex();
/// let model = BatchNormConfig::new(1).init(&device);
/// let batches = [[[1.0], [2.0]], [[3.0], [6.0]]].map(|b| Tensor::<2>::from_floats(b, &device));
/// let model = recalibrate(model, batches, Weighting::PerSample, |model: &BatchNorm, batch| {
///     let _ = model.forward(batch);
/// });
/// let mean = model.running_mean.as_ref().unwrap().value();
/// assert_eq!(mean.try_into_vec_as::<f32>()?, [3.0]);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[must_use]
pub fn recalibrate<M: Module, B>(
    model: M,
    batches: impl IntoIterator<Item = B>,
    weighting: Weighting,
    mut forward: impl FnMut(&M, B),
) -> M {
    let running = model.valid().map(&mut Cells::setting(weighting.code()));
    for batch in batches {
        forward(&running, batch);
    }
    let mut collected = Collected::default();
    running.visit(&mut collected);
    let mut counts = Cells::reading();
    let _ = running.map(&mut counts);
    model.map(&mut Transfer {
        path: Vec::new(),
        statistics: collected.statistics,
        counts: counts.read,
    })
}

impl BatchNorm {
    /// The recalibration that is running, unless the layer is frozen or has no
    /// running statistics.
    pub(super) fn recalibration(&self) -> Option<Weighting> {
        if self.mode() == BatchNormMode::Frozen {
            return None;
        }
        let all = [Weighting::PerSample, Weighting::PerBatch];
        let code = self.recalibration.get();
        all.into_iter().find(|weighting| weighting.code() == code)
    }

    /// Adds a batch with its biased variance to the statistics; the first one
    /// replaces them.
    pub(super) fn recalibrate_by(
        &self,
        mean: Tensor<1>,
        variance: Tensor<1>,
        count: usize,
        weighting: Weighting,
    ) {
        let Some((running_mean, running_variance)) = self.statistics() else {
            return;
        };
        let seen = self.recalibrated.get();
        self.recalibrated.set(seen + count as u64);
        let (old, new) = (seen as f64, count as f64);
        let all = old + new;
        if seen == 0 {
            self.num_batches_tracked.set(0);
        }
        let batches = self.num_batches_tracked.increment() as f64;
        let lost = match self.config().running_variance {
            RunningVariance::Unbiased => 1.0,
            RunningVariance::Biased => 0.0,
        };
        let divisor = |values: f64| (values - lost).max(1.0);

        let old_mean = running_mean.value();
        let dtype = kept(old_mean.dtype());
        let old_mean = cast(old_mean, dtype);
        let device = old_mean.device();
        let mean = cast(mean, dtype).to_device(&device);
        let deviations = cast(variance, dtype).to_device(&device) * new;
        let delta = mean.clone() - old_mean.clone();
        match weighting {
            _ if seen == 0 => {
                running_mean.set(mean);
                running_variance.set(deviations / divisor(new));
            }
            Weighting::PerSample => {
                running_mean.set(old_mean + delta.clone() * (new / all));
                let between = delta.square() * (old * new / all);
                running_variance.update(|running| {
                    let old_deviations = cast(running, dtype) * divisor(old);
                    (old_deviations + deviations + between) / divisor(all)
                });
            }
            Weighting::PerBatch => {
                running_mean.set(old_mean + delta / batches);
                running_variance.update(|running| {
                    let running = cast(running, dtype);
                    running.clone() + (deviations / divisor(new) - running) / batches
                });
            }
        }
    }
}

fn leaf(path: &[String]) -> &str {
    path.last().map_or("", String::as_str)
}

/// Sets the switch of every layer, or reads how many batches each has seen.
struct Cells {
    path: Vec<String>,
    counts: bool,
    switch: Option<u64>,
    read: BTreeMap<String, u64>,
}

impl Cells {
    fn setting(code: u64) -> Self {
        Self {
            switch: Some(code),
            ..Self::reading()
        }
    }

    fn reading() -> Self {
        Self {
            path: Vec::new(),
            counts: false,
            switch: None,
            read: BTreeMap::new(),
        }
    }
}

impl ModuleMapper for Cells {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.counts = container_type == COUNT_CELL;
        if !self.counts {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        if container_type == COUNT_CELL {
            self.counts = false;
        } else {
            self.path.pop();
        }
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        reveal(flag)
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        if !self.counts {
            return param;
        }
        match (leaf(&self.path), self.switch) {
            ("recalibration", Some(code)) => set(param, code),
            ("recalibrated", Some(_)) => set(param, 0),
            ("num_batches_tracked", None) => {
                let tensor = param.val();
                let words = to_words::<1>(tensor.reshape([2]));
                if let Some([count]) = words {
                    self.read.insert(self.path.join("."), count);
                }
                param
            }
            _ => param,
        }
    }
}

fn set<const D: usize>(param: Param<Tensor<D, Int>>, count: u64) -> Param<Tensor<D, Int>> {
    param.map(|tensor| {
        let shape = tensor.shape();
        to_tensor([count], &tensor.device()).reshape(shape)
    })
}

/// The running statistics of batch normalisations, by path.
#[derive(Default)]
struct Collected {
    path: Vec<String>,
    inside: Vec<bool>,
    statistics: BTreeMap<String, Tensor<1>>,
}

fn is_statistic(path: &[String]) -> bool {
    matches!(leaf(path), "running_mean" | "running_var")
}

impl ModuleVisitor for Collected {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_owned());
        self.inside.push(container_type == "Struct:BatchNorm");
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
        self.inside.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.inside.last() == Some(&true) && is_statistic(&self.path) {
            let value = param.val();
            let length = value.shape().num_elements();
            self.statistics
                .insert(self.path.join("."), value.reshape([length]));
        }
    }
}

/// Puts collected statistics and counts into a model.
struct Transfer {
    path: Vec<String>,
    statistics: BTreeMap<String, Tensor<1>>,
    counts: BTreeMap<String, u64>,
}

impl ModuleMapper for Transfer {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        if container_type != COUNT_CELL {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        if container_type != COUNT_CELL {
            self.path.pop();
        }
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        reveal(flag)
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.statistics.remove(&self.path.join(".")) {
            Some(value) => param.map(|old| {
                let value = value.reshape(old.shape()).to_device(&old.device());
                if old.is_autodiff() {
                    value.autodiff()
                } else {
                    value
                }
            }),
            None => param,
        }
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        match self.counts.remove(&self.path.join(".")) {
            Some(count) => set(param, count),
            None => param,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchNormConfig, BatchNormMode};
    use burn::tensor::{Device, TensorData};

    #[derive(Module, Debug)]
    struct Model {
        first: BatchNorm,
        blocks: Vec<BatchNorm>,
    }

    impl Model {
        fn new(device: &Device) -> Self {
            let layer = || BatchNormConfig::new(1).init(device);
            Self {
                first: layer(),
                blocks: vec![layer().freeze(), layer()],
            }
        }

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            let x = self.first.forward(x) * 2.0 + 1.0;
            let x = self.blocks[0].forward(x);
            self.blocks[1].forward(x)
        }
    }

    fn batch(values: &[f32]) -> Tensor<2> {
        let data = TensorData::new(values.to_vec(), [values.len(), 1]);
        Tensor::from_data(data, &Device::flex())
    }

    fn statistics(layer: &BatchNorm) -> [f32; 2] {
        let (mean, variance) = layer.statistics().unwrap();
        [mean, variance].map(|buffer| buffer.value().into_scalar::<f32>())
    }

    fn run(model: Model, weighting: Weighting) -> Model {
        let batches = [batch(&[1.0, 2.0, 9.0]), batch(&[4.0, 8.0])];
        recalibrate(model, batches, weighting, |model: &Model, batch| {
            let _ = model.forward(batch);
        })
    }

    #[test]
    fn per_sample_gives_the_statistics_of_all_values_together() {
        let model = run(Model::new(&Device::flex().autodiff()), Weighting::PerSample);
        let [mean, variance] = statistics(&model.first);
        let all = [1.0, 2.0, 9.0, 4.0, 8.0];
        let want = all.iter().sum::<f32>() / 5.0;
        let spread = all.iter().map(|v| (v - want).powi(2)).sum::<f32>() / 4.0;
        assert!((mean - want).abs() < 1e-5 && (variance - spread).abs() < 1e-4);
    }

    #[test]
    fn per_batch_gives_the_mean_over_the_batches() {
        let model = run(Model::new(&Device::flex()), Weighting::PerBatch);
        let [mean, variance] = statistics(&model.first);
        assert!((mean - (4.0 + 6.0) / 2.0).abs() < 1e-5);
        assert!((variance - (19.0 + 8.0) / 2.0).abs() < 1e-4);
        assert_eq!(model.first.num_batches_tracked.get(), 2);
    }

    #[test]
    fn the_model_comes_back_in_its_mode_and_frozen_layers_as_they_were() {
        let device = Device::flex().autodiff();
        let model = run(Model::new(&device), Weighting::PerSample);
        assert_eq!(model.first.mode(), BatchNormMode::Train);
        assert_eq!(model.blocks[0].mode(), BatchNormMode::Frozen);
        assert_eq!(statistics(&model.blocks[0]), [0.0, 1.0]);
        assert_ne!(statistics(&model.blocks[1]), [0.0, 1.0]);
        let gamma = model.first.gamma.as_ref().unwrap().val();
        assert!(gamma.is_require_grad());
        assert!(model.first.recalibration().is_none());
        let before = statistics(&model.first);
        let _ = model.valid().forward(batch(&[5.0]));
        assert_eq!(statistics(&model.first), before);
    }

    #[test]
    fn without_batches_nothing_changes() {
        let model = Model::new(&Device::flex());
        let none = std::iter::empty::<Tensor<2>>();
        let model = recalibrate(model, none, Weighting::PerSample, |_: &Model, _| {});
        assert_eq!(statistics(&model.first), [0.0, 1.0]);
    }
}
