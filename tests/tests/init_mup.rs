//! The maximal-update parametrisation, from initial values through the groups
//! of the optimiser: what a few updates do to a network doesn't depend on its
//! width (the "coordinate check" of Yang et al. 2022).
// Helpers of tests are not covered by clippy's allow-unwrap-in-tests.
#![allow(clippy::unwrap_used)]

use burn::{
    module::Module,
    nn::{Linear, LinearConfig},
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData, activation::relu},
};
use firecraft::{
    init::{
        Activation, InitPlan,
        presets::{MuP, Optimizer as Family},
    },
    key::Key,
    trainer::{Adam, GroupRule, Optimizer, Select, Sgd},
};

const INPUTS: usize = 8;
const CLASSES: usize = 4;
const SAMPLES: usize = 32;
const BASE: usize = 16;
/// Far enough from the base for the readout to start near 0, as in the limit.
const NARROW: usize = 8 * BASE;
const WIDE: usize = 64 * BASE;
const STEPS: usize = 5;

#[derive(Module, Debug)]
struct Mlp {
    first: Linear,
    hidden: Linear,
    head: Linear,
}

impl Mlp {
    fn new(width: usize, device: &Device) -> Self {
        Self {
            first: LinearConfig::new(INPUTS, width).init(device),
            hidden: LinearConfig::new(width, width).init(device),
            head: LinearConfig::new(width, CLASSES).init(device),
        }
    }

    /// What the hidden layer and the head put out.
    fn outputs(&self, x: Tensor<2>) -> [Tensor<2>; 2] {
        let hidden = self.hidden.forward(relu(self.first.forward(x)));
        [hidden.clone(), self.head.forward(relu(hidden))]
    }
}

fn normals(columns: usize, seed: u64, device: &Device) -> Tensor<2> {
    let mut rng = Key::from_seed(seed).rng();
    let values: Vec<f32> = (0..SAMPLES * columns).map(|_| rng.normal()).collect();
    Tensor::from_data(TensorData::new(values, [SAMPLES, columns]), device)
}

fn groups(mup: &MuP, family: Family) -> Vec<GroupRule> {
    (mup.groups(family).into_iter())
        .flat_map(|group| {
            let rule = move |path| GroupRule {
                select: Select::Path { glob: path },
                learning_rate_scale: group.multiplier,
                weight_decay: None,
            };
            group.paths.into_iter().map(rule)
        })
        .collect()
}

/// Root mean square of what a few updates add to the outputs of the hidden
/// layer and of the head.
fn drift(
    width: usize,
    rate: f64,
    optimizer: impl Fn(Option<&MuP>) -> Optimizer,
    mup: bool,
) -> [f32; 2] {
    let device = Device::flex().autodiff();
    let model = Mlp::new(width, &device);
    let scaling = MuP::new(&Mlp::new(BASE, &device), &model).unwrap();
    let plan = InitPlan::for_activation(Activation::Relu).unwrap();
    let plan = if mup {
        scaling.plan(plan, &model).unwrap()
    } else {
        plan
    };
    let mut model = plan.apply(model, Key::from_seed(3)).unwrap();
    let x = normals(INPUTS, 1, &device);
    let y = normals(CLASSES, 2, &device) * 0.5 + 1.0;
    let before = model.outputs(x.clone());
    let mut optimizer = optimizer(mup.then_some(&scaling));
    for _ in 0..STEPS {
        let [_, out] = model.outputs(x.clone());
        let loss = (out - y.clone()).powf_scalar(2.0).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(rate, model, gradients);
    }
    let mut after = model.outputs(x).into_iter();
    before.map(|before| {
        let change = after.next().unwrap() - before;
        change.powf_scalar(2.0).mean().sqrt().into_scalar::<f32>()
    })
}

fn adam(mup: Option<&MuP>) -> Optimizer {
    let groups = mup.map_or_else(Vec::new, |mup| groups(mup, Family::Adam));
    Adam {
        groups,
        ..Adam::torch()
    }
    .build()
}

fn sgd(mup: Option<&MuP>) -> Optimizer {
    let groups = mup.map_or_else(Vec::new, |mup| groups(mup, Family::Sgd));
    Sgd {
        groups,
        ..Sgd::torch()
    }
    .build()
}

#[test]
fn updates_of_adam_change_a_wide_network_as_much_as_a_narrow_one() {
    let narrow = drift(NARROW, 0.005, adam, true);
    let wide = drift(WIDE, 0.005, adam, true);
    let usual = drift(WIDE, 0.005, adam, false);
    for layer in 0..2 {
        let ratio = wide[layer] / narrow[layer];
        assert!((0.5..2.0).contains(&ratio), "{narrow:?} {wide:?}");
    }
    // The usual parametrisation blows up with the width.
    assert!(usual[0] > 5.0 * narrow[0], "{narrow:?} {usual:?}");
}

#[test]
fn updates_of_gradient_descent_change_a_wide_network_as_much_as_a_narrow_one() {
    let narrow = drift(NARROW, 0.02, sgd, true);
    let wide = drift(WIDE, 0.02, sgd, true);
    for layer in 0..2 {
        let ratio = wide[layer] / narrow[layer];
        assert!((0.5..2.0).contains(&ratio), "{narrow:?} {wide:?}");
    }
}
