//! One run: fit, test, report.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use firecraft::augment::Compose;
use firecraft::core_tensor::device;
use firecraft::data::{Dataset as _, ImageDataset, LoaderBuilder, LoaderConfig};
use firecraft::spec::{Registries, Spec};
use firecraft::trainer::callbacks::{Checkpoint, CsvLogger, Interrupt, ProgressBar, TimingLogger};
use firecraft::trainer::{
    Augmented, BatchSource as _, Fitted, LoaderSource, ModelState, Outcome, Recipe, RunFolder,
    TrainerError, mix_batches,
};

use crate::args::Args;
use crate::data::Data;
use crate::error::DigitsError;
use crate::evaluation::predictions;
use crate::model::DigitNet;
use crate::report::Contents;
use crate::setup::{self, Setup};
use crate::signals::signals;

/// Validation images of a run with shortened epochs.
const SMOKE_VALIDATION: usize = 32;
const CLASSES: usize = 10;

/// Trains, tests and reports. Gives `false` for a run that was interrupted.
pub(crate) fn run(args: &Args, stop: &Arc<AtomicBool>) -> Result<bool, DigitsError> {
    let device = device::select(args.device.as_deref())?;
    let data = Data::load(args.data.as_deref())?;
    let (recipe, mut registries, folder) = match &args.resume {
        None => {
            let recipe = setup::recipe(args, &data)?;
            // Whatever is wrong with a plugin shows before there is a folder.
            let registries = setup::registries(&recipe)?;
            let folder = RunFolder::create(&args.out, "digits", &recipe)?;
            (recipe, registries, folder)
        }
        Some(path) => resume(args, path, &data)?,
    };
    firecraft::trainer::register_in(&mut registries, folder.path())?;
    let run = Run {
        args,
        recipe: &recipe,
        registries: &registries,
        data: &data,
        folder: &folder,
        device: &device,
    };
    let result = run.train(stop, ProgressBar::stderr())?;
    match result.test_accuracy {
        Some(accuracy) => println!("test accuracy {:.2} %", accuracy * 100.0),
        None => println!(
            "interrupted; go on with: digits --resume {}",
            folder.path().display()
        ),
    }
    println!("{}", folder.path().join(REPORT).display());
    Ok(result.test_accuracy.is_some())
}

const REPORT: &str = "report.html";

/// Opens an earlier run and checks that it is the one that was meant.
fn resume(
    args: &Args,
    path: &std::path::Path,
    data: &Data,
) -> Result<(Recipe, Registries, RunFolder), DigitsError> {
    let folder = RunFolder::open(path)?;
    let recipe = folder.recipe()?;
    let mut asked = recipe.clone();
    asked.data = data.spec.clone();
    if recipe.model.type_name != DigitNet::FAMILY {
        asked.model = Spec::new(DigitNet::FAMILY);
    }
    setup::overlay(&mut asked, args);
    recipe.expect(&asked)?;
    let registries = setup::registries(&recipe)?;
    Ok((recipe, registries, folder))
}

/// One run with everything it needs.
pub(crate) struct Run<'a> {
    pub(crate) args: &'a Args,
    pub(crate) recipe: &'a Recipe,
    pub(crate) registries: &'a Registries,
    pub(crate) data: &'a Data,
    pub(crate) folder: &'a RunFolder,
    pub(crate) device: &'a Device,
}

/// What a run found.
pub(crate) struct RunResult {
    /// `None` if the run was interrupted.
    pub(crate) test_accuracy: Option<f64>,
    pub(crate) history: firecraft::trainer::History,
}

