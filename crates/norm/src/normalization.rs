//! Normalisation of features by statistics of a data set.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use firecraft_core_tensor::kernels::{Kernels, batch_norm_train};
use firecraft_core_tensor::{Buffer, CountCell};
use serde::{Deserialize, Serialize};

use crate::axes::Axes;
use crate::precision::{cast, working};
use crate::{NormError, check};

const LAYER: &str = "Normalization";

/// The configuration of a [`Normalization`] layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormalizationConfig {
    /// The lengths of the axes whose entries have a mean and variance each;
    /// none for one mean and variance of everything.
    pub features: Vec<usize>,
    /// The first of these axes; negative counts from the end. Default: they are
    /// the last ones.
    #[serde(default)]
    pub axis: Option<isize>,
    /// Standard deviations below this are taken as this; finite and positive.
    /// Default 1e-7 (keras).
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// Whether to undo the normalisation instead. Default false.
    #[serde(default)]
    pub invert: bool,
}

fn default_epsilon() -> f64 {
    1e-7
}

impl NormalizationConfig {
    /// keras' `Normalization`: a mean and variance for every entry of the last
    /// axes.
    #[must_use]
    pub fn new(features: impl Into<Vec<usize>>) -> Self {
        Self {
            features: features.into(),
            axis: None,
            epsilon: default_epsilon(),
            invert: false,
        }
    }

    /// The layer on a device, with mean 0 and variance 1.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<Normalization, NormError> {
        check::epsilon(LAYER, self.epsilon)?;
        if !self.features.is_empty() {
            check::axes(LAYER, &self.features)?;
        }
        let features: usize = self.features.iter().product();
        Ok(Normalization {
            mean: Buffer::new(Tensor::zeros([features], device)),
            variance: Buffer::new(Tensor::ones([features], device)),
            count: CountCell::default(),
            config: self.clone(),
        })
    }
}

setters!(NormalizationConfig {
    /// Sets the first axis of the features: 1 for the channels of
    /// `[N, C, H, W]`.
    with_axis(axis: isize);
    /// Sets `epsilon`.
    with_epsilon(epsilon: f64);
    /// Sets `invert`.
    with_invert(invert: bool);
});
init_in_burns_manner!(NormalizationConfig => Normalization);
forward_in_burns_manner!(Normalization, NormalizationConfig);

/// Shifts and scales features by the mean and variance of a data set,
/// `y = (x - mean) / max(sqrt(variance), epsilon)`, or back,
/// `y = x * max(sqrt(variance), epsilon) + mean`: a first layer that makes a
/// model independent of the units of its data, saved with it.
///
/// The statistics come from [`fit`](Self::fit), batch by batch, in one pass and
/// in `f64`, each batch weighing by its rows; or are set. The variance is the
/// biased one. The layer learns nothing and does the same in training and
/// evaluation.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::{Normalization, NormalizationConfig};
///
/// let device = Device::flex();
/// let data = [[[1.0, 50.0], [3.0, 50.0]], [[5.0, 10.0], [7.0, 10.0]]];
/// let batches = data.map(|batch| Tensor::<2>::from_floats(batch, &device));
/// let layer = Normalization::fit(&NormalizationConfig::new([2]), batches, &device)?;
/// assert_eq!(layer.mean.value().try_into_vec_as::<f32>().unwrap(), [4.0, 30.0]);
/// assert_eq!(layer.variance.value().try_into_vec_as::<f32>().unwrap(), [5.0, 400.0]);
/// let y = layer.forward(Tensor::<2>::from_floats([[4.0, 70.0]], &device));
/// assert_eq!(y.try_into_vec_as::<f32>().unwrap(), [0.0, 2.0]);
/// # Ok::<(), firecraft_norm::NormError>(())
/// ```
#[derive(Module, Debug)]
pub struct Normalization {
    /// The mean of every feature, row-major over several axes.
    pub mean: Buffer<1>,
    /// The biased variance of every feature.
    pub variance: Buffer<1>,
    /// The values per feature that they were computed from.
    pub count: CountCell,
    #[module(skip)]
    config: NormalizationConfig,
}

