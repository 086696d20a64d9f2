//! How healthy the batch normalisations of a model are.

use std::collections::BTreeMap;
use std::fmt;

use burn::module::{Flag, Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use serde::Serialize;

use super::Stack;
use crate::{Weighting, recalibrate};

/// A factor below this part of the largest of its layer makes a channel dead.
const DEAD_FACTOR: f64 = 1e-3;

/// A running variance below this makes a channel dead.
const DEAD_VARIANCE: f64 = 1e-10;

/// The statistics of every batch normalisation of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NormReport {
    /// One entry per layer, in the order of the paths.
    pub layers: Vec<NormStatistics>,
}

/// What one batch normalisation has learned and seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NormStatistics {
    /// The path of the layer.
    pub path: String,
    /// Its number of channels.
    pub channels: usize,
    /// Channels whose output does not depend on the input any more: the factor
    /// is at most 1e-3 of the largest one of the layer, the running variance
    /// below 1e-10, or a statistic or factor not finite.
    pub dead: Vec<usize>,
    /// The least and the largest absolute factor.
    pub factor: (f64, f64),
    /// The least and the largest running variance.
    pub variance: (f64, f64),
    /// How far the running statistics are from those of data; only in a report
    /// on data, of layers of this crate that are not frozen.
    pub drift: Option<Drift>,
}

/// The distance of running statistics from those of data; not a number where
/// a statistic is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// The largest `|mean - running mean| / sqrt(running variance)` of a
    /// channel: above about 0.1 evaluation sees another function than training.
    pub mean: f64,
    /// The largest `max(v / r, r / v)` of a variance `v` and the running one
    /// `r` of a channel: 1 is no drift.
    pub variance: f64,
}

/// Reports the batch normalisations of a model, ours and burn's.
///
/// ```
/// use burn::tensor::Device;
/// use firecraft_norm::{BatchNormConfig, inspect_norms};
///
/// let model = vec![BatchNormConfig::new(4).init(&Device::flex())];
/// let report = inspect_norms(&model);
/// assert_eq!(report.layers[0].path, "0");
/// assert!(report.layers[0].dead.is_empty());
/// ```
#[must_use]
pub fn inspect_norms<M: Module>(model: &M) -> NormReport {
    let layers = read(model).into_iter().filter_map(|(path, layer)| {
        let (mean, variance) = (layer.mean?, layer.variance?);
        let channels = mean.len();
        let factor = layer.gamma.unwrap_or_else(|| vec![1.0; channels]);
        let factor: Vec<f64> = factor.iter().map(|g| g.abs()).collect();
        let largest = range(&factor).1;
        let alive = |i: usize| {
            factor[i] > DEAD_FACTOR * largest
                && variance[i] >= DEAD_VARIANCE
                && [factor[i], variance[i], mean[i]]
                    .iter()
                    .all(|v| v.is_finite())
        };
        let dead = (0..channels).filter(|i| !alive(*i)).collect();
        Some(NormStatistics {
            path,
            channels,
            dead,
            factor: range(&factor),
            variance: range(&variance),
            drift: None,
        })
    });
    NormReport {
        layers: layers.collect(),
    }
}

/// [`inspect_norms`] with the [`Drift`] of every layer of this crate that is not
/// frozen: how far the running statistics are from those of the batches, which
/// `forward` runs through the model as for [`recalibrate`].
#[must_use]
pub fn inspect_norms_on<M: Module, B>(
    model: &M,
    batches: impl IntoIterator<Item = B>,
    forward: impl FnMut(&M, B),
) -> NormReport {
    let mut report = inspect_norms(model);
    let fresh = recalibrate(model.clone(), batches, Weighting::PerSample, forward);
    let (old, new) = (read(model), read(&fresh));
    for layer in &mut report.layers {
        let both = old.get(&layer.path).zip(new.get(&layer.path));
        layer.drift = both.and_then(|(old, new)| drift(old, new));
    }
    report
}

fn drift(old: &Layer, new: &Layer) -> Option<Drift> {
    if !old.recalibrates || old.frozen {
        return None;
    }
    let (means, variances) = (old.mean.as_ref()?, old.variance.as_ref()?);
    let (new_means, new_variances) = (new.mean.as_ref()?, new.variance.as_ref()?);
    let floor = |variance: f64| {
        if variance < DEAD_VARIANCE {
            DEAD_VARIANCE
        } else {
            variance
        }
    };
    // `f64::max` would pass over what is not a number.
    let larger = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
    let mut drift = Drift {
        mean: 0.0,
        variance: 1.0,
    };
    for (i, running) in variances.iter().enumerate() {
        let distance = (new_means[i] - means[i]).abs() / floor(*running).sqrt();
        let ratio = floor(new_variances[i]) / floor(*running);
        drift.mean = larger(drift.mean, distance);
        drift.variance = larger(larger(drift.variance, ratio), ratio.recip());
    }
    Some(drift)
}

/// The least and the largest of some values.
fn range(values: &[f64]) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    (values.iter()).fold(start, |(low, high), v| (low.min(*v), high.max(*v)))
}

