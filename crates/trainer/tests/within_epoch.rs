//! What changes within a run: batches that are left out, evaluations between
//! updates, accumulation that grows.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Mutex};

use burn::tensor::Device;
use burn::tensor::Tensor;
use firecraft_schedule::{LinearConfig, Pure, ReduceOnPlateauConfig, Unit};
use firecraft_trainer::callbacks::{
    Checkpoint, EarlyStopping, JsonlLogger, Lambda, LossGuard, Remedy,
};
use firecraft_trainer::checkpoint::CheckpointStore;
use firecraft_trainer::{
    Average, Classification, Clip, Control, Event, Fitted, InMemory, Labelled, ModelState,
    NonFinite, Outcome, Sgd, Trainer, TrainerError, evaluate, recalibrate,
};
use support::{Make, Net, train, valid};

const SPIKE: u64 = 12;

/// Batch 12 is far away from all others, but finite.
fn spiked(epoch: u64, index: u64, device: &Device) -> Labelled<Tensor<2>> {
    let mut batch = support::batch(epoch, index, device);
    if index == SPIKE {
        batch.inputs = batch.inputs * 1e4;
    }
    batch
}

fn digest(fitted: &Fitted<Net>) -> String {
    ModelState::of(&fitted.model).digest()
}

#[test]
fn a_batch_that_is_left_out_leaves_no_trace_in_running_statistics() {
    let _alone = support::alone();
    let source = || InMemory::new(15, 15 * support::BATCH as u64, spiked as Make);
    let trainer = || Trainer::new(Net::new(1), Sgd::torch()).learning_rate(0.01);
    let unseen = |accumulate| {
        trainer()
            .accumulate(accumulate)
            .callback(Lambda::new("unseen", |event, _| match event {
                Event::BatchStart { batch: SPIKE, .. } => Control::SkipBatch,
                _ => Control::Continue,
            }))
            .fit_unvalidated(source())
            .unwrap()
    };
    // Batch normalisation hides the size of inputs from the loss: by index.
    let seen = |accumulate| {
        trainer()
            .accumulate(accumulate)
            .callback(Lambda::new("seen", |event, _| match event {
                Event::BackwardEnd { batch: SPIKE, .. } => Control::SkipBatch,
                _ => Control::Continue,
            }))
            .fit_unvalidated(source())
            .unwrap()
    };
    for accumulate in [1, 4] {
        assert_eq!(digest(&seen(accumulate)), digest(&unseen(accumulate)));
    }
    let kept = trainer().fit_unvalidated(source()).unwrap();
    assert_ne!(digest(&kept), digest(&unseen(1)));
}

/// Labels of one batch are wrong, so that its loss leaps up.
fn mislabelled(epoch: u64, index: u64, device: &Device) -> Labelled<Tensor<2>> {
    let mut batch = support::batch(epoch, index, device);
    if index == SPIKE {
        batch.inputs = batch.inputs.flip([1]) * 5.0;
    }
    batch
}

#[test]
fn a_loss_guard_skips_a_finite_spike_wholly() {
    let _alone = support::alone();
    let source = || InMemory::new(15, 15 * support::BATCH as u64, mislabelled as Make);
    // Train on clean data first, so that the loss is low.
    let clean = Trainer::new(Net::new(1), Sgd::torch())
        .learning_rate(0.3)
        .epochs(20)
        .fit_unvalidated(train(8))
        .unwrap()
        .model;
    let trainer = || Trainer::new(clean.clone(), Sgd::torch()).learning_rate(0.01);
    let guard = LossGuard::new(2.5, Remedy::Skip).unwrap();
    let guarded = trainer().callback(guard).fit_unvalidated(source()).unwrap();
    let unseen = trainer()
        .callback(Lambda::new("unseen", |event, _| match event {
            Event::BatchStart { batch: SPIKE, .. } => Control::SkipBatch,
            _ => Control::Continue,
        }))
        .fit_unvalidated(source())
        .unwrap();
    assert_eq!(guarded.progress.samples, 14 * support::BATCH as u64);
    assert_eq!(digest(&guarded), digest(&unseen));
}

