//! Every callback: a run that is cut and resumed leaves what the straight run
//! leaves, in its checkpoint, its weights and its files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use firecraft_trainer::callbacks::{
    Checkpoint, CsvLogger, EarlyStopping, FreezeStatistics, GradualUnfreezing, Interrupt,
    JsonlLogger, Lambda, LossGuard, Profiler, ProgressBar, ReduceLrOnPlateau, Remedy, SaveWeights,
    TensorBoard, TerminateOnNan, TimeLimit, TimingLogger,
};
use firecraft_trainer::checkpoint::CheckpointStore;
use firecraft_trainer::{
    AdamW, Average, Callback, Clip, Control, Event, Fitted, ModelState, Select, Trainer,
};
use support::{Net, files, newest, train, valid};

type Make = fn(&Path) -> Box<dyn Callback>;

/// All of them; a new callback gets a line here.
fn all() -> Vec<(&'static str, Make)> {
    vec![
        ("csv_logger", |folder| {
            Box::new(CsvLogger::new(folder.join("history.csv")))
        }),
        ("early_stopping", |_| {
            Box::new(EarlyStopping::new("val_loss", 2).unwrap().restore_best())
        }),
        ("freeze_statistics", |_| {
            Box::new(FreezeStatistics::new().from_epoch(2))
        }),
        ("gradual_unfreezing", |_| {
            let first = Select::Path {
                glob: "first.*".into(),
            };
            let norm = Select::Path {
                glob: "norm*".into(),
            };
            Box::new(
                GradualUnfreezing::new()
                    .then(1, norm)
                    .then(2, first)
                    .freeze_statistics(),
            )
        }),
        ("interrupt", |_| {
            Box::new(Interrupt::new(Arc::new(AtomicBool::new(false))))
        }),
        ("jsonl_logger", |folder| {
            Box::new(JsonlLogger::new(folder.join("log.jsonl")).every_updates(2))
        }),
        ("lambda", |_| {
            Box::new(Lambda::new("lambda", |_, _| Control::Continue))
        }),
        ("loss_guard", |_| {
            Box::new(LossGuard::new(1.1, Remedy::Skip).unwrap().window(3))
        }),
        ("profiler", |_| Box::new(Profiler::new())),
        ("progress_bar", |_| {
            Box::new(ProgressBar::to_writer(Vec::new()))
        }),
        ("reduce_lr_on_plateau", |_| {
            let plateau = ReduceLrOnPlateau::new("val_accuracy")
                .factor(0.5)
                .patience(1);
            Box::new(plateau.build().unwrap())
        }),
        ("save_weights", |folder| {
            Box::new(SaveWeights::new(folder.join("best.safetensors")).best("val_loss"))
        }),
        ("tensorboard", |folder| {
            Box::new(TensorBoard::new(folder.join("board")).histograms())
        }),
        ("terminate_on_nan", |_| Box::new(TerminateOnNan::new())),
        ("time_limit", |_| {
            Box::new(TimeLimit::new(Duration::from_secs(3600)))
        }),
        ("timing_logger", |folder| {
            Box::new(TimingLogger::new(folder.join("timing.csv")))
        }),
    ]
}

const EPOCHS: u64 = 4;
const BATCHES: u64 = 3;

fn fit(folder: &Path, seed: u64, make: Make, cut: Option<u64>, background: bool) -> Fitted<Net> {
    let store = CheckpointStore::open(folder.join("checkpoints")).unwrap();
    let cut = Lambda::new("cut", move |event, context| match event {
        Event::UpdateEnd(_) if Some(context.progress.update) == cut => Control::Interrupt {
            reason: "cut".into(),
        },
        _ => Control::Continue,
    });
    let mut trainer = Trainer::new(Net::new(seed), AdamW::torch())
        .learning_rate(0.05)
        .clip(Clip::GlobalNorm { max: 1.0 })
        .average(Average::ema(0.8).start(3).recalibrate(2))
        .epochs(EPOCHS)
        .validate_every_updates(2)
        .seed(3)
        .checkpoints(store.clone())
        .callbacks([make(folder)])
        .callback(cut)
        .callback(Checkpoint::new(store).every_updates(2).keep_last(2))
        .resume();
    if background {
        trainer = trainer.checkpoints_in_background();
    }
    trainer.fit(train(BATCHES), valid()).unwrap()
}

#[test]
fn every_callback_survives_a_cut_at_any_moment() {
    let _alone = support::alone();
    for (name, make) in all() {
        let straight = tempfile::tempdir().unwrap();
        let expected = fit(straight.path(), 1, make, None, false);
        for cut in [2, 3, 4, 8] {
            let folder = tempfile::tempdir().unwrap();
            fit(folder.path(), 1, make, Some(cut), false);
            let resumed = fit(folder.path(), 2, make, None, false);
            let at = format!("{name}, cut at {cut}");
            assert_eq!(resumed.history, expected.history, "{at}");
            assert_eq!(resumed.outcome, expected.outcome, "{at}");
            assert_eq!(
                ModelState::of(&resumed.model).digest(),
                ModelState::of(&expected.model).digest(),
                "{at}"
            );
            assert!(newest(folder.path()) == newest(straight.path()), "{at}");
            assert!(files(folder.path()) == files(straight.path()), "{at}");
        }
    }
}

#[test]
fn checkpoints_in_the_background_are_the_same_ones() {
    let _alone = support::alone();
    let make = all()[0].1;
    let here = tempfile::tempdir().unwrap();
    fit(here.path(), 1, make, None, false);
    let there = tempfile::tempdir().unwrap();
    fit(there.path(), 1, make, Some(4), true);
    fit(there.path(), 2, make, None, true);
    assert!(newest(there.path()) == newest(here.path()));
    let names = |folder: &Path| {
        let store = CheckpointStore::open(folder.join("checkpoints")).unwrap();
        store.names().unwrap()
    };
    assert_eq!(names(there.path()), names(here.path()));
}
