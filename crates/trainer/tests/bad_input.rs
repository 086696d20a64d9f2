//! Bad input of whole runs: what is wrong is named, and nothing is lost.
//!
//! Elsewhere: a loss that is no number and a label out of range (`fit.rs`),
//! another model, seed or data set (`resume.rs`), a damaged image by itself
//! (`firecraft-data`), every fault of the disk at every operation
//! (`checkpoint/store.rs`, `crash.rs`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use firecraft_data::{CorruptPolicy, ImageFiles, LoaderConfig};
use firecraft_spec::Spec;
use firecraft_trainer::callbacks::{Checkpoint, CsvLogger};
use firecraft_trainer::checkpoint::{CheckpointStore, Disk, OsDisk};
use firecraft_trainer::{
    Arrays, LoaderSource, ModelState, Recipe, RunFolder, Sgd, Supervised, Targets, Trainer,
    TrainerError,
};
use support::{Net, train, valid};

/// A disk that is full from some write on, until it is freed.
struct FullDisk {
    writes: AtomicU64,
    good: u64,
    freed: AtomicBool,
}

impl Disk for FullDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_folder(path)
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let write = self.writes.fetch_add(1, Ordering::Relaxed);
        if write < self.good || self.freed.load(Ordering::Relaxed) {
            return OsDisk.write_file(path, bytes);
        }
        OsDisk.write_file(path, &bytes[..bytes.len() / 2])?;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        OsDisk.read_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        OsDisk.sync_folder(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_folder(path)
    }

    fn folders(&self, path: &Path) -> io::Result<Vec<String>> {
        OsDisk.folders(path)
    }
}

#[test]
fn a_disk_that_fills_up_ends_the_fit_and_freeing_it_loses_nothing() {
    let _alone = support::alone();
    let fit = |disk: Arc<dyn Disk>, folder: &Path, background: bool| {
        let store = CheckpointStore::with_disk(folder.join("checkpoints"), disk).unwrap();
        let mut trainer = Trainer::new(Net::new(1), Sgd::torch().with_momentum(0.9))
            .learning_rate(0.1)
            .epochs(4)
            .checkpoints(store.clone())
            .callback(Checkpoint::new(store).every_updates(1).on_error())
            .resume();
        if background {
            trainer = trainer.checkpoints_in_background();
        }
        trainer.fit(train(3), valid())
    };
    let digest = |model: &Net| ModelState::of(model).digest();
    let straight = tempfile::tempdir().unwrap();
    let expected = fit(Arc::new(OsDisk), straight.path(), false).unwrap();
    // At the first checkpoint, inside one, and much later.
    for (good, background) in [(0, false), (7, false), (23, false), (23, true)] {
        let disk = Arc::new(FullDisk {
            writes: AtomicU64::new(0),
            good,
            freed: AtomicBool::new(false),
        });
        let folder = tempfile::tempdir().unwrap();
        let error = fit(disk.clone(), folder.path(), background).unwrap_err();
        assert!(matches!(error, TrainerError::Io { .. }), "{error}");
        assert!(error.to_string().contains("free some space"), "{error}");
        disk.freed.store(true, Ordering::Relaxed);
        let resumed = fit(disk, folder.path(), background).unwrap();
        assert_eq!(digest(&resumed.model), digest(&expected.model), "{good}");
        assert_eq!(resumed.history, expected.history, "{good}");
    }
}

#[test]
fn a_log_that_cannot_be_written_is_an_error_with_its_path() {
    let _alone = support::alone();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("absent/history.csv");
    let error = Trainer::new(Net::new(1), Sgd::torch())
        .callback(CsvLogger::new(log))
        .fit(train(2), valid())
        .unwrap_err();
    assert!(error.to_string().contains("absent/history.csv"), "{error}");
}

/// Two classes of images of 2 × 2 pixels.
#[derive(Module, Debug)]
struct Small {
    layer: Linear,
}

impl Small {
    fn new(classes: usize) -> Self {
        let device = Device::flex().autodiff();
        Self {
            layer: LinearConfig::new(12, classes).init(&device),
        }
    }
}

impl Supervised for Small {
    type Input = Tensor<4>;

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.layer.forward(images.flatten(1, 3))
    }
}

