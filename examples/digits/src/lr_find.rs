//! The learning-rate range test of a recipe.

use burn::tensor::Device;
use firecraft::core_tensor::device;
use firecraft::schedule::{LrFinderConfig, Suggestion, sparkline};
use firecraft::trainer::{RunFolder, Trainer, lr_find, register_in};

use crate::args::Args;
use crate::data::Data;
use crate::error::DigitsError;
use crate::setup::{self, Setup};
use crate::train::Run;

/// The test begins here: no step this small does anything.
const START: f64 = 1e-6;

/// Trains with a growing learning rate, prints what it suggests and leaves the
/// curve in the folder of a run.
pub(crate) fn run(args: &Args) -> Result<(), DigitsError> {
    let device: Device = device::select(args.device.as_deref())?;
    let data = Data::load(args.data.as_deref())?;
    let recipe = setup::recipe(args, &data)?;
    let mut registries = setup::registries(&recipe)?;
    let folder = RunFolder::create(&args.out, "digits-lr-find", &recipe)?;
    register_in(&mut registries, folder.path())?;
    let Setup {
        model, in_loader, ..
    } = setup::build(&recipe, &registries, &device)?;
    let run = Run {
        args,
        recipe: &recipe,
        registries: &registries,
        data: &data,
        folder: &folder,
        device: &device,
    };
    let trainer = Trainer::new(model, recipe.optimizer.build()?)
        .task(recipe.task(&registries)?)
        .seed(recipe.seed)
        .accumulate(recipe.accumulate);
    let source = run.source(&data.splits.train, true, in_loader)?;
    let (_, finder) = lr_find(trainer, source, &LrFinderConfig::new().with_start(START))?;

    let losses: Vec<f64> = finder.curve().iter().map(|point| point.1).collect();
    println!("smoothed loss  {}", sparkline(&losses, 60));
    for how in Suggestion::ALL {
        if let Some(found) = finder.suggest(how) {
            println!("{:<13}  {:.2e}", how.name(), found.lr);
        }
    }
    folder.write("lr-find.csv", finder.to_csv().as_bytes())?;
    let chart = folder.write("lr-find.svg", finder.chart().to_svg().as_bytes())?;
    println!("{}", chart.display());
    Ok(())
}
