//! Dropout of blocks of neighbouring positions.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use firecraft_core_tensor::{Key, KeyCell, Mode, ModeCell};
use serde::{Deserialize, Serialize};

use crate::{NormError, check};

const LAYER: &str = "DropBlock";

/// The configuration of a [`DropBlock`] layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropBlockConfig {
    /// The part of the positions that is dropped, about, in `[0, 1]`.
    pub rate: f64,
    /// The side of a block, at least 1; cut to the shortest side of the input.
    /// Default 7.
    #[serde(default = "seven")]
    pub block_size: usize,
    /// Whether the blocks of a sample are the same in all of its channels.
    /// Default false (torchvision, timm).
    #[serde(default)]
    pub couple_channels: bool,
    /// The slot of the layer's keys; only layers used without `set_step_key`
    /// need different ones. Default 0.
    #[serde(default)]
    pub slot: u64,
}

fn seven() -> usize {
    7
}

impl DropBlockConfig {
    /// A layer that drops about `rate` of the positions in blocks of side 7.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            block_size: seven(),
            couple_channels: false,
            slot: 0,
        }
    }

    /// The layer. It has no parameters; the device is not used.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, _device: &Device) -> Result<DropBlock, NormError> {
        check::fraction(LAYER, "rate", self.rate)?;
        check::at_least_one(LAYER, "block_size", self.block_size)?;
        Ok(DropBlock {
            keys: KeyCell::new(self.slot),
            mode: ModeCell::default(),
            config: self.clone(),
        })
    }
}

setters!(DropBlockConfig {
    /// Sets `block_size`.
    with_block_size(block_size: usize);
    /// Sets `couple_channels`.
    with_couple_channels(couple_channels: bool);
    /// Sets `slot`.
    with_slot(slot: u64);
});
init_in_burns_manner!(DropBlockConfig => DropBlock);
forward_in_burns_manner!(DropBlock, DropBlockConfig);

/// Drops square blocks of positions at random in training, as neighbours carry
/// nearly the same information and single dropped values are filled in from
/// them; the identity in evaluation.
///
/// For `x` `[N, C, S..]` with one to three axes of positions. A block starts at
/// each position where one of side `b` fits, with probability
/// `gamma = rate * |S| / (b^k * number of such positions)`; what is kept is
/// divided by the part that is kept of the whole batch. Modes and keys are
/// those of [`DropPath`](crate::DropPath): the blocks of row `i` depend on the
/// key of the forward pass and `i` alone. Ghiasi, Lin and Le, *DropBlock*,
/// NeurIPS 2018.
///
/// ```
/// use burn::{module::Module, tensor::{Device, Tensor}};
/// use firecraft_norm::DropBlockConfig;
///
/// let device = Device::flex().autodiff();
/// let layer = DropBlockConfig::new(0.2).with_block_size(3).init(&device);
/// let x = Tensor::<4>::ones([2, 4, 8, 8], &device);
/// let y = layer.forward(x.clone());
/// assert!((y.clone().mean().into_scalar::<f32>() - 1.0).abs() < 1e-5);
/// assert!(y.equal_elem(0.0).any().into_scalar::<bool>());
/// assert!(layer.valid().forward(x.clone()).equal(x).all().into_scalar::<bool>());
/// ```
#[derive(Module, Debug)]
pub struct DropBlock {
    /// Where the draws come from.
    pub keys: KeyCell,
    /// Whether the layer draws at all.
    pub mode: ModeCell,
    #[module(skip)]
    config: DropBlockConfig,
}

