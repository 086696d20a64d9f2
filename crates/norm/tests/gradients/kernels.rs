//! The layers that have kernels, at shapes that take every path of them.

use firecraft_norm::{
    BatchNormConfig, GroupNormConfig, InstanceNormConfig, LayerNormConfig, Mode, RmsNormConfig,
};

use crate::check::{device, gradients};

#[test]
fn batch_norm() {
    let config = BatchNormConfig::new(3).with_initial_affine(1.5, -0.5);
    let layer = config.init(&device());
    gradients("rows of channels", &layer, [5, 3], |l, x| l.forward(x));
    gradients("short planes", &layer, [4, 3, 5], |l, x| l.forward(x));
    gradients("long planes", &layer, [2, 3, 9, 8], |l, x| l.forward(x));
    gradients("evaluation", &layer, [2, 3, 5], |l, x| {
        l.forward_mode(x, Mode::Eval)
    });
    gradients("short planes and ReLU", &layer, [4, 3, 5], |l, x| {
        l.forward_relu(x)
    });
    gradients("long planes and ReLU", &layer, [2, 3, 9, 8], |l, x| {
        l.forward_relu(x)
    });
    let last = config.with_axis(-1).init(&device());
    gradients("channels last", &last, [2, 2, 2, 3], |l, x| l.forward(x));
}

#[test]
fn layer_norm() {
    let layer = LayerNormConfig::new([7]).init(&device());
    gradients("last axis", &layer, [4, 7], |l, x| l.forward(x));
    let layer = LayerNormConfig::new([3, 5]).init(&device());
    gradients("last axes", &layer, [2, 2, 3, 5], |l, x| l.forward(x));
    let layer = LayerNormConfig::new([5]).with_axis(1).init(&device());
    gradients("channels first", &layer, [2, 5, 3], |l, x| l.forward(x));
}

#[test]
fn rms_norm() {
    let layer = RmsNormConfig::new([7]).init(&device());
    gradients("last axis", &layer, [4, 7], |l, x| l.forward(x));
    let layer = RmsNormConfig::new([5]).with_axis(1).init(&device());
    gradients("channels first", &layer, [2, 5, 3], |l, x| l.forward(x));
}

#[test]
fn group_norm() {
    let layer = GroupNormConfig::new(2, 6).init(&device());
    gradients("rows", &layer, [3, 6], |l, x| l.forward(x));
    gradients("planes", &layer, [2, 6, 2, 3], |l, x| l.forward(x));
    let layer = GroupNormConfig::new(2, 6).with_axis(-1).init(&device());
    gradients("channels last", &layer, [2, 3, 6], |l, x| l.forward(x));
}

#[test]
fn instance_norm() {
    let layer = InstanceNormConfig::new(3)
        .with_affine(true)
        .with_track_running_stats(true)
        .init(&device());
    gradients("training", &layer, [2, 3, 7], |l, x| l.forward(x));
    gradients("evaluation", &layer, [2, 3, 7], |l, x| {
        l.try_forward_mode(x, Mode::Eval).unwrap()
    });
}
