//! Running statistics computed anew from training data, for averaged weights.

use std::collections::BTreeMap;

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use firecraft_norm::Weighting;

use crate::error::TrainerError;
use crate::source::BatchSource;
use crate::task::{StepOutput, Task};

/// Computes the running statistics of every batch normalisation of a model
/// anew, from the first `batches` batches of epoch 0 of a source.
///
/// Statistics of training belong to the weights that made them; an average of
/// weights (SWA, EMA) needs its own. Layers of `firecraft-norm` are evaluated
/// with everything but themselves in evaluation mode, see
/// [`firecraft_norm::recalibrate`]. burn's own layers can only measure in
/// training mode, so their models run in it (with dropout, as torch's
/// `update_bn` does), on a copy. Frozen layers keep their statistics, and the
/// model comes back in the mode it was given in.
///
/// A fit does this by itself with
/// [`Average::recalibrate`](crate::Average::recalibrate).
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{BatchNorm, BatchNormConfig};
/// use burn::tensor::{Device, Int, Tensor};
/// use firecraft_trainer::{Arrays, Classification, Supervised, Targets, recalibrate};
///
/// #[derive(Module, Debug)]
/// struct Net {
///     norm: BatchNorm,
/// }
///
/// impl Supervised for Net {
///     type Input = Tensor<2>;
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         self.norm.forward(x)
///     }
/// }
///
/// let device = Device::flex();
/// let x = Tensor::<2>::from_data([[1.0f32, 0.0], [2.0, 0.0], [3.0, 4.0], [6.0, 4.0]], &device);
/// let y = Targets::Classes(Tensor::<1, Int>::from_data([0, 1, 0, 1], &device));
/// let net = Net { norm: BatchNormConfig::new(2).init(&device) };
/// let mut source = Arrays::new(x, y, 2)?;
/// let net = recalibrate(net, &Classification::default(), &mut source, 2)?;
/// let mean = net.norm.running_mean.value_sync().try_into_vec_as::<f32>().unwrap();
/// assert!((mean[0] - 3.0).abs() < 1e-4 && (mean[1] - 2.0).abs() < 1e-4);
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
///
/// # Errors
///
/// Those of the source and of the task, [`TrainerError::Data`] when there is no
/// batch.
pub fn recalibrate<M, T, S>(
    model: M,
    task: &T,
    source: &mut S,
    batches: u64,
) -> Result<M, TrainerError>
where
    M: Module,
    T: Task<M>,
    S: BatchSource<Batch = T::Batch>,
{
    let mut layers = Layers::default();
    model.visit(&mut layers);
    let device = model.devices().into_iter().next().unwrap_or_default();
    let mut model = model;
    if layers.is_burns.values().any(|burns| *burns) {
        model = recalibrate_burns(model, task, source, batches, &device.clone().autodiff())?;
    }
    if layers.is_burns.values().any(|burns| !*burns) {
        let device = device.without_autodiff();
        let mut batches = Batches::start(source, batches, &device)?;
        let mut failed = None;
        model = firecraft_norm::recalibrate(
            model,
            &mut batches,
            Weighting::PerSample,
            |model: &M, batch| {
                let error = samples(task.eval_step(model, batch)).err();
                failed = failed.take().or(error);
            },
        );
        failed.map_or(Ok(()), Err)?;
        batches.finish()?;
    }
    Ok(model)
}

/// The result of a step that is made for its statistics alone.
fn samples(output: StepOutput) -> Result<u64, TrainerError> {
    output.error.map_or(Ok(output.samples), Err)
}

/// The first batches of a source; an error ends them and waits.
struct Batches<'a, S> {
    source: &'a mut S,
    device: &'a Device,
    left: u64,
    seen: bool,
    error: Option<TrainerError>,
}

impl<'a, S: BatchSource> Batches<'a, S> {
    fn start(source: &'a mut S, left: u64, device: &'a Device) -> Result<Self, TrainerError> {
        source.start_epoch(0)?;
        Ok(Self {
            source,
            device,
            left,
            seen: false,
            error: None,
        })
    }

    fn finish(self) -> Result<(), TrainerError> {
        match self.error {
            Some(error) => Err(error),
            None if self.seen => Ok(()),
            None => Err(TrainerError::Data {
                split: "training",
                problem: "it gave no batch to recalibrate statistics with".into(),
            }),
        }
    }
}

impl<S: BatchSource> Iterator for Batches<'_, S> {
    type Item = S::Batch;

    fn next(&mut self) -> Option<S::Batch> {
        self.left = self.left.checked_sub(1)?;
        match self.source.next_batch(self.device) {
            Ok(batch) => {
                self.seen |= batch.is_some();
                batch
            }
            Err(error) => {
                self.left = 0;
                self.error = Some(error);
                None
            }
        }
    }
}

const BATCH_NORM: &str = "Struct:BatchNorm";

/// The batch normalisations by path.
#[derive(Default)]
struct Layers {
    path: Vec<String>,
    kind: Vec<String>,
    is_burns: BTreeMap<String, bool>,
}

