//! A run that is cut at any update and resumed ends with the bits of the run
//! that was not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use firecraft_schedule::{ReduceOnPlateauConfig, WarmupConfig};
use firecraft_trainer::callbacks::{
    Checkpoint, CsvLogger, EarlyStopping, Interrupt, Lambda, ReduceLrOnPlateau,
};
use firecraft_trainer::checkpoint::CheckpointStore;
use firecraft_trainer::{
    AdamW, Average, Classification, Clip, Control, CrossEntropy, Event, Fitted, ModelState,
    Outcome, Trainer, TrainerError,
};
use support::{Flat, Net, train, valid};

const BATCHES: u64 = 5;
const EPOCHS: u64 = 6;

fn trainer(folder: &Path, model: Net) -> Trainer<Net> {
    let plateau = ReduceOnPlateauConfig::new(0.02)
        .with_factor(0.5)
        .with_patience(1u64);
    let schedule = WarmupConfig::new(4.0)
        .init(plateau.init().unwrap())
        .unwrap();
    let store = CheckpointStore::open(folder.join("checkpoints")).unwrap();
    Trainer::new(model, AdamW::torch().without_decay_of_vectors())
        .task(Classification {
            loss: CrossEntropy::new().with_label_smoothing(0.1),
        })
        .schedule(schedule)
        .monitor("val_accuracy")
        .clip(Clip::GlobalNorm { max: 1.0 })
        .accumulate(2)
        .epochs(EPOCHS)
        .seed(11)
        .checkpoints(store.clone())
        .callback(EarlyStopping::new("val_loss", 4).unwrap().restore_best())
        .callback(
            ReduceLrOnPlateau::new("val_loss")
                .factor(0.7)
                .patience(1)
                .build()
                .unwrap(),
        )
        .callback(CsvLogger::new(folder.join("history.csv")))
        .callback(Checkpoint::new(store).every_updates(1).keep_last(2))
}

fn cut_after(
    updates: u64,
) -> Lambda<impl FnMut(&Event<'_>, &firecraft_trainer::Context<'_>) -> Control + Send> {
    Lambda::new("cut", move |event, context| match event {
        Event::UpdateEnd(_) if context.progress.update == updates => Control::Interrupt {
            reason: "cut".into(),
        },
        _ => Control::Continue,
    })
}

fn finish(trainer: Trainer<Net>) -> Fitted<Net> {
    trainer.fit(train(BATCHES), valid()).unwrap()
}

fn csv(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("history.csv")).unwrap()
}

