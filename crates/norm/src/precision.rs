//! The number format that statistics are computed in.

use burn::tensor::{DType, FloatDType, Tensor};

/// `f64` for `f64` input, `f32` for every other: half-precision sums lose
/// digits and overflow beyond 65504.
pub(crate) fn working(input: DType) -> FloatDType {
    match input {
        DType::F64 => FloatDType::F64,
        _ => FloatDType::F32,
    }
}

/// The format in which a running statistic is kept: its own, but never half.
pub(crate) fn kept(statistic: DType) -> FloatDType {
    working(statistic)
}

/// The tensor in another format; the same tensor when it has it already.
pub(crate) fn cast<const D: usize>(x: Tensor<D>, dtype: FloatDType) -> Tensor<D> {
    x.cast(dtype)
}