impl fmt::Display for NormReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.layers.iter().map(|layer| layer.path.len()).max();
        let width = widest.unwrap_or_default().max("layer".len());
        writeln!(
            f,
            "{:width$}  channels  dead  {:>19}  {:>19}  {:>9}  {:>9}",
            "layer", "|factor|", "running variance", "mean off", "var. off"
        )?;
        for layer in &self.layers {
            write!(
                f,
                "{:width$}  {:8}  {:4}  {:8.2e} – {:8.2e}  {:8.2e} – {:8.2e}",
                layer.path,
                layer.channels,
                layer.dead.len(),
                layer.factor.0,
                layer.factor.1,
                layer.variance.0,
                layer.variance.1,
            )?;
            match layer.drift {
                Some(drift) => writeln!(f, "  {:9.3}  {:9.3}", drift.mean, drift.variance)?,
                None => writeln!(f, "  {:>9}  {:>9}", "–", "–")?,
            }
        }
        Ok(())
    }
}

fn read<M: Module>(model: &M) -> BTreeMap<String, Layer> {
    let mut reader = Reader::default();
    model.visit(&mut reader);
    reader.layers
}

#[derive(Default)]
struct Layer {
    gamma: Option<Vec<f64>>,
    mean: Option<Vec<f64>>,
    variance: Option<Vec<f64>>,
    /// Whether it is a layer of this crate, which can be recalibrated.
    recalibrates: bool,
    frozen: bool,
}

#[derive(Default)]
struct Reader {
    stack: Stack,
    layers: BTreeMap<String, Layer>,
}

impl Reader {
    /// The batch normalisation that the leaf belongs to.
    fn layer(&mut self) -> Option<&mut Layer> {
        if self.stack.layer() != "BatchNorm" {
            return None;
        }
        Some(self.layers.entry(self.stack.norm()?).or_default())
    }
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.stack.enter(name, container_type);
        // burn's layer has the same name, but not this field.
        if name == "recalibration"
            && let Some(layer) = self.layer()
        {
            layer.recalibrates = true;
        }
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.stack.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let leaf = self.stack.leaf().to_owned();
        let Some(layer) = self.layer() else {
            return;
        };
        let slot = match leaf.as_str() {
            "gamma" => &mut layer.gamma,
            "running_mean" => &mut layer.mean,
            "running_var" => &mut layer.variance,
            _ => return,
        };
        *slot = param.val().try_into_vec_as().ok();
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        let frozen = !flag.is_enabled() && !flag.clone().train().is_enabled();
        if let Some(layer) = self.layer() {
            layer.frozen = frozen;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use crate::{BatchNorm, BatchNormConfig, Mode};
    use burn::tensor::Device;

    fn layer() -> BatchNorm {
        let device = Device::flex();
        let mut layer = BatchNormConfig::new(3).init(&device);
        layer.gamma = Some(Param::from_tensor(Tensor::from_floats(
            [2.0, 1e-4, 1.0],
            &device,
        )));
        let variance = Tensor::from_floats([4.0, 1.0, 0.0], &device);
        layer.running_var.as_ref().unwrap().set(variance);
        layer
    }

    #[test]
    fn channels_without_factor_or_variance_are_dead() {
        let report = inspect_norms(&vec![layer()]);
        let found = &report.layers[0];
        assert_eq!(found.dead, [1, 2]);
        assert_eq!(found.variance, (0.0, 4.0));
        assert!(report.to_string().contains("4.00e0"), "{report}");
    }

    #[test]
    fn statistics_that_are_not_finite_are_reported() {
        let broken = layer();
        let mean = Tensor::from_floats([f32::NAN, 0.0, 0.0], &Device::flex());
        broken.running_mean.as_ref().unwrap().set(mean);
        let run = |model: &BatchNorm, batch| {
            let _ = model.forward(batch);
        };
        let report = inspect_norms_on(&broken, [random([9, 3], 1)], run);
        assert_eq!(report.layers[0].dead, [0, 1, 2]);
        assert!(report.layers[0].drift.unwrap().mean.is_nan());
    }

    #[test]
    fn frozen_layers_and_those_of_burn_have_no_drift() {
        let device = Device::flex();
        let ours = BatchNormConfig::new(2).init(&device);
        let burns = burn::nn::BatchNormConfig::new(2).init(&device);
        let run = |model: &(BatchNorm, burn::nn::BatchNorm), batch: Tensor<2>| {
            let _ = model.1.forward(model.0.forward(batch));
        };
        for (ours, has_drift) in [(ours.clone(), true), (ours.freeze(), false)] {
            let model = (ours, burns.clone());
            let report = inspect_norms_on(&model, [random([9, 2], 1)], run);
            let found: Vec<_> = report.layers.iter().map(|l| l.drift.is_some()).collect();
            assert_eq!(found, [has_drift, false]);
        }
    }

    #[test]
    fn drift_is_the_distance_from_the_statistics_of_data() {
        let device = Device::flex();
        let model = BatchNormConfig::new(2).init(&device);
        let data = random([4000, 2], 1) * 2.0 + 1.0;
        let run = |model: &BatchNorm, batch| {
            let _ = model.forward(batch);
        };
        let report = inspect_norms_on(&model, [data.clone()], run);
        let drift = report.layers[0].drift.unwrap();
        assert!((drift.mean - 1.0).abs() < 0.1, "{drift:?}");
        assert!((drift.variance - 4.0).abs() < 0.4, "{drift:?}");
        // The model itself did not move.
        let mean = model.running_mean.as_ref().unwrap().value();
        assert_eq!(mean.try_into_vec_as::<f32>().unwrap(), [0.0, 0.0]);

        let trained = BatchNormConfig::new(2).with_momentum(1.0).init(&device);
        let _ = trained.forward_mode(data.clone(), Mode::Train);
        let report = inspect_norms_on(&trained, [data], run);
        let drift = report.layers[0].drift.unwrap();
        assert!(drift.mean < 1e-3 && drift.variance < 1.001, "{drift:?}");
    }
}