#[test]
fn an_update_that_is_broken_off_changes_nothing() {
    let _alone = support::alone();
    let trainer = || {
        Trainer::new(Net::new(1), Sgd::torch())
            .learning_rate(0.01)
            .accumulate(3)
    };
    let stopped = trainer()
        .callback(Lambda::new("stop", |event, _| match event {
            // In the second micro-batch of the second update.
            Event::ForwardEnd { batch: 4, .. } => Control::Stop {
                reason: "enough".into(),
            },
            _ => Control::Continue,
        }))
        .fit_unvalidated(train(9))
        .unwrap();
    let whole = trainer().max_updates(1).fit_unvalidated(train(9)).unwrap();
    assert_eq!(stopped.progress.update, 1);
    assert_eq!(digest(&stopped), digest(&whole));
}

#[test]
fn a_gradient_that_is_not_finite_leaves_the_statistics_alone_if_it_is_skipped() {
    let _alone = support::alone();
    // The loss is finite, the gradient of the first layer is not.
    fn vast(epoch: u64, index: u64, device: &Device) -> Labelled<Tensor<2>> {
        let mut batch = support::batch(epoch, index, device);
        if index == 1 {
            batch.weights = Some(Tensor::from_data([3e38f32; support::BATCH], device));
        }
        batch
    }
    let source = InMemory::new(2, 2 * support::BATCH as u64, vast as Make);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let watch = {
        let seen = Arc::clone(&seen);
        Lambda::new("watch", move |event, context| {
            if let Event::UpdateEnd(update) = event {
                let state = context.model_state();
                let mean = state.get("norm.running_mean").unwrap().as_bytes().to_vec();
                seen.lock().unwrap().push((update.applied, mean));
            }
            Control::Continue
        })
    };
    Trainer::new(Net::new(1), Sgd::torch())
        .clip(Clip::GlobalNorm { max: 1.0 })
        .on_non_finite(NonFinite::Skip)
        .callback(watch)
        .fit_unvalidated(source)
        .unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen[0].0 && !seen[1].0);
    assert_eq!(seen[0].1, seen[1].1);
}

type Seen = Arc<Mutex<Vec<(u64, u64, bool)>>>;

fn evaluations(
    seen: Seen,
) -> Lambda<impl FnMut(&Event<'_>, &firecraft_trainer::Context<'_>) -> Control + Send> {
    Lambda::new("evaluations", move |event, context| {
        if let Event::EvaluationEnd { within_epoch, .. } = event {
            let at = context.progress;
            seen.lock()
                .unwrap()
                .push((at.epoch, at.update, *within_epoch));
        }
        Control::Continue
    })
}

#[test]
fn evaluations_within_epochs_come_by_updates_and_the_end_is_evaluated_once() {
    let _alone = support::alone();
    let seen = Seen::default();
    let fitted = Trainer::new(Net::new(1), Sgd::torch())
        .epochs(2)
        .validate_every_updates(2)
        .callback(evaluations(seen.clone()))
        .fit(train(5), valid())
        .unwrap();
    assert_eq!(fitted.history.rows().len(), 2);
    let expected = [
        (0, 2, true),
        (0, 4, true),
        (0, 5, false),
        (1, 6, true),
        (1, 8, true),
        (1, 10, false),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);

    // Without evaluations by epochs those by updates remain.
    let seen = Seen::default();
    Trainer::new(Net::new(1), Sgd::torch())
        .epochs(2)
        .validate_every(100)
        .validate_every_updates(5)
        .callback(evaluations(seen.clone()))
        .fit(train(5), valid())
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), [(0, 5, false), (1, 10, false)]);
}

