//! What tests of several layers share.

use burn::tensor::{Device, Tensor, TensorData};
use firecraft_core_tensor::Key;

/// Standard normal values, the same for the same seed.
pub(crate) fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut rng = Key::from_seed(seed).rng();
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}