#[test]
fn a_run_cut_at_any_update_and_resumed_equals_the_straight_run() {
    let _alone = support::alone();
    let straight = tempfile::tempdir().unwrap();
    let expected = finish(trainer(straight.path(), Net::new(1)));
    let updates = expected.progress.update;
    assert_eq!(updates, 3 * expected.history.rows().len() as u64);
    assert!(updates > 9, "the run stopped too early to tell anything");

    for cut in 0..updates {
        let folder = tempfile::tempdir().unwrap();
        let first = trainer(folder.path(), Net::new(1)).callback(cut_after(cut));
        if cut > 0 {
            let first = finish(first);
            assert!(matches!(first.outcome, Outcome::Interrupted { .. }));
        }
        // Another process has other weights and other parameter ids.
        let second = finish(trainer(folder.path(), Net::new(if cut > 0 { 2 } else { 1 })).resume());
        assert_eq!(second.history, expected.history, "cut at {cut}");
        assert_eq!(csv(folder.path()), csv(straight.path()), "cut at {cut}");
        assert_eq!(second.outcome, expected.outcome, "cut at {cut}");
        assert_eq!(
            ModelState::of(&second.model).digest(),
            ModelState::of(&expected.model).digest(),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_run_cut_at_every_update_in_turn_still_equals_the_straight_run() {
    let _alone = support::alone();
    let straight = tempfile::tempdir().unwrap();
    let expected = finish(trainer(straight.path(), Net::new(1)));
    let folder = tempfile::tempdir().unwrap();
    let mut last = finish(trainer(folder.path(), Net::new(1)).callback(cut_after(1)));
    for cut in 2..=expected.progress.update + 1 {
        last = finish(
            trainer(folder.path(), Net::new(cut))
                .callback(cut_after(cut))
                .resume(),
        );
    }
    assert_eq!(
        ModelState::of(&last.model).digest(),
        ModelState::of(&expected.model).digest()
    );
    let checkpoints = CheckpointStore::open(folder.path().join("checkpoints")).unwrap();
    assert!(
        checkpoints.names().unwrap().len() <= 3,
        "disk use is bounded"
    );
}

#[test]
fn averaged_weights_survive_a_cut_at_any_update() {
    let _alone = support::alone();
    let averaging = |folder: &Path, model| {
        let average = Average::ema(0.9).with_warmup(1.0, 0.7).start(4);
        trainer(folder, model).average(average)
    };
    let digest = |fitted: &Fitted<Net>| {
        let averaged = fitted.averaged.as_ref().unwrap();
        ModelState::of(averaged).digest()
    };
    let straight = tempfile::tempdir().unwrap();
    let expected = finish(averaging(straight.path(), Net::new(1)));
    assert_ne!(digest(&expected), ModelState::of(&expected.model).digest());
    for cut in [2, 4, 5, 6, 9, 11] {
        let folder = tempfile::tempdir().unwrap();
        finish(averaging(folder.path(), Net::new(1)).callback(cut_after(cut)));
        let resumed = finish(averaging(folder.path(), Net::new(2)).resume());
        assert_eq!(digest(&resumed), digest(&expected), "cut at {cut}");
        assert_eq!(csv(folder.path()), csv(straight.path()), "cut at {cut}");
    }
    let folder = tempfile::tempdir().unwrap();
    finish(averaging(folder.path(), Net::new(1)).callback(cut_after(6)));
    let other = trainer(folder.path(), Net::new(1)).resume();
    let error = other.fit(train(BATCHES), valid()).unwrap_err().to_string();
    assert!(error.contains("`average`"), "{error}");
}

#[test]
fn a_finished_run_can_be_resumed_and_stays_what_it_is() {
    let _alone = support::alone();
    let folder = tempfile::tempdir().unwrap();
    let expected = finish(trainer(folder.path(), Net::new(1)));
    let again = finish(trainer(folder.path(), Net::new(2)).resume());
    assert_eq!(again.outcome, expected.outcome);
    assert_eq!(again.progress, expected.progress);
    assert_eq!(
        ModelState::of(&again.model).digest(),
        ModelState::of(&expected.model).digest()
    );
}

#[test]
fn a_damaged_checkpoint_costs_a_few_updates_and_nothing_else() {
    let _alone = support::alone();
    let straight = tempfile::tempdir().unwrap();
    let expected = finish(trainer(straight.path(), Net::new(1)));
    let folder = tempfile::tempdir().unwrap();
    finish(trainer(folder.path(), Net::new(1)).callback(cut_after(7)));
    let store = CheckpointStore::open(folder.path().join("checkpoints")).unwrap();
    let newest = store.names().unwrap().pop().unwrap();
    assert_eq!(newest, "update-000000007");
    let payload = store.folder().join(newest).join("model.safetensors");
    let bytes = std::fs::read(&payload).unwrap();
    std::fs::write(&payload, &bytes[..bytes.len() / 2]).unwrap();

    let notices = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = notices.clone();
    let listener = Lambda::new("listener", move |event, _| {
        if let Event::Notice { message } = event {
            seen.lock().unwrap().push((*message).to_owned());
        }
        Control::Continue
    });
    let resumed = finish(
        trainer(folder.path(), Net::new(2))
            .callback(listener)
            .resume(),
    );
    assert_eq!(
        ModelState::of(&resumed.model).digest(),
        ModelState::of(&expected.model).digest()
    );
    let notices = notices.lock().unwrap().join("\n");
    assert!(
        notices.contains("`update-000000007` is damaged"),
        "{notices}"
    );
    assert!(
        notices.contains("going back to checkpoint `update-000000006-epoch-00002`"),
        "{notices}"
    );
}

#[test]
fn an_interrupt_saves_a_checkpoint_at_the_next_update() {
    let _alone = support::alone();
    let folder = tempfile::tempdir().unwrap();
    let flag = Arc::new(AtomicBool::new(false));
    let store = CheckpointStore::open(folder.path().join("checkpoints")).unwrap();
    let set = flag.clone();
    let user = Lambda::new("user", move |event, context| {
        if matches!(event, Event::UpdateEnd(_)) && context.progress.update == 4 {
            set.store(true, Ordering::Relaxed);
        }
        Control::Continue
    });
    let fitted = Trainer::new(Net::new(1), AdamW::torch())
        .epochs(EPOCHS)
        .checkpoints(store.clone())
        .callback(user)
        .callback(Interrupt::new(flag))
        .fit(train(BATCHES), valid())
        .unwrap();
    assert_eq!(fitted.progress.update, 4);
    assert!(matches!(fitted.outcome, Outcome::Interrupted { .. }));
    assert_eq!(store.names().unwrap(), ["update-000000004"]);
}

#[test]
fn another_model_seed_or_data_set_is_refused_and_nothing_is_overwritten() {
    let _alone = support::alone();
    let folder = tempfile::tempdir().unwrap();
    finish(trainer(folder.path(), Net::new(1)).callback(cut_after(7)));
    let store = CheckpointStore::open(folder.path().join("checkpoints")).unwrap();
    let before = store.names().unwrap();
    let rows = csv(folder.path());

    let other_seed = trainer(folder.path(), Net::new(1)).seed(12).resume();
    let error = other_seed.fit(train(BATCHES), valid()).unwrap_err();
    assert!(matches!(error, TrainerError::OtherRecipe { ref field, .. } if field == "seed"));

    let other_data = trainer(folder.path(), Net::new(1)).resume();
    let error = other_data.fit(train(BATCHES + 1), valid()).unwrap_err();
    assert!(matches!(error, TrainerError::OtherRecipe { .. }), "{error}");

    let error = Trainer::new(Flat::new(1), AdamW::torch())
        .epochs(EPOCHS)
        .accumulate(2)
        .seed(11)
        .checkpoints(store.clone())
        .resume()
        .fit(train(BATCHES), valid())
        .unwrap_err();
    assert!(matches!(error, TrainerError::OtherModel { .. }), "{error}");

    assert_eq!(store.names().unwrap(), before);
    assert_eq!(csv(folder.path()), rows);
}
