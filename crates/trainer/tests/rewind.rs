//! Going back to a checkpoint with a lower learning rate, and what is saved when
//! a fit fails.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Tensor};
use firecraft_spec::Value;
use firecraft_trainer::callbacks::{Checkpoint, CsvLogger, Lambda};
use firecraft_trainer::checkpoint::CheckpointStore;
use firecraft_trainer::{
    BatchSource, Control, Event, Fitted, InMemory, Labelled, ModelState, NonFinite, Outcome, Sgd,
    Trainer, TrainerError,
};
use support::{Make, Net, train, valid};

fn store(folder: &Path) -> CheckpointStore {
    CheckpointStore::open(folder.join("checkpoints")).unwrap()
}

fn trainer(folder: &Path, seed: u64) -> Trainer<Net> {
    let store = store(folder);
    Trainer::new(Net::new(seed), Sgd::torch().with_momentum(0.9))
        .learning_rate(0.1)
        .epochs(4)
        .checkpoints(store.clone())
        .callback(CsvLogger::new(folder.join("history.csv")))
        .callback(Checkpoint::new(store).every_updates(2).keep_last(3))
}

/// Finds the loss of update 7 too high while the learning rate is.
fn picky() -> Lambda<impl FnMut(&Event<'_>, &firecraft_trainer::Context<'_>) -> Control + Send> {
    Lambda::new("picky", |event, context| match event {
        Event::UpdateStart if context.progress.update == 7 && context.learning_rate > 0.03 => {
            Control::Many(vec![
                Control::SkipUpdate,
                Control::Rewind {
                    factor: 0.5,
                    reason: "too high".into(),
                },
            ])
        }
        _ => Control::Continue,
    })
}

fn cut_at(
    update: u64,
) -> Lambda<impl FnMut(&Event<'_>, &firecraft_trainer::Context<'_>) -> Control + Send> {
    Lambda::new("cut", move |event, context| match event {
        Event::UpdateEnd(_) if context.progress.update == update => Control::Interrupt {
            reason: "cut".into(),
        },
        _ => Control::Continue,
    })
}

fn digest(fitted: &Fitted<Net>) -> String {
    ModelState::of(&fitted.model).digest()
}

#[test]
fn a_rewound_run_goes_on_with_a_lower_learning_rate_and_no_gap() {
    let _alone = support::alone();
    let folder = tempfile::tempdir().unwrap();
    let fitted = trainer(folder.path(), 1)
        .callback(picky())
        .fit(train(3), valid())
        .unwrap();
    // 0.1 and 0.05 are too high, 0.025 is not.
    assert_eq!(fitted.history.last().unwrap().learning_rate, 0.025);
    let epochs: Vec<u64> = fitted.history.rows().iter().map(|row| row.epoch).collect();
    assert_eq!(epochs, [0, 1, 2, 3]);
    assert_eq!(fitted.progress.update, 12);

    // Killed anywhere, before, between or after the rewinds, it ends alike.
    for cut in [3, 7, 8, 11] {
        let other = tempfile::tempdir().unwrap();
        trainer(other.path(), 1)
            .callback(picky())
            .callback(cut_at(cut))
            .fit(train(3), valid())
            .unwrap();
        let resumed = trainer(other.path(), 2)
            .callback(picky())
            .resume()
            .fit(train(3), valid())
            .unwrap();
        assert_eq!(digest(&resumed), digest(&fitted), "cut at {cut}");
        assert_eq!(resumed.history, fitted.history, "cut at {cut}");
    }
}

#[test]
fn rewinding_has_an_end_and_needs_a_store() {
    let _alone = support::alone();
    fn poisoned(epoch: u64, index: u64, device: &Device) -> Labelled<Tensor<2>> {
        let mut batch = support::batch(epoch, index, device);
        if epoch == 2 {
            batch.inputs = batch.inputs * f64::NAN;
        }
        batch
    }
    let source = || InMemory::new(3, 24, poisoned as Make);
    let policy = NonFinite::Rewind {
        factor: 0.5,
        at_most: 3,
    };
    let folder = tempfile::tempdir().unwrap();
    let error = trainer(folder.path(), 1)
        .on_non_finite(policy)
        .fit(source(), valid())
        .unwrap_err();
    assert!(matches!(error, TrainerError::NotFinite { .. }), "{error}");
    // What was good is still there.
    let latest = store(folder.path()).latest().unwrap().unwrap();
    assert!(!latest.payloads.is_empty());
    let error = Trainer::new(Net::new(1), Sgd::torch())
        .epochs(4)
        .on_non_finite(policy)
        .fit(source(), valid())
        .unwrap_err()
        .to_string();
    assert!(error.contains("checkpoint store"), "{error}");
}

