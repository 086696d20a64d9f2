//! Which epochs Keras' `ModelCheckpoint` saves.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Device;
use firecraft::schedule::Mode;
use firecraft::trainer::callbacks::{Checkpoint, Lambda};
use firecraft::trainer::checkpoint::CheckpointStore;
use firecraft::trainer::{Control, Event, InMemory, NonFinite, Sgd, Trainer};

use super::tiny::{Number, Square};
use crate::compare::equal;
use crate::families::{Outcome, failed};
use crate::golden::{Case, Field};

/// A fit whose validation loss takes the given values.
pub(super) fn keras(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let known = [
        "monitor",
        "mode",
        "save_best_only",
        "save_weights_only",
        "initial_value_threshold",
        "save_freq",
        "verbose",
    ];
    if args.keys().iter().any(|key| !known.contains(key)) {
        return Err(Outcome::Unsupported);
    }
    let monitor = args.get("monitor").or("val_loss", Field::str)?;
    if monitor != "val_loss" || args.get("save_freq").or("epoch", Field::str)? != "epoch" {
        return Err(Outcome::Unsupported);
    }
    let mode = match args.get("mode").or("auto", Field::str)? {
        "auto" => Mode::of_metric(monitor),
        "min" => Mode::Min,
        "max" => Mode::Max,
        _ => return Err(Outcome::Unsupported),
    };
    let values: Vec<f32> = case
        .get("values")
        .f64s()?
        .into_iter()
        .map(|value| value as f32)
        .collect();

    let folder = scratch()?;
    let store = CheckpointStore::open(folder.0.clone()).map_err(failed)?;
    let mut checkpoint = Checkpoint::new(store.clone()).keep_last(values.len());
    if args.get("save_best_only").or(false, Field::bool)? {
        checkpoint = checkpoint
            .keep_best(1, monitor)
            .mode(mode)
            .only_improvements();
        if let Some(threshold) = args.get("initial_value_threshold").optional(Field::f64)? {
            checkpoint = checkpoint.threshold(threshold);
        }
    }
    let saved = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&saved);
    let listener = Lambda::new("listener", move |event, context| {
        if let Event::CheckpointSaved { .. } = event {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(context.progress.epoch - 1);
        }
        Control::Continue
    });
    let epochs = values.len() as u64;
    let mut epoch = 0;
    let valid = InMemory::new(1, 1, move |_, _, _: &Device| {
        epoch += 1;
        Some(values[epoch - 1])
    });
    let train = InMemory::new(1, 1, |_, _, _: &Device| None);
    Trainer::new(Number::new(), Sgd::torch())
        .task(Square)
        .epochs(epochs)
        .on_non_finite(NonFinite::Allow)
        .checkpoints(store)
        .callback(checkpoint)
        .callback(listener)
        .fit(train, valid)
        .map_err(failed)?;

    let saved = saved.lock().unwrap_or_else(PoisonError::into_inner);
    let got: Vec<bool> = (0..epochs).map(|epoch| saved.contains(&epoch)).collect();
    let want: Vec<bool> = case
        .get("saved")
        .items()?
        .iter()
        .map(Field::bool)
        .collect::<Result<_, _>>()?;
    equal("saved", got, want)
}

/// A folder that goes away with its owner.
struct Scratch(std::path::PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing can be done about a folder that stays.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn scratch() -> Result<Scratch, Outcome> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("firecraft-conformance-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&path).map_err(failed)?;
    Ok(Scratch(path))
}