#[test]
fn evaluations_within_epochs_change_no_weight_and_are_told_to_the_scheduler() {
    let _alone = support::alone();
    let fit = |every: Option<u64>| {
        let plateau = ReduceOnPlateauConfig::new(0.1)
            .with_factor(0.5)
            .with_patience(0u64)
            .with_min_delta(100.0)
            .init()
            .unwrap();
        let mut trainer = Trainer::new(Net::new(1), Sgd::torch()).schedule(plateau);
        if let Some(every) = every {
            trainer = trainer.validate_every_updates(every);
        }
        trainer.epochs(2).fit(train(6), valid()).unwrap()
    };
    let rate = |fitted: &Fitted<Net>| fitted.history.last().unwrap().learning_rate;
    // One evaluation before the last epoch; or two in each before its last update.
    assert_eq!(rate(&fit(None)), 0.1);
    assert_eq!(rate(&fit(Some(2))), 0.1 * 0.5f64.powi(4));
    let flat = |every| {
        Trainer::new(Net::new(1), Sgd::torch())
            .learning_rate(0.1)
            .validate_every_updates(every)
            .fit(train(6), valid())
            .unwrap()
    };
    assert_eq!(digest(&flat(1)), digest(&flat(100)));
}

#[test]
fn early_stopping_and_the_best_checkpoint_follow_evaluations_within_epochs() {
    let _alone = support::alone();
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path().join("checkpoints")).unwrap();
    let log = folder.path().join("log.jsonl");
    let diverging = LinearConfig::new(0.5, 500.0, 1.0).init().unwrap();
    let diverging = Pure::new(diverging, Unit::Fraction);
    let fitted = Trainer::new(Net::new(1), Sgd::torch())
        .schedule(diverging)
        .validate_every_updates(2)
        .checkpoints(store.clone())
        .callback(EarlyStopping::new("val_loss", 3).unwrap())
        .callback(JsonlLogger::new(&log))
        .callback(Checkpoint::new(store.clone()).keep_best(1, "val_loss"))
        .fit(train(100), valid())
        .unwrap();
    assert!(matches!(fitted.outcome, Outcome::Stopped { .. }));
    assert!(fitted.progress.update < 100, "it stops within the epoch");
    let best = Checkpoint::best_of(&store).unwrap();
    let lines = std::fs::read_to_string(&log).unwrap();
    let losses: Vec<(u64, f64)> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|row| {
            let loss = row["val_loss"].as_f64().unwrap();
            (row["update"].as_u64().unwrap(), loss)
        })
        .collect();
    let least = losses.iter().fold(f64::INFINITY, |a, (_, b)| a.min(*b));
    assert_eq!(best[0].value, least);
    let at = losses.iter().find(|(_, loss)| *loss == least).unwrap().0;
    assert_eq!(best[0].name, format!("update-{at:09}"));
    assert_eq!(losses.last().unwrap().0, at + 6, "a patience of three");
}