/// A source that can't be read at one batch, once.
struct Flaky(InMemory<Make>, u64, Arc<AtomicBool>);

impl BatchSource for Flaky {
    type Batch = Labelled<Tensor<2>>;

    fn batches_per_epoch(&self) -> u64 {
        self.0.batches_per_epoch()
    }

    fn samples_per_epoch(&self) -> u64 {
        self.0.samples_per_epoch()
    }

    fn identity(&self) -> String {
        self.0.identity()
    }

    fn start_epoch(&mut self, epoch: u64) -> Result<(), TrainerError> {
        self.1 = epoch;
        self.0.start_epoch(epoch)
    }

    fn next_batch(&mut self, device: &Device) -> Result<Option<Self::Batch>, TrainerError> {
        if self.1 == 2 && !self.2.swap(true, Ordering::Relaxed) {
            return Err(TrainerError::Data {
                split: "training",
                problem: "the disk is gone".into(),
            });
        }
        self.0.next_batch(device)
    }

    fn cursor(&self) -> Value {
        self.0.cursor()
    }

    fn restore(&mut self, cursor: &Value) -> Result<(), TrainerError> {
        self.0.restore(cursor)
    }
}

#[test]
fn a_fit_that_fails_between_two_updates_loses_none_of_them() {
    let _alone = support::alone();
    let straight = tempfile::tempdir().unwrap();
    let expected = trainer(straight.path(), 1).fit(train(3), valid()).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let saver = |seed| {
        let store = store(folder.path());
        Trainer::new(Net::new(seed), Sgd::torch().with_momentum(0.9))
            .learning_rate(0.1)
            .epochs(4)
            .checkpoints(store.clone())
            .callback(
                Checkpoint::new(store)
                    .every_epochs(100)
                    .keep_best(0, "val_loss")
                    .on_error(),
            )
    };
    let failed = Arc::new(AtomicBool::new(false));
    let source = || Flaky(train(3), 0, Arc::clone(&failed));
    let error = saver(1).fit(source(), valid()).unwrap_err();
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    let names = store(folder.path()).names().unwrap();
    assert_eq!(names, ["update-000000006-epoch-00002"]);
    let resumed = saver(2).resume().fit(source(), valid()).unwrap();
    assert_eq!(digest(&resumed), digest(&expected));
    assert_eq!(resumed.history, expected.history);
}

#[test]
fn a_run_that_is_interrupted_at_the_very_update_goes_back_first() {
    let _alone = support::alone();
    let straight = tempfile::tempdir().unwrap();
    let expected = trainer(straight.path(), 1)
        .callback(picky())
        .fit(train(3), valid())
        .unwrap();

    let folder = tempfile::tempdir().unwrap();
    // Update 8 is the one that is given up.
    let interrupt = Lambda::new("interrupt", |event, context| match event {
        Event::UpdateEnd(_) if context.progress.update == 8 && context.learning_rate > 0.09 => {
            Control::Many(vec![
                Control::Checkpoint,
                Control::Interrupt {
                    reason: "enough for today".into(),
                },
            ])
        }
        _ => Control::Continue,
    });
    let cut = trainer(folder.path(), 1)
        .callback(picky())
        .callback(interrupt)
        .fit(train(3), valid())
        .unwrap();
    assert!(matches!(cut.outcome, Outcome::Interrupted { .. }));
    assert_eq!(
        cut.progress.update, 6,
        "what was given up is not handed out"
    );
    let saved = store(folder.path()).latest().unwrap().unwrap();
    let state = String::from_utf8(saved.payloads["state.json"].clone()).unwrap();
    assert!(state.contains("\"rewinds\": 1"), "{state}");

    let resumed = trainer(folder.path(), 2)
        .callback(picky())
        .resume()
        .fit(train(3), valid())
        .unwrap();
    assert_eq!(digest(&resumed), digest(&expected));
    assert_eq!(resumed.history, expected.history);
}
