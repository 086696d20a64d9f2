//! Folding into the layer before, and statistics computed anew.

use burn::module::Param;
use burn::nn::conv::{Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
use burn::tensor::{Device, Tensor};
use firecraft::norm::{BatchNorm, BatchNormConfig, Fold, Weighting, recalibrate};

use super::plain_layer::{PlainLayer, plain_layer};
use super::support::{by_rank, same, set, shape, tensor};
use crate::compare::{Tolerance, equal};
use crate::families::{Outcome, failed};
use crate::golden::{Case, Field};

/// `fuse_conv_bn_eval`, also transposed, and `fuse_linear_bn_eval`.
pub(super) fn torch_fuse(case: &Case) -> Result<(), Outcome> {
    let device = Device::flex();
    let bn = case.get("bn");
    let features = shape(&bn.get("running_mean"))?[0];
    let config = BatchNormConfig::new(features)
        .with_epsilon(bn.get("eps").or(1e-5, Field::f64)?)
        .with_scale(!bn.get("weight").is_null())
        .with_center(!bn.get("bias").is_null());
    let mut norm = config.try_init(&device).map_err(failed)?;
    set(&mut norm.gamma, &bn.get("weight"))?;
    set(&mut norm.beta, &bn.get("bias"))?;
    for (buffer, name) in [
        (&norm.running_mean, "running_mean"),
        (&norm.running_var, "running_var"),
    ] {
        let buffer = buffer.as_ref().ok_or_else(|| failed("no statistics"))?;
        buffer.set(tensor::<1>(&bn.get(name), &device)?);
    }
    let layer = case.get("layer");
    match plain_layer(
        layer.str()?,
        &case.get("weight"),
        &case.get("bias"),
        &device,
    )? {
        PlainLayer::Linear(layer) => {
            let layer = layer.try_fold(&norm).map_err(failed)?;
            let weight = layer.weight.val().transpose();
            same(
                "fused_weight",
                weight,
                &case.get("fused_weight"),
                Tolerance::TENSOR,
            )?;
            bias(&layer.bias, case)?;
            let x = case.get("x");
            by_rank!(x, D => {
                let y = layer.forward(tensor::<D>(&x, &device)?);
                same("y", y, &case.get("y"), Tolerance::TENSOR)
            })
        }
        PlainLayer::Conv1d(layer) => convolution(layer, &norm, case),
        PlainLayer::Conv2d(layer) => convolution(layer, &norm, case),
        PlainLayer::Conv3d(layer) => convolution(layer, &norm, case),
        PlainLayer::ConvTranspose1d(layer) => convolution(layer, &norm, case),
        PlainLayer::ConvTranspose2d(layer) => convolution(layer, &norm, case),
        PlainLayer::ConvTranspose3d(layer) => convolution(layer, &norm, case),
    }
}

fn bias(got: &Option<Param<Tensor<1>>>, case: &Case) -> Result<(), Outcome> {
    let got = got.as_ref().ok_or_else(|| failed("no bias"))?;
    same(
        "fused_bias",
        got.val(),
        &case.get("fused_bias"),
        Tolerance::TENSOR,
    )
}

/// What the convolutions have in common here.
trait Convolution<const D: usize>: Fold {
    fn weight(&self) -> Tensor<D>;
    fn bias(&self) -> &Option<Param<Tensor<1>>>;
    fn run(&self, x: Tensor<D>) -> Tensor<D>;
}

macro_rules! convolutions {
    ($($Layer:ident: $D:expr;)*) => {
        $(
            impl Convolution<$D> for $Layer {
                fn weight(&self) -> Tensor<$D> {
                    self.weight.val()
                }
                fn bias(&self) -> &Option<Param<Tensor<1>>> {
                    &self.bias
                }
                fn run(&self, x: Tensor<$D>) -> Tensor<$D> {
                    self.forward(x)
                }
            }
        )*
    };
}

convolutions! {
    Conv1d: 3;
    Conv2d: 4;
    Conv3d: 5;
    ConvTranspose1d: 3;
    ConvTranspose2d: 4;
    ConvTranspose3d: 5;
}

fn convolution<const D: usize, L: Convolution<D>>(
    layer: L,
    norm: &BatchNorm,
    case: &Case,
) -> Result<(), Outcome> {
    let layer = layer.try_fold(norm).map_err(failed)?;
    same(
        "fused_weight",
        layer.weight(),
        &case.get("fused_weight"),
        Tolerance::TENSOR,
    )?;
    bias(layer.bias(), case)?;
    let y = layer.run(tensor::<D>(&case.get("x"), &Device::flex())?);
    same("y", y, &case.get("y"), Tolerance::TENSOR)
}

/// `update_bn`: every batch weighs the same.
pub(super) fn torch_update(case: &Case) -> Result<(), Outcome> {
    let batches = case.get("batches").items()?;
    let first = batches.first().ok_or_else(|| failed("no batches"))?;
    by_rank!(first, D => update::<D>(case, &batches))
}

fn update<const D: usize>(case: &Case, batches: &[Field]) -> Result<(), Outcome> {
    let device = Device::flex();
    let batches = batches
        .iter()
        .map(|batch| tensor::<D>(batch, &device))
        .collect::<Result<Vec<_>, _>>()?;
    let features = shape(&case.get("running_mean"))?[0];
    let mut config = BatchNormConfig::new(features);
    if case.has("momentum") {
        config = config.with_momentum(case.get("momentum").f64()?);
    }
    let norm = config.try_init(&device).map_err(failed)?;
    let norm = recalibrate(
        norm,
        batches,
        Weighting::PerBatch,
        |norm: &BatchNorm, batch| {
            let _ = norm.forward(batch);
        },
    );
    for (buffer, name) in [
        (&norm.running_mean, "running_mean"),
        (&norm.running_var, "running_var"),
    ] {
        let buffer = buffer.as_ref().ok_or_else(|| failed("no statistics"))?;
        same(name, buffer.value(), &case.get(name), Tolerance::TENSOR)?;
    }
    let counted = norm.num_batches_tracked.get();
    equal(
        "num_batches_tracked",
        counted,
        case.get("num_batches_tracked").u64()?,
    )
}
