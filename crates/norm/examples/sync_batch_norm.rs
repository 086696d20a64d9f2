//! Batch normalisation over the batches of several workers, against the same
//! layer on the whole batch.
//!
//! ```sh
//! # One worker per GPU, through burn's collectives (NCCL). NOT RUN so far: it
//! # takes two NVIDIA GPUs.
//! cargo run --release -p firecraft-norm --features cuda --example sync_batch_norm -- cuda:0 cuda:1
//! # Two threads of the CPU, through host memory.
//! cargo run --release -p firecraft-norm --example sync_batch_norm
//! ```
//!
//! Prints how far the outputs, the gradients of the input and the running
//! statistics of one training step are from those of the whole batch, and
//! fails if that is more than rounding.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use burn::tensor::distributed::{DistributedConfig, DistributedContext, ReduceOperation};
use burn::tensor::{Device, Tensor, TensorData};
use firecraft_core_tensor::device::{Backend, DeviceName};
use firecraft_core_tensor::{DeviceAllReduce, Key};
use firecraft_norm::{
    AllReduce, BatchNormConfig, HostAllReduce, NormConfig, NormSlot, replace_batch_norms,
};

/// Rows per worker, channels, positions.
const PART: [usize; 3] = [4, 8, 25];
const TOLERANCE: f32 = 1e-4;

type Failure = Box<dyn Error + Send + Sync>;

/// A device, and how its worker reaches the others.
type Worker = (Device, Arc<dyn AllReduce>);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        println!("two threads of the CPU; name GPUs, as in `-- cuda:0 cuda:1`, for collectives");
        let threads = HostAllReduce::threads(2).into_iter();
        let workers = threads.map(|sum| -> Worker { (Device::flex(), Arc::new(sum)) });
        return compare(workers.collect());
    }
    let mut devices = Vec::new();
    for name in &names {
        let name: DeviceName = name.parse()?;
        if name.backend() != Backend::Cuda {
            return Err(format!("burn has collectives for cuda, not for {name}").into());
        }
        devices.push(name.open()?);
    }
    // The collectives live as long as the context.
    let config = DistributedConfig {
        all_reduce_op: ReduceOperation::Sum,
    };
    let _context = DistributedContext::init(devices.clone(), config);
    let all_reduce: Arc<dyn AllReduce> = Arc::new(DeviceAllReduce::new(devices.clone()));
    let workers = devices.into_iter().map(|d| (d, all_reduce.clone()));
    compare(workers.collect())
}

/// Splits a batch over the workers and compares with the whole of it.
fn compare(workers: Vec<Worker>) -> Result<(), Failure> {
    let [rows, channels, positions] = PART;
    let mut rng = Key::from_seed(1).rng();
    let batch: Vec<f32> = (0..workers.len() * rows * channels * positions)
        .map(|_| 3.0 * rng.normal() + 10.0)
        .collect();
    let shape = [workers.len() * rows, channels, positions];
    let whole = step(&Device::flex(), TensorData::new(batch.clone(), shape), None)?;

    let parts = batch.chunks(rows * channels * positions);
    let steps: Vec<Result<Step, Failure>> = std::thread::scope(|scope| {
        let running: Vec<_> = workers
            .iter()
            .zip(parts)
            .map(|((device, all_reduce), part)| {
                let part = TensorData::new(part.to_vec(), PART);
                scope.spawn(move || step(device, part, Some(all_reduce)))
            })
            .collect();
        let joined = running.into_iter().map(|worker| worker.join());
        let panicked = || Err("a worker panicked".into());
        joined.map(|j| j.unwrap_or_else(|_| panicked())).collect()
    });
    let steps = steps.into_iter().collect::<Result<Vec<_>, _>>()?;

    let joined = |part: fn(&Step) -> &Vec<f32>| -> Vec<f32> {
        steps.iter().flat_map(|step| part(step).clone()).collect()
    };
    check("output", &joined(|step| &step.output), &whole.output)?;
    check("gradient", &joined(|step| &step.gradient), &whole.gradient)?;
    for step in &steps {
        check("running statistics", &step.running, &whole.running)?;
    }
    Ok(())
}

struct Step {
    output: Vec<f32>,
    gradient: Vec<f32>,
    running: Vec<f32>,
}

/// One training step of a model on a batch; alone, or with others.
fn step(
    device: &Device,
    batch: TensorData,
    all_reduce: Option<&Arc<dyn AllReduce>>,
) -> Result<Step, Failure> {
    let device = device.clone().autodiff();
    // Any model that lists its normalisations by `norm_tree!`.
    let mut model = NormConfig::Batch(BatchNormConfig::new(1)).try_init(PART[1], &device)?;
    if let Some(all_reduce) = all_reduce {
        model = replace_batch_norms(model, |_, norm| Some(norm.to_sync(all_reduce.clone())))?;
    }
    let x = Tensor::<3>::from_data(batch, &device).require_grad();
    let y = model.try_forward(x.clone())?;
    let gradients = y.clone().exp().sum().backward();
    let gradient = x.grad(&gradients).ok_or("no gradient")?;
    let norm = model.batch_norm().ok_or("no batch normalisation")?;
    let mut running = Vec::new();
    let statistics = [&norm.running_mean, &norm.running_var];
    for statistic in statistics.into_iter().flatten() {
        running.extend(statistic.value().try_into_vec_as::<f32>()?);
    }
    Ok(Step {
        output: y.try_into_vec_as()?,
        gradient: gradient.try_into_vec_as()?,
        running,
    })
}

/// Prints the largest difference, which must be rounding.
fn check(what: &str, got: &[f32], want: &[f32]) -> Result<(), Failure> {
    let differences = got.iter().zip(want).map(|(a, b)| (a - b).abs());
    let largest = differences.fold(0.0, f32::max);
    println!("{what:<20} differs by {largest:.1e} at most");
    let finite = got.iter().all(|a| a.is_finite());
    if got.len() == want.len() && finite && largest <= TOLERANCE {
        return Ok(());
    }
    Err(format!("{what}: not that of the whole batch").into())
}
