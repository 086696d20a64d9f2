//! What initialisation does to a deep network: the signal at the start, and
//! how a plain gradient descent fares from there. Prints the tables of
//! `docs/init.md`.
//!
//! ```sh
//! cargo run --release -p firecraft-init --example depth
//! ```
#![allow(clippy::print_stdout)]

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{log_softmax, relu, tanh};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use firecraft_init::{
    Activation, InitError, InitPlan, Initializer, Lsuv, Normal, Probe, Probed, VarianceScaling,
    diagnose,
};
use firecraft_key::Key;

const DEPTH: usize = 40;
const WIDTH: usize = 64;
const POINTS: usize = 256;
const CLASSES: usize = 3;
const STEPS: usize = 200;

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
    head: Linear,
    #[module(skip)]
    tanh: bool,
}

impl Probed<Tensor<2>> for Mlp {
    fn forward_probed(&self, x: Tensor<2>, probe: &mut Probe) {
        let mut x = x;
        for (i, layer) in self.layers.iter().enumerate() {
            x = self.activate(probe.see(&format!("layers.{i}"), layer.forward(x)));
        }
    }
}

impl Mlp {
    fn new(tanh: bool, device: &Device) -> Self {
        let size = |i| if i == 0 { 2 } else { WIDTH };
        let layers = (0..DEPTH).map(|i| LinearConfig::new(size(i), WIDTH).init(device));
        Self {
            layers: layers.collect(),
            head: LinearConfig::new(WIDTH, CLASSES).init(device),
            tanh,
        }
    }

    fn activate(&self, x: Tensor<2>) -> Tensor<2> {
        if self.tanh { tanh(x) } else { relu(x) }
    }

    fn loss(&self, x: Tensor<2>, labels: Tensor<2, Int>) -> Tensor<1> {
        let x = (self.layers.iter()).fold(x, |x, layer| self.activate(layer.forward(x)));
        -log_softmax(self.head.forward(x), 1)
            .gather(1, labels)
            .mean()
    }
}

/// One step of gradient descent.
struct Descent {
    gradients: Gradients,
    rate: f64,
}

impl ModuleMapper for Descent {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| match value.grad_remove(&mut self.gradients) {
            None => value,
            Some(gradient) => {
                let step = value.inner() - gradient.mul_scalar(self.rate);
                Tensor::from_inner(step).require_grad()
            }
        })
    }
}

/// Three interleaved spirals.
fn spirals(device: &Device) -> (Tensor<2>, Tensor<2, Int>) {
    let mut rng = Key::from_seed(3).rng();
    let (mut points, mut labels) = (Vec::new(), Vec::new());
    for i in 0..POINTS {
        let class = i % CLASSES;
        let radius = rng.range(0.2, 2.0);
        let angle = 2.5 * radius + class as f64 * 2.0 * std::f64::consts::PI / CLASSES as f64;
        points.push((radius * angle.cos()) as f32);
        points.push((radius * angle.sin()) as f32);
        labels.push(class as i64);
    }
    (
        Tensor::from_data(TensorData::new(points, [POINTS, 2]), device),
        Tensor::from_data(TensorData::new(labels, [POINTS, 1]), device),
    )
}

fn train(mut model: Mlp, rate: f64, device: &Device) -> f64 {
    let (x, labels) = spirals(device);
    for _ in 0..STEPS {
        let gradients = model.loss(x.clone(), labels.clone()).backward();
        model = model.map(&mut Descent { gradients, rate });
    }
    f64::from(model.loss(x, labels).into_scalar::<f32>())
}

fn main() -> Result<(), InitError> {
    let device = Device::flex().autodiff();
    let key = Key::from_seed(1);
    for (name, saturating) in [("ReLU", false), ("tanh", true)] {
        println!("\n{DEPTH} layers of {WIDTH} units, {name}\n");
        println!(
            "| initialiser | activations × per layer | gradients × per layer | verdict \
             | loss after {STEPS} steps |"
        );
        println!("|---|---|---|---|---|");
        let activation = if saturating {
            Activation::Tanh
        } else {
            Activation::Relu
        };
        let exact = VarianceScaling::lecun_normal().with_gain(activation.gain()?);
        let schemes: [(&str, Option<Box<dyn Initializer>>); 6] = [
            ("N(0, 0.01²)", Some(Box::new(Normal::new(0.0, 0.01)))),
            ("N(0, 1)", Some(Box::new(Normal::new(0.0, 1.0)))),
            (
                "Glorot uniform",
                Some(Box::new(VarianceScaling::glorot_uniform())),
            ),
            ("He normal", Some(Box::new(VarianceScaling::he_normal()))),
            ("exact gain", Some(Box::new(exact))),
            ("LSUV", None),
        ];
        for (scheme, weights) in schemes {
            let model = Mlp::new(saturating, &device);
            let (x, _) = spirals(&device);
            let model = match weights {
                Some(weights) => InitPlan::new(weights).apply(model, key)?,
                None => Lsuv::default().apply(model, x.clone(), key)?.0,
            };
            let report = diagnose(&model, x)?;
            // The best of a few rates, so that none is at a disadvantage.
            let losses = [0.1, 0.03, 0.01, 0.003].map(|rate| train(model.clone(), rate, &device));
            let best = losses
                .into_iter()
                .filter(|loss| loss.is_finite())
                .fold(f64::NAN, f64::min);
            let factor = |factor: Option<f64>| {
                factor.map_or_else(|| "–".to_owned(), |factor| format!("{factor:.3}"))
            };
            println!(
                "| {scheme} | {} | {} | {} | {best:.3} |",
                factor(report.forward_factor),
                factor(report.backward_factor),
                report.verdict
            );
        }
    }
    Ok(())
}
