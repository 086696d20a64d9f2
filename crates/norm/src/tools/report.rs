//! How healthy the batch normalisations of a model are.

use std::collections::BTreeMap;
use std::fmt;

use burn::module::{Module, ModuleVisitor, Param};
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
    /// is below 1e-3 of the largest one of the layer, or the running variance
    /// below 1e-10.
    pub dead: Vec<usize>,
    /// The least and the largest absolute factor.
    pub factor: (f64, f64),
    /// The least and the largest running variance.
    pub variance: (f64, f64),
    /// How far the running statistics are from those of data; only in a report
    /// on data.
    pub drift: Option<Drift>,
}

/// The distance of running statistics from those of data.
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
    let mut reader = Reader::default();
    model.visit(&mut reader);
    let layers = reader.layers.into_iter().filter_map(|(path, layer)| {
        let (mean, variance) = (layer.mean?, layer.variance?);
        let channels = mean.len();
        let factor = layer.gamma.unwrap_or_else(|| vec![1.0; channels]);
        let factor: Vec<f64> = factor.iter().map(|g| g.abs()).collect();
        let largest = range(&factor).1;
        let dead = (0..channels)
            .filter(|i| factor[*i] <= DEAD_FACTOR * largest || variance[*i] < DEAD_VARIANCE)
            .collect();
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

/// [`inspect_norms`] with the [`Drift`] of every layer of this crate: how far
/// the running statistics are from those of the batches, which `forward` runs
/// through the model as for [`recalibrate`]. Frozen layers have none.
#[must_use]
pub fn inspect_norms_on<M: Module, B>(
    model: &M,
    batches: impl IntoIterator<Item = B>,
    forward: impl FnMut(&M, B),
) -> NormReport {
    let mut report = inspect_norms(model);
    let fresh = recalibrate(model.clone(), batches, Weighting::PerSample, forward);
    let mut old = Reader::default();
    model.visit(&mut old);
    let mut new = Reader::default();
    fresh.visit(&mut new);
    for layer in &mut report.layers {
        let of = |reader: &Reader| -> Option<(Vec<f64>, Vec<f64>)> {
            let found = reader.layers.get(&layer.path)?;
            Some((found.mean.clone()?, found.variance.clone()?))
        };
        if let (Some(old), Some(new)) = (of(&old), of(&new)) {
            layer.drift = Some(drift(&old, &new));
        }
    }
    report
}

fn drift(old: &(Vec<f64>, Vec<f64>), new: &(Vec<f64>, Vec<f64>)) -> Drift {
    let floor = |variance: f64| variance.max(DEAD_VARIANCE);
    let mut drift = Drift {
        mean: 0.0,
        variance: 1.0,
    };
    for (i, running) in old.1.iter().enumerate() {
        let distance = (new.0[i] - old.0[i]).abs() / floor(*running).sqrt();
        let ratio = floor(new.1[i]) / floor(*running);
        drift.mean = drift.mean.max(distance);
        drift.variance = drift.variance.max(ratio.max(1.0 / ratio));
    }
    drift
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

#[derive(Default)]
struct Layer {
    gamma: Option<Vec<f64>>,
    mean: Option<Vec<f64>>,
    variance: Option<Vec<f64>>,
}

#[derive(Default)]
struct Reader {
    stack: Stack,
    layers: BTreeMap<String, Layer>,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.stack.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.stack.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.stack.layer() != "BatchNorm" {
            return;
        }
        let Some(path) = self.stack.norm() else {
            return;
        };
        let layer = self.layers.entry(path).or_default();
        let slot = match self.stack.leaf() {
            "gamma" => &mut layer.gamma,
            "running_mean" => &mut layer.mean,
            "running_var" => &mut layer.variance,
            _ => return,
        };
        *slot = param.val().try_into_vec_as().ok();
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