impl Layers {
    fn layer(&self) -> Option<String> {
        let (_, module) = self.path.split_last()?;
        (self.kind.last()? == BATCH_NORM).then(|| module.join("."))
    }
}

impl ModuleVisitor for Layers {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_owned());
        self.kind.push(container_type.to_owned());
        // A field that layers of firecraft-norm alone have.
        if name == "recalibration"
            && let Some(layer) = self.layer()
        {
            self.is_burns.insert(layer, false);
        }
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
        self.kind.pop();
    }

    fn visit_flag(&mut self, _flag: &Param<Flag>) {
        if self.path.last().is_some_and(|name| name == "training")
            && let Some(layer) = self.layer()
        {
            self.is_burns.entry(layer).or_insert(true);
        }
    }
}

/// Mean and sum of squared deviations over the batches so far.
struct Sum {
    mean: Tensor<1>,
    deviations: Tensor<1>,
}

/// What burn's layers hold while their share of a batch is measured, 2⁴⁰: so
/// much that the batch is lost in rounding, and its means are exact.
const VAST: f32 = 1_099_511_627_776.0;

/// A smaller share is that of a layer that is frozen, and rounding.
const LEAST_MOMENTUM: f64 = 1e-6;

/// burn's layers mix what a batch measures into what they hold,
/// `(1 − m) r + m b`: `r = 0` shows the batch, a vast `r` the momentum.
fn recalibrate_burns<M, T, S>(
    model: M,
    task: &T,
    source: &mut S,
    batches: u64,
    device: &Device,
) -> Result<M, TrainerError>
where
    M: Module,
    T: Task<M>,
    S: BatchSource<Batch = T::Batch>,
{
    let held = |value: f32| move |_: &str, _: &str, old: Tensor<1>| old.full_like(value);
    let mut running = set(model.valid().train(), held(VAST));
    let mut first = Batches::start(source, 1, device)?;
    for batch in first.by_ref() {
        samples(task.train_step(&running, batch))?;
    }
    first.finish()?;
    let mut momenta = BTreeMap::new();
    for (layer, (mean, _)) in statistics(&running) {
        let kept = mean.mean().into_scalar::<f32>();
        momenta.insert(layer, 1.0 - f64::from(kept / VAST));
    }

    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    let mut total = 0.0;
    let mut batches = Batches::start(source, batches, device)?;
    for batch in batches.by_ref() {
        running = set(running, held(0.0));
        let samples = samples(task.train_step(&running, batch))? as f64;
        let all = total + samples;
        for (layer, (mean, variance)) in statistics(&running) {
            let Some(momentum) = momenta.get(&layer).filter(|m| **m > LEAST_MOMENTUM) else {
                continue; // It is frozen.
            };
            let (mean, variance) = (mean / *momentum, variance / *momentum);
            let sum = match sums.remove(&layer) {
                None => Sum {
                    mean,
                    deviations: variance * samples,
                },
                Some(old) => {
                    let delta = mean - old.mean.clone();
                    let between = delta.clone().square() * (total * samples / all);
                    Sum {
                        mean: old.mean + delta * (samples / all),
                        deviations: old.deviations + variance * samples + between,
                    }
                }
            };
            sums.insert(layer, sum);
        }
        total = all;
    }
    batches.finish()?;
    Ok(set(model, |layer, name, old| match sums.get(layer) {
        Some(sum) if name == "running_mean" => sum.mean.clone(),
        Some(sum) => sum.deviations.clone() / total,
        None => old,
    }))
}

/// Running means and variances of burn's layers, off the tape.
fn statistics<M: Module>(model: &M) -> BTreeMap<String, (Tensor<1>, Tensor<1>)> {
    let mut read = Read::default();
    // `valid` synchronises what the last batch left.
    model.valid().visit(&mut read);
    let Read {
        means, mut vars, ..
    } = read;
    let pair = |(layer, mean): (String, Tensor<1>)| Some((vars.remove(&layer)?, (layer, mean)));
    let pairs = means.into_iter().filter_map(pair);
    pairs
        .map(|(var, (layer, mean))| (layer, (mean, var)))
        .collect()
}

#[derive(Default)]
struct Read {
    layers: Layers,
    means: BTreeMap<String, Tensor<1>>,
    vars: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Read {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.layers.enter_module(name, container_type);
    }

    fn exit_module(&mut self, name: &str, container_type: &str) {
        self.layers.exit_module(name, container_type);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(layer) = self.layers.layer() else {
            return;
        };
        let value = || {
            let value = param.val();
            let length = value.shape().num_elements();
            value.reshape([length])
        };
        match self.layers.path.last().map(String::as_str) {
            Some("running_mean") => {
                self.means.insert(layer, value());
            }
            Some("running_var") => {
                self.vars.insert(layer, value());
            }
            _ => {}
        }
    }
}