#[test]
fn accumulation_that_changes_keeps_the_length_of_the_run_exact() {
    let _alone = support::alone();
    let trainer = || {
        Trainer::new(Net::new(1), Sgd::torch())
            .epochs(3)
            .accumulate_from(1, 3)
            .accumulate_from(2, 5)
    };
    let to_zero = |unit, length: f64| {
        let line = LinearConfig::new(1.0, 0.0, length).init().unwrap();
        Pure::new(line, unit)
    };
    let rates = Arc::new(Mutex::new(Vec::new()));
    let watch = {
        let rates = Arc::clone(&rates);
        Lambda::new("watch", move |event, context| {
            if let Event::UpdateEnd(update) = event {
                let seen = (context.plan.updates_per_epoch, update.learning_rate);
                rates.lock().unwrap().push(seen);
            }
            Control::Continue
        })
    };
    // 7 batches: 7, then 3, then 2 updates.
    let fitted = trainer()
        .schedule(to_zero(Unit::Fraction, 1.0))
        .callback(watch)
        .fit(train(7), valid())
        .unwrap();
    assert_eq!(fitted.progress.update, 12);
    assert_eq!(fitted.progress.samples, 21 * support::BATCH as u64);
    let rates = rates.lock().unwrap();
    let per_epoch: Vec<u64> = rates.iter().map(|seen| seen.0).collect();
    assert_eq!(per_epoch, [7, 7, 7, 7, 7, 7, 7, 3, 3, 3, 2, 2]);
    for (update, (_, rate)) in rates.iter().enumerate() {
        assert!((rate - (1.0 - update as f64 / 12.0)).abs() < 1e-12);
    }
    let fractional = trainer()
        .schedule(to_zero(Unit::FractionalEpochs, 3.0))
        .fit(train(7), valid());
    let error = fractional.unwrap_err().to_string();
    assert!(error.contains("updates per epoch"), "{error}");
    let zero = trainer().accumulate_from(2, 0).fit(train(7), valid());
    assert!(zero.unwrap_err().to_string().contains("accumulate"));
}

#[test]
fn a_run_with_changing_accumulation_resumes_and_refuses_another_one() {
    let _alone = support::alone();
    let fit = |folder: &std::path::Path, cut: Option<u64>, batches: u64| {
        let store = CheckpointStore::open(folder.join("checkpoints")).unwrap();
        let cut = Lambda::new("cut", move |event, context| match event {
            Event::UpdateEnd(_) if Some(context.progress.update) == cut => Control::Interrupt {
                reason: "cut".into(),
            },
            _ => Control::Continue,
        });
        Trainer::new(Net::new(1), Sgd::torch())
            .learning_rate(0.1)
            .epochs(3)
            .accumulate_from(1, batches)
            .validate_every_updates(2)
            .checkpoints(store.clone())
            .callback(cut)
            .callback(Checkpoint::new(store).every_updates(1))
            .resume()
            .fit(train(5), valid())
    };
    let straight = tempfile::tempdir().unwrap();
    let expected = fit(straight.path(), None, 2).unwrap();
    for cut in [4, 6, 9] {
        let folder = tempfile::tempdir().unwrap();
        fit(folder.path(), Some(cut), 2).unwrap();
        let resumed = fit(folder.path(), None, 2).unwrap();
        assert_eq!(digest(&resumed), digest(&expected), "cut at {cut}");
        assert_eq!(resumed.history, expected.history, "cut at {cut}");
        let error = fit(folder.path(), None, 3).unwrap_err();
        assert!(matches!(error, TrainerError::OtherRecipe { .. }), "{error}");
    }
}

#[test]
fn averaged_weights_are_evaluated_and_handed_out_with_statistics_of_their_own() {
    let _alone = support::alone();
    let fit = |average: Average| {
        Trainer::new(Net::new(1), Sgd::torch())
            .learning_rate(0.5)
            .epochs(3)
            .validate_every_updates(2)
            .average(average)
            .fit(train(3), valid())
            .unwrap()
    };
    let swa = Average::equal().start(2);
    let task = Classification::default();
    let fitted = fit(swa.recalibrate(3));
    let averaged = fitted.averaged.unwrap();
    let row = &fitted.history.last().unwrap().metrics;
    let metrics = evaluate(&averaged, &task, &mut valid()).unwrap();
    assert_eq!(metrics.get("loss"), row.get("val_loss"));
    let digest = |model: &Net| ModelState::of(model).digest();
    let expected = digest(&averaged);
    let again = recalibrate(averaged, &task, &mut train(3), 3).unwrap();
    assert_eq!(digest(&again), expected, "they are what they should be");

    // The weights of the run are the same with and without.
    let plain = fit(swa);
    assert_eq!(digest(&plain.model), digest(&fitted.model));
    assert_ne!(digest(&plain.averaged.unwrap()), expected);
}