fn photos(classes: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for class in 0..classes {
        let path = folder.path().join(format!("class{class}"));
        fs::create_dir(&path).unwrap();
        for image in 0..4u8 {
            let mut bytes = Vec::new();
            let mut encoder = png::Encoder::new(&mut bytes, 2, 2);
            encoder.set_color(png::ColorType::Rgb);
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(&[image * 9; 12]).unwrap();
            writer.finish().unwrap();
            fs::write(path.join(format!("{image}.png")), bytes).unwrap();
        }
    }
    folder
}

fn fit_photos(folder: &Path, policy: CorruptPolicy, outputs: usize) -> Result<u64, TrainerError> {
    let files = ImageFiles::from_folder(folder)?;
    let loader = LoaderConfig::new(3)
        .with_workers(2)
        .with_corrupt_policy(policy)
        .init(files)?;
    let source = LoaderSource::new(loader)?;
    let fitted = Trainer::new(Small::new(outputs), Sgd::torch()).fit_unvalidated(source)?;
    Ok(fitted.progress.samples)
}

#[test]
fn an_unreadable_image_ends_the_fit_with_its_name_or_is_left_out() {
    let _alone = support::alone();
    let folder = photos(2);
    fs::write(folder.path().join("class1/2.png"), "no image").unwrap();
    let error = fit_photos(folder.path(), CorruptPolicy::Error, 2).unwrap_err();
    assert!(error.to_string().contains("2.png"), "{error}");
    let samples = fit_photos(folder.path(), CorruptPolicy::Skip, 2).unwrap();
    assert_eq!(samples, 7);
}

#[test]
fn images_that_are_all_unreadable_are_an_error_even_if_they_are_left_out() {
    let _alone = support::alone();
    let folder = photos(2);
    for class in ["class0", "class1"] {
        for image in 0..4 {
            let path = folder.path().join(class).join(format!("{image}.png"));
            fs::write(path, "no image").unwrap();
        }
    }
    let error = fit_photos(folder.path(), CorruptPolicy::Skip, 2).unwrap_err();
    assert!(error.to_string().contains("skipped samples"), "{error}");
}

#[test]
fn more_classes_than_outputs_and_an_empty_class_are_named() {
    let _alone = support::alone();
    let folder = photos(3);
    let error = fit_photos(folder.path(), CorruptPolicy::Error, 2).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("a label is 2, the model has 2"), "{error}");
    fs::create_dir(folder.path().join("nothing")).unwrap();
    let error = fit_photos(folder.path(), CorruptPolicy::Error, 4).unwrap_err();
    assert!(error.to_string().contains("nothing: got none"), "{error}");
}

#[test]
fn an_empty_data_set_is_refused_before_the_first_step() {
    let _alone = support::alone();
    let trainer = || Trainer::new(Net::new(1), Sgd::torch());
    let training = trainer().fit(train(0), valid()).unwrap_err();
    let validation = trainer().fit(train(2), train(0)).unwrap_err();
    for (split, error) in [("training", training), ("validation", validation)] {
        let error = error.to_string();
        assert!(error.contains(split), "{error}");
        assert!(error.contains("no batch; check the path"), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let error = fit_photos(folder.path(), CorruptPolicy::Skip, 2).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("one folder per class"), "{error}");
}

#[test]
fn empty_arrays_are_refused() {
    let device = Device::flex();
    let x = Tensor::<2>::zeros([0, 3], &device);
    let y = Targets::Classes(Tensor::zeros([0], &device));
    let error = Arrays::new(x, y, 4).unwrap_err().to_string();
    assert!(error.contains("one at least"), "{error}");
}

#[test]
fn a_run_folder_is_not_resumed_with_another_recipe() {
    let parent = tempfile::tempdir().unwrap();
    let recipe = Recipe {
        schedule: Spec::new("constant").with("value", 0.1),
        ..Recipe::default()
    };
    let path = {
        let run = RunFolder::create(parent.path(), "run", &recipe).unwrap();
        run.path().to_owned()
    };
    let stored = RunFolder::open(&path).unwrap().recipe().unwrap();
    assert!(stored.expect(&recipe).is_ok());
    let other = Recipe {
        batch_size: 64,
        ..recipe
    };
    let error = stored.expect(&other).unwrap_err();
    assert!(matches!(error, TrainerError::OtherRecipe { .. }));
    assert!(
        error
            .to_string()
            .contains("`batch_size` is 32 there, 64 now"),
        "{error}"
    );
}