impl Run<'_> {
    pub(crate) fn train(
        &self,
        stop: &Arc<AtomicBool>,
        progress: ProgressBar,
    ) -> Result<RunResult, DigitsError> {
        let Setup {
            model,
            augmentation,
            in_loader,
        } = setup::build(self.recipe, self.registries, self.device)?;
        let splits = &self.data.splits;
        let signals = signals(&model, &splits.train, &self.data.normalizer, self.device)?;

        let store = self.folder.checkpoints()?;
        let mut checkpoint = Checkpoint::new(store.clone()).keep_best(1, "val_accuracy");
        if let Some(updates) = self.args.checkpoint_every {
            checkpoint = checkpoint.every_updates(updates);
        }
        let mut trainer = self
            .recipe
            .trainer(model, self.registries)?
            .checkpoints(store)
            .callback(CsvLogger::new(self.folder.path().join("history.csv")))
            .callback(TimingLogger::new(self.folder.path().join("timing.csv")))
            .callback(progress)
            .callback(Interrupt::new(stop.clone()))
            .callback(checkpoint);
        if self.args.resume.is_some() {
            trainer = trainer.resume();
        }
        let train = self.source(&splits.train, true, in_loader)?;
        let valid = self.source(&self.validation(), false, None)?;
        let fitted = match &self.recipe.mixing {
            None => trainer.fit(train, valid)?,
            Some(mixing) => {
                let mix = mix_batches(mixing.clone(), CLASSES)?;
                trainer.fit(train.map_batches(self.recipe.seed, "mixing", mix), valid)?
            }
        };

        let finished = !matches!(fitted.outcome, Outcome::Interrupted { .. });
        // The test data is read here and nowhere else.
        let test = finished
            .then(|| {
                predictions(
                    &fitted.model,
                    &splits.test,
                    &self.data.normalizer,
                    self.device,
                )
            })
            .transpose()?;
        let report = Contents {
            recipe: self.recipe,
            device: &device_name(self.device),
            status: status(&fitted),
            history: &fitted.history,
            signals: &signals,
            augmentation: augmentation.as_ref().map(|compose| compose as _),
            train: &splits.train,
            normalizer: &self.data.normalizer,
            test: test.as_ref().map(|predictions| (&splits.test, predictions)),
        };
        self.folder.write(REPORT, report.to_html()?.as_bytes())?;
        if finished {
            self.export(&fitted.model)?;
        }
        Ok(RunResult {
            test_accuracy: test.map(|predictions| predictions.accuracy()),
            history: fitted.history,
        })
    }

    fn validation(&self) -> ImageDataset {
        let validation = &self.data.splits.validation;
        if self.recipe.batches_per_epoch.is_some() {
            validation.take(SMOKE_VALIDATION.min(validation.len()))
        } else {
            validation.clone()
        }
    }

    pub(crate) fn source(
        &self,
        dataset: &ImageDataset,
        train: bool,
        augment: Option<Compose>,
    ) -> Result<LoaderSource, DigitsError> {
        let batch = self.recipe.batch_size as usize;
        let mut config = LoaderConfig::new(if train { batch } else { 256 });
        if train {
            config = config.shuffled().with_seed(self.recipe.seed);
        }
        let builder = LoaderBuilder::new(dataset.clone());
        let loader = match augment {
            Some(compose) => builder.map(Augmented::new(compose)).build(&config)?,
            None => builder.build(&config)?,
        };
        Ok(LoaderSource::new(loader)?.with_normalizer(self.data.normalizer.clone()))
    }

    /// The final weights for other programs.
    fn export(&self, model: &DigitNet) -> Result<(), DigitsError> {
        let bytes = ModelState::of(model).to_archive().to_bytes();
        let bytes = bytes.map_err(|error| TrainerError::Data {
            split: "model",
            problem: error.to_string(),
        })?;
        self.folder.write("model.safetensors", &bytes)?;
        Ok(())
    }
}

fn status(fitted: &Fitted<DigitNet>) -> &'static str {
    match fitted.outcome {
        Outcome::Completed => "finished",
        Outcome::Stopped { .. } => "stopped early",
        _ => "interrupted",
    }
}

fn device_name(device: &Device) -> String {
    device::DeviceName::of(device).map_or_else(|| format!("{device:?}"), |name| name.to_string())
}