impl Normalization {
    /// The layer with the statistics of the batches.
    ///
    /// # Errors
    /// [`NormError`] if a batch does not have the configured axes, holds
    /// non-finite values, or if there is no value at all.
    pub fn fit<const D: usize>(
        config: &NormalizationConfig,
        batches: impl IntoIterator<Item = Tensor<D>>,
        device: &Device,
    ) -> Result<Self, NormError> {
        let layer = config.try_init(device)?;
        let mut all = Moments::none(layer.mean.value().dims()[0]);
        for batch in batches {
            all.merge(&layer.moments(batch)?);
        }
        if all.count == 0 {
            return Err(NormError::Empty {
                layer: LAYER,
                shape: Vec::new(),
            });
        }
        layer.store(&all);
        Ok(layer)
    }

    /// Adds a batch to the statistics, which then are those of all values seen
    /// so far.
    ///
    /// # Errors
    /// Those of [`fit`](Self::fit), without the last.
    pub fn update<const D: usize>(&self, batch: Tensor<D>) -> Result<(), NormError> {
        let mut all = self.stored();
        all.merge(&self.moments(batch)?);
        self.store(&all);
        Ok(())
    }

    /// Sets the statistics, `[features]`, as if computed from `count` values.
    ///
    /// # Errors
    /// [`NormError::Features`] for another number of features.
    pub fn set(&self, mean: Tensor<1>, variance: Tensor<1>, count: u64) -> Result<(), NormError> {
        let expected = self.mean.value().dims()[0];
        for statistic in [&mean, &variance] {
            let got = statistic.dims()[0];
            if got != expected {
                return Err(NormError::Features {
                    layer: LAYER,
                    axis: 0,
                    shape: vec![got],
                    got,
                    expected,
                });
            }
        }
        self.mean.set(mean);
        self.variance.set(variance);
        self.count.set(count);
        Ok(())
    }

    /// [`forward`](Self::forward) with an error instead of a panic.
    ///
    /// # Errors
    /// [`NormError`] if `x` does not have the configured axes.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let features = self.features(x.dims())?;
        if x.shape().num_elements() == 0 {
            return Ok(x);
        }
        let dtype = x.dtype();
        let rows = features.to_rows(cast(x, working(dtype)));
        let columns = rows.dims()[1];
        let like = |buffer: &Buffer<1>| {
            let value = buffer.value().without_autodiff().to_device(&rows.device());
            let value = if rows.is_autodiff() {
                value.autodiff()
            } else {
                value
            };
            cast(value, working(dtype)).reshape([1, columns])
        };
        let mean = like(&self.mean);
        let deviation = like(&self.variance).sqrt().clamp_min(self.config.epsilon);
        let y = if self.config.invert {
            rows * deviation + mean
        } else {
            (rows - mean) / deviation
        };
        Ok(cast(features.restore(y), dtype.into()))
    }

    fn features<const D: usize>(&self, dims: [usize; D]) -> Result<Features<D>, NormError> {
        let lengths = &self.config.features;
        if lengths.is_empty() {
            return Ok(Features::Whole(dims));
        }
        let first = self.config.axis.unwrap_or(-(lengths.len() as isize));
        Ok(Features::Axes(Axes::new(LAYER, dims, first, lengths)?))
    }

    fn moments<const D: usize>(&self, batch: Tensor<D>) -> Result<Moments, NormError> {
        let axes = self.features(batch.dims())?;
        let features = self.mean.value().dims()[0];
        if batch.shape().num_elements() == 0 {
            return Ok(Moments::none(features));
        }
        let dtype = working(batch.dtype());
        let rows = axes.to_rows(cast(batch.without_autodiff(), dtype));
        let count = rows.dims()[0];
        let rows = rows.reshape([count, features, 1]);
        let batch = batch_norm_train(rows, None, None, 1.0, Kernels::Auto);
        let read = |t: Tensor<1>| t.try_into_vec_as::<f64>().unwrap_or_default();
        let (mean, variance) = (read(batch.mean), read(batch.variance));
        let finite = |i: &usize| mean[*i].is_finite() && variance[*i].is_finite();
        if let Some(feature) = (0..mean.len()).find(|i| !finite(i)) {
            return Err(NormError::NonFinite {
                layer: LAYER,
                feature,
            });
        }
        let deviations = variance.iter().map(|v| v * count as f64).collect();
        Ok(Moments {
            count: count as u64,
            mean,
            deviations,
        })
    }

    fn stored(&self) -> Moments {
        let read = |buffer: &Buffer<1>| {
            let value = buffer.value().without_autodiff();
            value.try_into_vec_as::<f64>().unwrap_or_default()
        };
        let count = self.count.get();
        let variance = read(&self.variance);
        Moments {
            count,
            mean: read(&self.mean),
            deviations: variance.iter().map(|v| v * count as f64).collect(),
        }
    }

    fn store(&self, moments: &Moments) {
        if moments.count == 0 {
            return;
        }
        let count = moments.count as f64;
        let variance: Vec<f64> = moments.deviations.iter().map(|d| d / count).collect();
        for (buffer, values) in [
            (&self.mean, moments.mean.clone()),
            (&self.variance, variance),
        ] {
            buffer.update(|old| {
                let data = TensorData::new(values, old.dims());
                Tensor::from_data(data, (&old.device(), old.dtype()))
            });
        }
        self.count.set(moments.count);
    }
}

