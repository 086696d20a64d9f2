//! The learned factor and offset that most layers end with.

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor};

use crate::precision::cast;

/// One learned number per feature, or none.
pub(crate) type Affine = Option<Param<Tensor<1>>>;

/// A parameter of `features` numbers that start from `value`, if the layer has
/// it.
pub(crate) fn param(present: bool, features: usize, value: f64, device: &Device) -> Affine {
    present.then(|| Param::from_tensor(Tensor::full([features], value, device)))
}

/// The value of a parameter in the format of the computation.
pub(crate) fn value(param: &Affine, dtype: DType) -> Option<Tensor<1>> {
    param.as_ref().map(|p| cast(p.val(), dtype.into()))
}

/// `x * gamma + beta` for `x` `[before, features, after]`.
pub(crate) fn apply(x: Tensor<3>, gamma: &Affine, beta: &Affine) -> Tensor<3> {
    let [_, features, _] = x.dims();
    let dtype = x.dtype();
    let mut y = x;
    if let Some(gamma) = value(gamma, dtype) {
        y = y * gamma.reshape([1, features, 1]);
    }
    if let Some(beta) = value(beta, dtype) {
        y = y + beta.reshape([1, features, 1]);
    }
    y
}
