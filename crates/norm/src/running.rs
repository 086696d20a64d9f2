//! Moving running statistics.

use burn::tensor::Tensor;
use firecraft_core_tensor::Buffer;

use crate::precision::{cast, kept};

/// Moves a running statistic towards that of a batch, by a part of the way.
pub(crate) fn follow(
    running: &Buffer<1>,
    batch: Tensor<1>,
    part: impl FnOnce(Tensor<1>) -> Tensor<1>,
) {
    running.update(|old| {
        let dtype = kept(old.dtype());
        let old = cast(old, dtype);
        let batch = cast(batch, dtype).to_device(&old.device());
        old.clone() + part(batch - old)
    });
}

/// A statistic on the device and in the format of `x`.
pub(crate) fn like(statistic: Tensor<1>, x: &Tensor<3>) -> Tensor<1> {
    cast(statistic, x.dtype().into()).to_device(&x.device())
}
