//! How deep a network without shortcuts trains, and with which learning rates.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use firecraft_init::{Activation, InitPlan};
use firecraft_key::Key;
use firecraft_norm::{BatchNormConfig, Norm, NormConfig};
use firecraft_plot::{LineChart, Scale};
use rayon::prelude::*;

use crate::StudyError;
use crate::data::{Data, PIXELS};
use crate::training::{Network, Training, test_error};

const DEPTHS: [usize; 3] = [4, 16, 48];
const RATES: [f64; 7] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0];
const WIDTH: usize = 64;
const BATCH: usize = 64;

/// Layers of 64 units with ReLU, each with or without normalisation.
#[derive(Module, Debug)]
struct Plain {
    layers: Vec<Linear>,
    norms: Vec<Norm>,
    head: Linear,
}

impl Plain {
    fn new(depth: usize, norm: &NormConfig, seed: u64) -> Result<Self, StudyError> {
        let device = Device::flex().autodiff();
        let size = |i| if i == 0 { PIXELS } else { WIDTH };
        let layers = (0..depth).map(|i| LinearConfig::new(size(i), WIDTH).init(&device));
        let norms = (0..depth).map(|_| norm.try_init(WIDTH, &device));
        let network = Self {
            layers: layers.collect(),
            norms: norms.collect::<Result<_, _>>()?,
            head: LinearConfig::new(WIDTH, 10).init(&device),
        };
        // He's initial values: the best start for a network without norms.
        let plan = InitPlan::for_activation(Activation::Relu)?;
        Ok(plan.apply(network, Key::from_seed(seed))?)
    }
}

impl Network for Plain {
    fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        let layers = self.layers.iter().zip(&self.norms);
        let x = layers.fold(images, |x, (layer, norm)| {
            relu(norm.forward(layer.forward(x)))
        });
        self.head.forward(x)
    }
}

/// Prints the table and returns the figure.
pub(crate) fn study(data: &Data, epochs: u64, seeds: u64) -> Result<String, StudyError> {
    let norms = [
        ("without", NormConfig::None),
        ("batch norm", NormConfig::Batch(BatchNormConfig::new(1))),
    ];
    let mut settings = Vec::new();
    for (name, norm) in &norms {
        for depth in DEPTHS {
            settings.extend(RATES.map(|rate| (*name, norm, depth, rate)));
        }
    }
    let errors = settings
        .par_iter()
        .map(|(_, norm, depth, rate)| {
            let mut sum = 0.0;
            for seed in 0..seeds {
                let training = Training {
                    batch_size: BATCH,
                    rate: *rate,
                    epochs,
                    seed,
                };
                let network = training.run(Plain::new(*depth, norm, seed)?, data);
                sum += test_error(&network, data);
            }
            Ok(sum / seeds as f64)
        })
        .collect::<Result<Vec<f64>, StudyError>>()?;

    println!("\nTest error in %, {epochs} epochs of batches of {BATCH}\n");
    let rates: Vec<String> = RATES.iter().map(f64::to_string).collect();
    println!("| | layers | {} |", rates.join(" | "));
    println!("|---|---|{}", "---|".repeat(RATES.len()));
    let mut chart = LineChart::new("Depth and learning rate")
        .x_label("learning rate")
        .y_label("test error, %")
        .x_scale(Scale::Log)
        .y_limits(0.0, 100.0)
        .size(640, 360);
    for (row, errors) in settings.chunks(RATES.len()).zip(errors.chunks(RATES.len())) {
        let (name, _, depth, _) = row[0];
        let cells: Vec<String> = errors.iter().map(|e| format!("{e:.1}")).collect();
        println!("| {name} | {depth} | {} |", cells.join(" | "));
        let points: Vec<(f64, f64)> = RATES.into_iter().zip(errors.iter().copied()).collect();
        chart = chart.series(format!("{depth} layers, {name}"), &points);
    }
    Ok(chart.to_svg())
}
