//! Which normalisation stands which batch size.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use firecraft_init::{Activation, InitPlan};
use firecraft_key::Key;
use firecraft_norm::{
    BatchNormConfig, BatchRenormConfig, ConvNormAct2d, ConvNormAct2dConfig, GroupNormConfig,
    LayerNormConfig, NormConfig, Weighting, recalibrate,
};
use firecraft_plot::{LineChart, Scale};
use rayon::prelude::*;

use crate::StudyError;
use crate::data::Data;
use crate::training::{Network, Training, test_error};

const BATCHES: [usize; 6] = [2, 4, 8, 16, 32, 128];

/// The learning rate grows with the root of the batch, from this at 32.
const RATE: f64 = 0.1;

/// Three convolutions, the mean over the positions, a linear layer.
#[derive(Module, Debug)]
struct ConvNet {
    blocks: Vec<ConvNormAct2d>,
    head: Linear,
}

impl ConvNet {
    fn new(norm: &NormConfig, seed: u64) -> Result<Self, StudyError> {
        let device = Device::flex().autodiff();
        let block = |channels, stride| {
            ConvNormAct2dConfig::new(channels, [3, 3])
                .with_stride([stride; 2])
                .with_norm(norm.clone())
                .try_init(&device)
        };
        let blocks = vec![block([1, 8], 1)?, block([8, 16], 2)?, block([16, 16], 2)?];
        let network = Self {
            blocks,
            head: LinearConfig::new(16, 10).init(&device),
        };
        let plan = InitPlan::for_activation(Activation::Relu)?;
        Ok(plan.apply(network, Key::from_seed(seed))?)
    }
}

impl Network for ConvNet {
    fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        let rows = images.dims()[0];
        let x = images.reshape([rows, 1, 8, 8]);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.head
            .forward(x.mean_dim(3).mean_dim(2).reshape([rows, 16]))
    }
}

/// The normalisations that are compared, and whether the statistics are
/// computed anew before the test.
fn norms() -> [(&'static str, NormConfig, bool); 7] {
    let batch = NormConfig::Batch(BatchNormConfig::new(1));
    let renorm = BatchRenormConfig::new(1)
        .with_momenta(0.1, 0.1)
        .with_clipping(1.0 / 3.0, 3.0, 5.0);
    [
        ("none", NormConfig::None, false),
        ("batch", batch.clone(), false),
        ("batch, recalibrated", batch, true),
        ("batch renorm", NormConfig::BatchRenorm(renorm), false),
        (
            "group (4)",
            NormConfig::Group(GroupNormConfig::new(4, 4)),
            false,
        ),
        (
            "group (1)",
            NormConfig::Group(GroupNormConfig::new(1, 1)),
            false,
        ),
        (
            "layer (channels)",
            NormConfig::Layer(LayerNormConfig::new([1]).with_axis(1)),
            false,
        ),
    ]
}

/// Prints the table and returns the figure.
pub(crate) fn study(data: &Data, epochs: u64, seeds: u64) -> Result<String, StudyError> {
    let norms = norms();
    let mut settings = Vec::new();
    for (name, norm, recalibrates) in &norms {
        settings.extend(BATCHES.map(|batch| (*name, norm, *recalibrates, batch)));
    }
    let errors = settings
        .par_iter()
        .map(|(_, norm, recalibrates, batch_size)| {
            let mut sum = 0.0;
            for seed in 0..seeds {
                let training = Training {
                    batch_size: *batch_size,
                    rate: RATE * (*batch_size as f64 / 32.0).sqrt(),
                    epochs,
                    seed,
                };
                let mut network = training.run(ConvNet::new(norm, seed)?, data);
                if *recalibrates {
                    let all = [data.train.all(&Device::flex()).0];
                    let forward = |network: &ConvNet, images| {
                        let _ = network.forward(images);
                    };
                    network = recalibrate(network, all, Weighting::PerSample, forward);
                }
                sum += test_error(&network, data);
            }
            Ok(sum / seeds as f64)
        })
        .collect::<Result<Vec<f64>, StudyError>>()?;

    println!("\nTest error in %, {epochs} epochs, learning rate {RATE} · √(batch / 32)\n");
    let sizes: Vec<String> = BATCHES.iter().map(usize::to_string).collect();
    println!("| | {} |", sizes.join(" | "));
    println!("|---|{}", "---|".repeat(BATCHES.len()));
    let mut chart = LineChart::new("Normalisation and batch size")
        .x_label("batch size")
        .y_label("test error, %")
        .x_scale(Scale::Log)
        .size(640, 360);
    for (row, errors) in settings
        .chunks(BATCHES.len())
        .zip(errors.chunks(BATCHES.len()))
    {
        let name = row[0].0;
        let cells: Vec<String> = errors.iter().map(|e| format!("{e:.1}")).collect();
        println!("| {name} | {} |", cells.join(" | "));
        let sizes = BATCHES.iter().map(|batch| *batch as f64);
        let points: Vec<(f64, f64)> = sizes.zip(errors.iter().copied()).collect();
        chart = chart.series(name, &points);
    }
    Ok(chart.to_svg())
}
