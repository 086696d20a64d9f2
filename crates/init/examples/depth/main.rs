//! What initialisation does to a deep network: the signal at the start, and
//! how a plain gradient descent fares from there. Prints the tables of
//! `docs/init.md` and writes its charts into a folder.
//!
//! ```sh
//! cargo run --release -p firecraft-init --example depth -- docs/init
//! ```
//!
//! Further arguments restrict it: `mlp` or `conv` to that network, `relu` or
//! `tanh` to that activation.
#![allow(clippy::print_stdout)]

mod nets;

use burn::module::{ModuleMapper, Param};
use burn::tensor::{Device, Gradients, Tensor};
use firecraft_init::{
    Activation, DeltaOrthogonal, InitError, InitPlan, Lsuv, Normal, SignalReport, VarianceScaling,
    diagnose,
};
use firecraft_key::Key;
use firecraft_plot::{LineChart, Scale};
use nets::{ConvNet, Mlp, Net};
use std::error::Error;
use std::path::{Path, PathBuf};

/// How a network starts.
enum Scheme {
    Plan(InitPlan),
    Lsuv,
}

fn schemes(activation: Activation, convolutions: bool) -> Result<Vec<(String, Scheme)>, InitError> {
    let scaling = VarianceScaling::glorot_uniform;
    let plan = |name: &str, plan| (name.to_owned(), Scheme::Plan(plan));
    let mut schemes = vec![
        plan("N(0, 0.01²)", InitPlan::new(Normal::new(0.0, 0.01))),
        plan("N(0, 1)", InitPlan::new(Normal::new(0.0, 1.0))),
        plan("Glorot uniform", InitPlan::new(scaling())),
        plan("He normal", InitPlan::new(VarianceScaling::he_normal())),
    ];
    if activation == Activation::Tanh {
        let exact = VarianceScaling::lecun_normal().with_gain(activation.gain()?);
        schemes.push(plan("exact gain", InitPlan::new(exact)));
    }
    if convolutions {
        let gain = match activation {
            Activation::Tanh => 1.0,
            activation => activation.gain()?,
        };
        let delta = InitPlan::new(scaling()).kind("Conv*", DeltaOrthogonal::new(gain));
        schemes.push(plan("delta-orthogonal", delta));
    }
    schemes.push(("LSUV".to_owned(), Scheme::Lsuv));
    Ok(schemes)
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

/// The loss before each step and after the last.
fn train<N: Net>(mut model: N, rate: f64, device: &Device) -> Vec<f64> {
    let (x, labels) = N::data(device);
    let mut losses = Vec::with_capacity(N::STEPS + 1);
    for _ in 0..N::STEPS {
        let loss = model.loss(x.clone(), labels.clone());
        losses.push(f64::from(loss.clone().into_scalar::<f32>()));
        if !losses.iter().all(|loss| loss.is_finite()) {
            return losses;
        }
        let gradients = loss.backward();
        model = model.map(&mut Descent { gradients, rate });
    }
    losses.push(f64::from(model.loss(x, labels).into_scalar::<f32>()));
    losses
}

/// What is measured of one scheme.
struct Outcome {
    name: String,
    report: SignalReport,
    losses: Vec<f64>,
}

fn measure<N: Net>(
    name: String,
    scheme: Scheme,
    tanh: bool,
    device: &Device,
) -> Result<Outcome, InitError> {
    let key = Key::from_seed(1);
    let model = N::new(tanh, device);
    let (x, _) = N::data(device);
    let model = match scheme {
        Scheme::Plan(plan) => plan.apply(model, key)?,
        Scheme::Lsuv => Lsuv::default().apply(model, x.clone(), key)?.0,
    };
    let report = diagnose(&model, x)?;
    let last = |losses: &Vec<f64>| losses.last().copied().filter(|loss| loss.is_finite());
    let losses = (N::RATES.iter())
        .map(|&rate| train(model.clone(), rate, device))
        .min_by(|a, b| {
            let [a, b] = [a, b].map(|losses| last(losses).unwrap_or(f64::INFINITY));
            a.total_cmp(&b)
        })
        .unwrap_or_default();
    Ok(Outcome {
        name,
        report,
        losses,
    })
}

fn experiment<N: Net>(activation: Activation, folder: &Path) -> Result<(), Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let tanh = activation == Activation::Tanh;
    println!("\n{}, {activation}\n", N::TITLE);
    println!(
        "| initialiser | activations × per layer | gradients × per layer | verdict \
         | loss after {} steps |",
        N::STEPS
    );
    println!("|---|---|---|---|---|");
    let mut outcomes = Vec::new();
    for (name, scheme) in schemes(activation, N::CONVOLUTIONS)? {
        let outcome = measure::<N>(name, scheme, tanh, &device)?;
        let number = |x: Option<f64>| x.map_or_else(|| "–".to_owned(), |x| format!("{x:.3}"));
        let loss = outcome.losses.last().copied().filter(|x| x.is_finite());
        println!(
            "| {} | {} | {} | {} | {} |",
            outcome.name,
            number(outcome.report.forward_factor),
            number(outcome.report.backward_factor),
            outcome.report.verdict,
            loss.map_or_else(|| "not finite".to_owned(), |loss| format!("{loss:.3}")),
        );
        outcomes.push(outcome);
    }
    charts::<N>(&outcomes, activation, folder)
}

