//! Stochastic depth.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use firecraft_core_tensor::{Key, KeyCell, Mode, ModeCell};
use serde::{Deserialize, Serialize};

use crate::{NormError, check};

const LAYER: &str = "DropPath";

/// The configuration of a [`DropPath`] layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropPathConfig {
    /// The probability that a sample's branch is dropped, in `[0, 1]`.
    pub rate: f64,
    /// Whether to divide what is kept by the probability of keeping it, so that
    /// the mean stays. Default true.
    #[serde(default = "default_true")]
    pub scale_by_keep: bool,
    /// The slot of the layer's keys; only layers used without
    /// `set_step_key` need different ones. Default 0.
    #[serde(default)]
    pub slot: u64,
}

fn default_true() -> bool {
    true
}

impl DropPathConfig {
    /// A layer that drops with probability `rate`.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            scale_by_keep: true,
            slot: 0,
        }
    }

    /// The rates of `depth` blocks, rising linearly from 0 to `last`: the usual
    /// choice, as early layers are needed by all later ones.
    ///
    /// ```
    /// use firecraft_norm::DropPathConfig;
    /// assert_eq!(DropPathConfig::rates(0.2, 3).collect::<Vec<_>>(), [0.0, 0.1, 0.2]);
    /// ```
    pub fn rates(last: f64, depth: usize) -> impl Iterator<Item = f64> {
        let steps = depth.max(2) - 1;
        (0..depth).map(move |block| last * block as f64 / steps as f64)
    }

    /// The layer. It has no parameters; the device is not used.
    ///
    /// # Errors
    /// [`NormError::Config`] if the rate is not a probability.
    pub fn try_init(&self, _device: &Device) -> Result<DropPath, NormError> {
        check::fraction(LAYER, "rate", self.rate)?;
        Ok(DropPath {
            keys: KeyCell::new(self.slot),
            mode: ModeCell::default(),
            config: self.clone(),
        })
    }
}

setters!(DropPathConfig {
    /// Sets `scale_by_keep`.
    with_scale_by_keep(scale_by_keep: bool);
    /// Sets `slot`.
    with_slot(slot: u64);
});
init_in_burns_manner!(DropPathConfig => DropPath);
forward_in_burns_manner!(DropPath, DropPathConfig);

/// Drops the residual branch of whole samples at random in training, so that
/// the network trains as an ensemble of shallower ones; the identity in
/// evaluation.
///
/// Acts in training mode on autodiff devices only, and is not switched off by
/// `freeze()`. Whether row `i` of a batch is dropped depends on the key of the
/// forward pass, folded with `i`, alone: not on the batch size, the device or
/// the thread count. Huang et al., *Deep Networks with Stochastic Depth*, ECCV
/// 2016.
///
/// ```
/// use burn::{module::Module, tensor::{Device, Tensor}};
/// use firecraft_norm::DropPathConfig;
///
/// let device = Device::flex().autodiff();
/// let layer = DropPathConfig::new(0.5).init(&device);
/// let x = Tensor::<2>::ones([4, 1], &device);
/// let y = layer.forward(x.clone()).try_into_vec_as::<f32>()?;
/// assert!(y.iter().all(|y| *y == 0.0 || *y == 2.0));
/// assert_eq!(layer.valid().forward(x).try_into_vec_as::<f32>()?, [1.0; 4]);
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Module, Debug)]
pub struct DropPath {
    /// Where the draws come from.
    pub keys: KeyCell,
    /// Whether the layer draws at all.
    pub mode: ModeCell,
    #[module(skip)]
    config: DropPathConfig,
}

impl DropPath {
    /// [`forward`](Self::forward) with an error instead of a panic.
    ///
    /// # Errors
    /// None today; the signature is that of every layer.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let mode = self.mode.resolve(&x);
        self.try_forward_mode(x, mode)
    }

    /// [`try_forward`](Self::try_forward) in the given mode, whatever the
    /// device and the mode of the layer.
    ///
    /// # Errors
    /// None today; the signature is that of every layer.
    pub fn try_forward_mode<const D: usize>(
        &self,
        x: Tensor<D>,
        mode: Mode,
    ) -> Result<Tensor<D>, NormError> {
        if mode == Mode::Eval || self.config.rate == 0.0 {
            return Ok(x);
        }
        let rows = x.dims()[0];
        let factors = self.factors(self.keys.next(), rows);
        let mut shape = [1; D];
        shape[0] = rows;
        let data = TensorData::new(factors, shape);
        let factors = Tensor::<D>::from_data(data, (&x.device(), x.dtype()));
        Ok(x * factors)
    }

    /// What every row is multiplied by.
    fn factors(&self, key: Key, rows: usize) -> Vec<f32> {
        let keep = 1.0 - self.config.rate;
        let kept = if self.config.scale_by_keep && keep > 0.0 {
            1.0 / keep
        } else {
            1.0
        };
        let factor = |row| {
            let dropped = key.fold(row).rng().chance(self.config.rate);
            if dropped { 0.0 } else { kept as f32 }
        };
        (0..rows as u64).map(factor).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firecraft_core_tensor::{StepKey, set_step_key};

    fn run(layer: &DropPath, rows: usize) -> Vec<f32> {
        let x = Tensor::<3>::ones([rows, 1, 1], &Device::flex().autodiff());
        layer.forward(x).try_into_vec_as().unwrap()
    }

    fn layer(rate: f64) -> DropPath {
        DropPathConfig::new(rate).init(&Device::flex())
    }

    #[test]
    fn about_the_rate_is_dropped_and_the_mean_stays() {
        let y = run(&layer(0.3), 4096);
        let dropped = y.iter().filter(|y| **y == 0.0).count() as f64 / 4096.0;
        assert!((dropped - 0.3).abs() < 0.03, "{dropped}");
        let mean = y.iter().sum::<f32>() / 4096.0;
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
    }

    #[test]
    fn a_row_is_dropped_whatever_the_batch_size() {
        let layer = layer(0.5);
        let step = StepKey::default();
        let small = set_step_key(layer.clone(), &step);
        let large = set_step_key(layer, &step);
        assert_eq!(run(&small, 8), run(&large, 64)[..8]);
        assert_ne!(run(&small, 64), run(&small, 64));
    }

    #[test]
    fn rates_of_zero_and_one_and_other_devices() {
        assert_eq!(run(&layer(0.0), 5), [1.0; 5]);
        assert_eq!(run(&layer(1.0), 5), [0.0; 5]);
        let plain = Tensor::<2>::ones([5, 1], &Device::flex());
        let y = layer(1.0).forward(plain.clone());
        assert_eq!(y.try_into_vec_as::<f32>().unwrap(), [1.0; 5]);
        let y = layer(1.0).try_forward_mode(plain, Mode::Train).unwrap();
        assert_eq!(y.try_into_vec_as::<f32>().unwrap(), [0.0; 5]);
        assert!(DropPathConfig::new(1.5).try_init(&Device::flex()).is_err());
    }

    #[test]
    fn freezing_does_not_stop_it() {
        assert_eq!(run(&layer(1.0).freeze(), 3), [0.0; 3]);
    }
}
