//! The layers without kernels of their own, and weights that are computed.

use burn::nn::LinearConfig;
use burn::nn::activation::ActivationConfig;
use burn::nn::conv::{Conv2dConfig, ConvTranspose2dConfig};
use burn::tensor::{Bool, Tensor, TensorData};
use firecraft_norm::{
    BatchNormConfig, BatchRenormConfig, ConvNormAct1dConfig, EvoNormConfig, EvoNormVariant,
    FilterResponseNormConfig, GlobalResponseNormConfig, GroupNormConfig, LayerScaleConfig,
    LocalResponseNormConfig, NormActConfig, NormConfig, NormalizationConfig, OrthogonalConfig,
    SimpleNormConfig, SpectralNormConfig, SplitBatchNormConfig, UnitNormConfig, WeightAxis,
    WeightNormConfig, WeightStandardizationConfig,
};

use crate::check::{device, gradients};

#[test]
fn variants_of_batch_norm() {
    let layer = SplitBatchNormConfig::new(3).init(&device());
    gradients("split", &layer, [6, 3, 2], |l, x| l.forward(x));
    let config = BatchNormConfig::new(3).with_virtual_batch_size(3);
    gradients("ghost", &config.init(&device()), [6, 3, 2], |l, x| {
        l.forward(x)
    });
    // Where the bounds hold nothing of the correction is left; elsewhere
    // differences see it, and by definition no gradient flows through it.
    let config = BatchRenormConfig::new(3).with_clipping(1.0, 1.0, 0.0);
    gradients("renorm", &config.init(&device()), [5, 3, 2], |l, x| {
        l.forward(x)
    });
}

#[test]
fn masked_batch_norm() {
    let layer = BatchNormConfig::new(2).init(&device());
    gradients("mask", &layer, [2, 2, 4], |l, x| {
        let mask = [[[true, true, false, true]], [[true, false, false, true]]];
        let mask = Tensor::<3, Bool>::from_data(TensorData::from(mask), &x.device());
        l.forward_masked(x, mask)
    });
}

#[test]
fn responses() {
    let layer = FilterResponseNormConfig::new(2)
        .with_threshold(false)
        .init(&device());
    gradients("filter response", &layer, [2, 2, 5], |l, x| l.forward(x));
    let layer = GlobalResponseNormConfig::new(3).init(&device());
    gradients("global response", &layer, [2, 3, 4], |l, x| l.forward(x));
    let layer = LocalResponseNormConfig::new(3)
        .with_alpha(1.0)
        .init(&device());
    gradients("local response", &layer, [2, 5, 2], |l, x| l.forward(x));
    for p in [2.0, 3.0] {
        let layer = UnitNormConfig::new().with_p(p).init(&device());
        gradients("unit", &layer, [3, 4], |l, x| l.forward(x));
    }
    let layer = SimpleNormConfig::new([5]).init(&device());
    gradients("simple", &layer, [3, 5], |l, x| l.forward(x));
    let layer = LayerScaleConfig::new(3).with_initial(0.5).init(&device());
    gradients("layer scale", &layer, [2, 3], |l, x| l.forward(x));
    let layer = NormalizationConfig::new([3]).init(&device());
    gradients("normalization", &layer, [2, 3], |l, x| l.forward(x));
}

#[test]
fn evo_norm() {
    use EvoNormVariant::{B0, B1, B2, S0, S1, S2};
    for variant in [B0, B1, B2, S0, S1, S2] {
        let config = EvoNormConfig::new(variant, 4).with_num_groups(2);
        let layer = config.init(&device());
        gradients(&format!("{variant:?}"), &layer, [3, 4, 5], |l, x| {
            l.forward(x)
        });
    }
}

#[test]
fn blocks() {
    let norm = NormConfig::Group(GroupNormConfig::new(2, 2));
    let config = NormActConfig::new(norm.clone()).with_activation(ActivationConfig::Gelu);
    gradients(
        "norm and act",
        &config.init(4, &device()),
        [2, 4, 3],
        |l, x| l.forward(x),
    );
    let block = ConvNormAct1dConfig::new([2, 4], 3)
        .with_norm(norm)
        .with_activation(ActivationConfig::Gelu)
        .init(&device());
    gradients("conv, norm and act", &block, [2, 2, 5], |l, x| l.forward(x));
}

#[test]
fn weight_norm() {
    for axis in [WeightAxis::Output, WeightAxis::Axis(0), WeightAxis::Whole] {
        let config = WeightNormConfig::new().with_axis(axis);
        let layer = config
            .apply(LinearConfig::new(4, 3).init(&device()))
            .unwrap();
        gradients("linear", &layer, [2, 4], |l, x| l.forward(x));
    }
    let conv = ConvTranspose2dConfig::new([2, 3], [2, 2]).init(&device());
    let conv = WeightNormConfig::new().apply(conv).unwrap();
    gradients("transposed", &conv, [1, 2, 3, 3], |l, x| l.forward(x));
}

#[test]
fn spectral_norm() {
    // At the singular vectors, where their own movement does not count.
    let config = SpectralNormConfig::new().with_initial_iterations(500);
    let layer = config
        .apply(LinearConfig::new(3, 2).init(&device()))
        .unwrap();
    gradients("linear", &layer, [2, 3], |l, x| l.forward(x));
}

#[test]
fn weight_standardization() {
    for config in [
        WeightStandardizationConfig::new().with_epsilon(1e-2),
        WeightStandardizationConfig::scaled(1.7).with_initial_gain(0.5),
    ] {
        let conv = Conv2dConfig::new([2, 3], [2, 2]).init(&device());
        let conv = config.apply(conv).unwrap();
        gradients("convolution", &conv, [1, 2, 4, 4], |l, x| l.forward(x));
    }
}

#[test]
fn orthogonal() {
    for (input, output) in [(4, 3), (2, 4)] {
        let layer = LinearConfig::new(input, output).init(&device());
        let layer = OrthogonalConfig::new().apply(layer).unwrap();
        gradients("linear", &layer, [2, input], |l, x| l.forward(x));
    }
}