impl DropBlock {
    /// [`forward`](Self::forward) with an error instead of a panic.
    ///
    /// # Errors
    /// [`NormError::Rank`] in training for other than 3 to 5 axes.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        let mode = self.mode.resolve(&x);
        self.try_forward_mode(x, mode)
    }

    /// [`try_forward`](Self::try_forward) in the given mode, whatever the
    /// device and the mode of the layer.
    ///
    /// # Errors
    /// Those of [`try_forward`](Self::try_forward).
    pub fn try_forward_mode<const D: usize>(
        &self,
        x: Tensor<D>,
        mode: Mode,
    ) -> Result<Tensor<D>, NormError> {
        if mode == Mode::Eval || self.config.rate == 0.0 || x.shape().num_elements() == 0 {
            return Ok(x);
        }
        if !(3..=5).contains(&D) {
            return Err(NormError::Rank {
                layer: LAYER,
                shape: x.dims().to_vec(),
                expected: "[N, C, L], [N, C, H, W] or [N, C, D, H, W]",
            });
        }
        let mut dims = x.dims();
        if self.config.couple_channels {
            dims[1] = 1;
        }
        let mask = self.mask(self.keys.next(), dims[0], dims[1], &dims[2..]);
        let mask = TensorData::new(mask, dims);
        let mask = Tensor::<D>::from_data(mask, (&x.device(), x.dtype()));
        Ok(x * mask)
    }

    /// 0 where a block lies, and else one over the part that is kept.
    fn mask(&self, key: Key, rows: usize, channels: usize, sides: &[usize]) -> Vec<f32> {
        let blocks = Blocks::new(&self.config, sides);
        let positions = blocks.sides.iter().product::<usize>();
        let mut mask = vec![1.0; rows * channels * positions];
        for (row, sample) in mask.chunks_mut(channels * positions).enumerate() {
            let mut rng = key.fold(row as u64).rng();
            for plane in sample.chunks_mut(positions) {
                blocks.starts(|start| {
                    if rng.chance(blocks.gamma) {
                        blocks.erase(start, plane);
                    }
                });
            }
        }
        let kept = mask.iter().filter(|m| **m > 0.0).count();
        if kept > 0 {
            let scale = mask.len() as f32 / kept as f32;
            mask.iter_mut().for_each(|m| *m *= scale);
        }
        mask
    }
}

/// Blocks in up to three axes; missing ones have length 1.
struct Blocks {
    sides: [usize; 3],
    block: [usize; 3],
    gamma: f64,
}

impl Blocks {
    fn new(config: &DropBlockConfig, sides: &[usize]) -> Self {
        let side = sides.iter().copied().fold(config.block_size, usize::min);
        let mut all = [1; 3];
        let mut block = [1; 3];
        all[3 - sides.len()..].copy_from_slice(sides);
        block[3 - sides.len()..].fill(side);
        let starts: usize = all.iter().zip(&block).map(|(s, b)| s - b + 1).product();
        let covered = block.iter().product::<usize>() * starts;
        let positions = all.iter().product::<usize>();
        let gamma = config.rate * positions as f64 / covered as f64;
        Self {
            sides: all,
            block,
            gamma: gamma.min(1.0),
        }
    }

    /// Calls `visit` with every corner at which a block fits.
    fn starts(&self, mut visit: impl FnMut([usize; 3])) {
        let [a, b, c] = [0, 1, 2].map(|axis| self.sides[axis] - self.block[axis] + 1);
        for i in 0..a {
            for j in 0..b {
                for k in 0..c {
                    visit([i, j, k]);
                }
            }
        }
    }