/// What of a tensor of shape `[usize; D]` has statistics of its own.
enum Features<const D: usize> {
    Axes(Axes<D>),
    Whole([usize; D]),
}

impl<const D: usize> Features<D> {
    fn to_rows(&self, x: Tensor<D>) -> Tensor<2> {
        match self {
            Self::Axes(axes) => axes.to_rows(x),
            Self::Whole(dims) => x.reshape([dims.iter().product(), 1]),
        }
    }

    fn restore(&self, rows: Tensor<2>) -> Tensor<D> {
        match self {
            Self::Axes(axes) => axes.restore(rows),
            Self::Whole(dims) => rows.reshape(*dims),
        }
    }
}

/// Mean and squared deviations of `count` values per feature.
struct Moments {
    count: u64,
    mean: Vec<f64>,
    deviations: Vec<f64>,
}

impl Moments {
    fn none(features: usize) -> Self {
        Self {
            count: 0,
            mean: vec![0.0; features],
            deviations: vec![0.0; features],
        }
    }

    /// The moments of both together (Chan, Golub and LeVeque 1983).
    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (old, new) = (self.count as f64, other.count as f64);
        let all = old + new;
        let own = self.mean.iter_mut().zip(&mut self.deviations);
        for ((mean, deviations), (other_mean, other_deviations)) in
            own.zip(other.mean.iter().zip(&other.deviations))
        {
            let delta = other_mean - *mean;
            *mean += delta * (new / all);
            *deviations += other_deviations + delta * delta * (old * new / all);
        }
        self.count += other.count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    fn close(got: &[f32], want: &[f32]) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            let error = (got - want).abs();
            assert!(error <= 2e-6 * want.abs().max(1.0), "{got} is not {want}");
        }
    }

    #[test]
    fn batches_of_any_sizes_give_the_statistics_of_all_rows() {
        let device = Device::flex();
        let data = random([37, 3], 1) * 2.0 + 1000.0;
        let config = NormalizationConfig::new([3]);
        let whole = Normalization::fit(&config, [data.clone()], &device).unwrap();
        let mut start = 0;
        let mut parts = vec![Tensor::zeros([0, 3], &device)];
        for rows in [1, 20, 9, 7] {
            parts.push(data.clone().narrow(0, start, rows));
            start += rows;
        }
        let parts = Normalization::fit(&config, parts, &device).unwrap();
        close(&values(parts.mean.value()), &values(whole.mean.value()));
        close(
            &values(parts.variance.value()),
            &values(whole.variance.value()),
        );
        assert_eq!(parts.count.get(), 37);
        let y = whole.forward(data);
        assert!(y.clone().mean().abs().into_scalar::<f32>() < 1e-3);
        assert!((y.square().mean().into_scalar::<f32>() - 1.0).abs() < 1e-3);
    }

    #[test]
    fn updating_equals_fitting() {
        let device = Device::flex();
        let config = NormalizationConfig::new([2]).with_axis(1);
        let batches = [random([4, 2, 3], 1), random([1, 2, 3], 2) + 5.0];
        let fitted = Normalization::fit(&config, batches.clone(), &device).unwrap();
        let updated = config.init(&device);
        for batch in batches {
            updated.update(batch).unwrap();
        }
        close(&values(updated.mean.value()), &values(fitted.mean.value()));
        close(
            &values(updated.variance.value()),
            &values(fitted.variance.value()),
        );
    }

    #[test]
    fn inverting_gives_the_data_back() {
        let device = Device::flex();
        let data = random([5, 2, 3], 4) * 7.0 - 3.0;
        for config in [
            NormalizationConfig::new([2, 3]),
            NormalizationConfig::new([2]).with_axis(1),
            NormalizationConfig::new([]),
        ] {
            let there = Normalization::fit(&config, [data.clone()], &device).unwrap();
            let back = config.with_invert(true).init(&device);
            let (mean, variance) = (there.mean.value(), there.variance.value());
            back.set(mean, variance, there.count.get()).unwrap();
            let restored = back.forward(there.forward(data.clone()));
            assert!((restored - data.clone()).abs().max().into_scalar::<f32>() < 1e-5);
        }
    }

    #[test]
    fn constant_features_become_zero() {
        let device = Device::flex();
        let data = Tensor::<2>::full([4, 1], 3.0, &device);
        let layer = Normalization::fit(&NormalizationConfig::new([1]), [data.clone()], &device);
        assert_eq!(values(layer.unwrap().forward(data)), [0.0; 4]);
    }

    #[test]
    fn clones_keep_their_statistics_and_records_carry_them() {
        let device = Device::flex();
        let config = NormalizationConfig::new([2]);
        let layer = Normalization::fit(&config, [random([9, 2], 1)], &device).unwrap();
        let before = values(layer.mean.value());
        let clone = layer.clone();
        layer.update(random([9, 2], 1) + 9.0).unwrap();
        assert_eq!(values(clone.mean.value()), before);
        let loaded = config.init(&device).load_record(clone.into_record());
        assert_eq!(values(loaded.mean.value()), before);
        assert_eq!(loaded.count.get(), 9);
    }

    #[test]
    fn empty_and_non_finite_data_and_wrong_shapes_are_errors() {
        let device = Device::flex();
        let config = NormalizationConfig::new([2]);
        let none = std::iter::empty::<Tensor<2>>();
        let error = Normalization::fit(&config, none, &device).unwrap_err();
        assert!(matches!(error, NormError::Empty { .. }));
        let nan = Tensor::<2>::from_floats([[1.0, f32::NAN], [2.0, 1.0]], &device);
        let error = Normalization::fit(&config, [nan], &device).unwrap_err();
        assert!(matches!(error, NormError::NonFinite { feature: 1, .. }));
        let wide = Tensor::<2>::ones([2, 3], &device);
        assert!(Normalization::fit(&config, [wide.clone()], &device).is_err());
        assert!(config.init(&device).try_forward(wide).is_err());
        let three = || Tensor::<1>::ones([3], &device);
        assert!(config.init(&device).set(three(), three(), 1).is_err());
    }
}