fn charts<N: Net>(
    outcomes: &[Outcome],
    activation: Activation,
    folder: &Path,
) -> Result<(), Box<dyn Error>> {
    let chart = |what: &str| LineChart::new(format!("{what}: {}, {activation}", N::TITLE));
    let signal = |what: &str| {
        (chart(what).x_label("layer").y_label("standard deviation"))
            .y_scale(Scale::Log)
            .y_limits(1e-6, 1e6)
    };
    let mut activations = signal("Activations");
    let mut gradients = signal("Gradients");
    let mut losses = chart("Training")
        .x_label("step of gradient descent")
        .y_label("cross-entropy")
        .y_limits(0.0, N::WORST);
    for outcome in outcomes {
        let layers = outcome.report.layers.iter().enumerate();
        let at = |i: usize| i as f64 + 1.0;
        let points: Vec<_> = (layers.clone())
            .map(|(i, layer)| (at(i), layer.activation.std))
            .collect();
        activations = activations.series(&outcome.name, &points);
        let points: Vec<_> = layers
            .filter_map(|(i, layer)| Some((at(i), layer.gradient?.std)))
            .collect();
        gradients = gradients.series(&outcome.name, &points);
        let points: Vec<_> = (outcome.losses.iter().enumerate().step_by(2))
            .map(|(i, &loss)| (i as f64, loss))
            .collect();
        losses = losses.series(&outcome.name, &points);
    }
    for (what, chart) in [
        ("activations", activations),
        ("gradients", gradients),
        ("training", losses),
    ] {
        let file = format!("{}-{activation}-{what}.svg", N::NAME);
        std::fs::write(folder.join(file), chart.to_svg())?;
    }
    Ok(())
}

/// Whether something is to be measured, by what is on the command line: either
/// it is named there, or nothing of its kind is.
fn wanted(named: &[String], kind: [&str; 2], name: &str) -> bool {
    let any = named.iter().any(|word| kind.contains(&word.as_str()));
    !any || named.iter().any(|word| word == name)
}

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: depth FOLDER [mlp|conv] [relu|tanh]; charts go to the folder";
    let mut arguments = std::env::args_os().skip(1);
    let folder = arguments.next().map(PathBuf::from).ok_or(usage)?;
    let named: Vec<String> = arguments
        .map(|word| word.into_string().map_err(|_| usage))
        .collect::<Result<_, _>>()?;
    let nets = [Mlp::NAME, ConvNet::NAME];
    let activations = ["relu", "tanh"];
    let known =
        |word: &String| nets.contains(&word.as_str()) || activations.contains(&word.as_str());
    if !named.iter().all(known) {
        return Err(usage.into());
    }
    std::fs::create_dir_all(&folder)?;
    for (name, activation) in activations
        .into_iter()
        .zip([Activation::Relu, Activation::Tanh])
    {
        if !wanted(&named, activations, name) {
            continue;
        }
        if wanted(&named, nets, Mlp::NAME) {
            experiment::<Mlp>(activation, &folder)?;
        }
        if wanted(&named, nets, ConvNet::NAME) {
            experiment::<ConvNet>(activation, &folder)?;
        }
    }
    Ok(())
}