    fn erase(&self, [i, j, k]: [usize; 3], plane: &mut [f32]) {
        let [_, height, width] = self.sides;
        for depth in i..i + self.block[0] {
            for row in j..j + self.block[1] {
                let start = (depth * height + row) * width + k;
                plane[start..start + self.block[2]].fill(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firecraft_core_tensor::{StepKey, set_step_key};

    fn run<const D: usize>(config: &DropBlockConfig, dims: [usize; D]) -> Vec<f32> {
        let device = Device::flex().autodiff();
        let y = config
            .init(&device)
            .forward(Tensor::<D>::ones(dims, &device));
        y.try_into_vec_as().unwrap()
    }

    #[test]
    fn about_the_rate_is_dropped_and_the_mean_stays() {
        for (rate, block) in [(0.1, 3), (0.1, 7), (0.2, 1)] {
            let config = DropBlockConfig::new(rate).with_block_size(block);
            let y = run(&config, [8, 16, 20, 20]);
            let dropped = y.iter().filter(|y| **y == 0.0).count() as f64 / y.len() as f64;
            // Blocks overlap, so somewhat less than the rate is dropped.
            assert!(dropped < rate * 1.1 && dropped > rate * 0.8, "{dropped}");
            let mean = y.iter().map(|y| f64::from(*y)).sum::<f64>() / y.len() as f64;
            assert!((mean - 1.0).abs() < 1e-4, "{mean}");
        }
    }

    #[test]
    fn what_is_dropped_is_made_of_whole_blocks() {
        let config = DropBlockConfig::new(0.05).with_block_size(3);
        let y = run(&config, [1, 1, 30, 30]);
        let zero = |r: usize, c: usize| y[r * 30 + c] == 0.0;
        let mut seen = 0;
        for r in 0..30 {
            for c in 0..30 {
                if !zero(r, c) {
                    continue;
                }
                seen += 1;
                let covered = (r.saturating_sub(2)..=r).any(|top| {
                    (c.saturating_sub(2)..=c).any(|left| {
                        top + 3 <= 30
                            && left + 3 <= 30
                            && (top..top + 3).all(|r| (left..left + 3).all(|c| zero(r, c)))
                    })
                });
                assert!(covered, "{r} {c}");
            }
        }
        assert!(seen > 0);
    }

    #[test]
    fn channels_are_dropped_together_if_they_are_coupled() {
        let config = DropBlockConfig::new(0.3)
            .with_block_size(2)
            .with_couple_channels(true);
        let y = run(&config, [2, 3, 6, 6]);
        for sample in y.chunks(3 * 36) {
            assert_eq!(sample[..36], sample[36..72]);
        }
        let apart = run(&config.with_couple_channels(false), [2, 3, 6, 6]);
        assert_ne!(apart[..36], apart[36..72]);
    }

    #[test]
    fn a_row_is_dropped_whatever_the_batch_size() {
        let device = Device::flex().autodiff();
        let layer = DropBlockConfig::new(0.3).with_block_size(2).init(&device);
        let zeros = |rows: usize| -> Vec<bool> {
            let layer = set_step_key(layer.clone(), &StepKey::default());
            let y = layer.forward(Tensor::<3>::ones([rows, 2, 9], &device));
            let y: Vec<f32> = y.try_into_vec_as().unwrap();
            y.iter().map(|y| *y == 0.0).collect()
        };
        assert_eq!(zeros(3)[..], zeros(8)[..54]);
    }

    #[test]
    fn volumes_small_inputs_and_full_rates_are_fine() {
        let config = DropBlockConfig::new(0.3).with_block_size(2);
        assert_eq!(run(&config, [2, 2, 4, 4, 4]).len(), 256);
        assert_eq!(run(&DropBlockConfig::new(1.0), [1, 2, 3, 3]), [0.0; 18]);
        assert_eq!(run(&DropBlockConfig::new(0.0), [1, 1, 2, 2]), [1.0; 4]);
    }

    #[test]
    fn wrong_configurations_and_ranks_are_errors() {
        let device = Device::flex().autodiff();
        assert!(DropBlockConfig::new(1.1).try_init(&device).is_err());
        let zero = DropBlockConfig::new(0.1).with_block_size(0);
        assert!(zero.try_init(&device).is_err());
        let layer = DropBlockConfig::new(0.1).init(&device);
        let flat = Tensor::<2>::ones([2, 3], &device);
        assert!(matches!(
            layer.try_forward(flat),
            Err(NormError::Rank { .. })
        ));
    }
}