/// The model with other statistics in burn's layers: `value` gets the path of
/// the layer, the name and the old value, off the tape.
fn set<M: Module>(model: M, value: impl Fn(&str, &str, Tensor<1>) -> Tensor<1>) -> M {
    let mut layers = Layers::default();
    model.visit(&mut layers);
    let is_burns = std::mem::take(&mut layers.is_burns);
    // A pending update of burn's statistics would come after this one.
    drop(model.valid());
    model.map(&mut Write {
        layers,
        is_burns,
        value,
    })
}

struct Write<F> {
    layers: Layers,
    is_burns: BTreeMap<String, bool>,
    value: F,
}

impl<F: Fn(&str, &str, Tensor<1>) -> Tensor<1>> ModuleMapper for Write<F> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.layers.enter_module(name, container_type);
    }

    fn exit_module(&mut self, name: &str, container_type: &str) {
        self.layers.exit_module(name, container_type);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.layers.path.last().cloned().unwrap_or_default();
        let layer = self.layers.layer().unwrap_or_default();
        let is_burns = self.is_burns.get(&layer) == Some(&true);
        if !is_burns || !name.starts_with("running_") {
            return param;
        }
        param.map(|old| {
            let is_autodiff = old.is_autodiff();
            let shape = old.shape();
            let length = shape.num_elements();
            let inner = if is_autodiff { old.inner() } else { old };
            let new = (self.value)(&layer, &name, inner.reshape([length])).reshape(shape);
            if is_autodiff {
                Tensor::from_inner(new)
            } else {
                new
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrays::Arrays;
    use crate::source::Targets;
    use crate::task::{Classification, Supervised};
    use burn::tensor::{Int, TensorData};

    #[derive(Module, Debug)]
    struct Net {
        burns: burn::nn::BatchNorm,
        still: burn::nn::BatchNorm,
        ours: firecraft_norm::BatchNorm,
    }

    impl Net {
        fn new() -> Self {
            let device = Device::flex().autodiff();
            let burns = |momentum| {
                let config = burn::nn::BatchNormConfig::new(2).with_momentum(momentum);
                config.init(&device)
            };
            Self {
                burns: burns(0.2),
                still: burns(0.1).freeze(),
                ours: firecraft_norm::BatchNormConfig::new(2).init(&device),
            }
        }
    }

    impl Supervised for Net {
        type Input = Tensor<2>;

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            let x = self.burns.forward(x) * 3.0 + 1.0;
            self.ours.forward(self.still.forward(x))
        }
    }

    const ROWS: [[f32; 2]; 5] = [
        [1.0, 50.0],
        [2.0, 52.0],
        [6.0, 57.0],
        [-4.0, 51.0],
        [0.0, 40.0],
    ];

    fn source() -> Arrays<2> {
        let device = Device::flex();
        let x = Tensor::from_data(TensorData::from(ROWS), &device);
        let y = Targets::Classes(Tensor::<1, Int>::zeros([5], &device));
        Arrays::new(x, y, 3).unwrap()
    }

    fn numbers(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    #[test]
    fn burns_layers_get_the_statistics_of_all_rows_and_ours_those_behind_them() {
        let task = Classification::default();
        let net = recalibrate(Net::new(), &task, &mut source(), 9).unwrap();
        let mean = numbers(net.burns.running_mean.value_sync());
        let variance = numbers(net.burns.running_var.value_sync());
        for column in 0..2 {
            let rows = ROWS.map(|row| f64::from(row[column]));
            let want = rows.iter().sum::<f64>() / 5.0;
            let spread = rows.iter().map(|v| (v - want).powi(2)).sum::<f64>() / 5.0;
            let (got, around) = (f64::from(mean[column]), f64::from(variance[column]));
            assert!(
                (got - want).abs() < 1e-4 * want.abs().max(1.0),
                "{got} {want}"
            );
            assert!((around - spread).abs() < 1e-4 * spread, "{around} {spread}");
        }
        assert_eq!(numbers(net.still.running_mean.value_sync()), [0.0; 2]);
        // burn's layer in evaluation centres the rows, times 3 plus 1.
        let ours = numbers(net.ours.running_mean.as_ref().unwrap().value());
        assert!(
            ours.iter().all(|mean| (mean - 1.0).abs() < 1e-3),
            "{ours:?}"
        );
        assert!(net.burns.training.is_enabled() && net.burns.gamma.is_require_grad());
    }

    #[test]
    fn the_first_batches_alone_count_if_no_more_are_asked_for() {
        let task = Classification::default();
        let net = recalibrate(Net::new(), &task, &mut source(), 1).unwrap();
        let mean = numbers(net.burns.running_mean.value_sync());
        assert!((mean[0] - 3.0).abs() < 1e-4, "{mean:?}");
    }

    #[test]
    fn a_source_without_batches_is_an_error() {
        let task = Classification::default();
        let error = recalibrate(Net::new(), &task, &mut source(), 0).unwrap_err();
        assert!(error.to_string().contains("no batch"), "{error}");
    }
}
