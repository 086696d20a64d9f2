//! The loop: order of events, accumulation, bad input.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Mutex};

use burn::tensor::{Device, Tensor};
use firecraft_schedule::{ScheduleError, Scheduler, State, StepContext};
use firecraft_trainer::callbacks::{EarlyStopping, Lambda};
use firecraft_trainer::{
    Callback, Context, Control, Event, InMemory, Labelled, ModelState, NonFinite, Outcome, Sgd,
    Trainer, TrainerError,
};
use support::{BATCH, Flat, Net, sized_batch, train, valid};

/// What a [`Log`] has seen, as `event epoch/update`.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Callback for Log {
    fn key(&self) -> String {
        "log".into()
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        let name = format!("{event:?}");
        let name = name.split([' ', '(', '{']).next().unwrap_or_default();
        let at = context.progress;
        let line = format!("{name} {}/{}", at.epoch, at.update);
        self.0.lock().unwrap().push(line);
        Ok(Control::Continue)
    }
}

#[test]
fn events_come_in_the_documented_order() {
    let _alone = support::alone();
    let log = Log::default();
    Trainer::new(Net::new(1), Sgd::torch())
        .epochs(2)
        .callback(log.clone())
        .fit(train(2), valid())
        .unwrap();
    let expected = [
        "FitStart 0/0",
        "EpochStart 0/0",
        "UpdateEnd 0/1",
        "UpdateEnd 0/2",
        "EvaluationStart 0/2",
        "EvaluationEnd 0/2",
        "EpochEnd 1/2",
        "EpochStart 1/2",
        "UpdateEnd 1/3",
        "UpdateEnd 1/4",
        "EvaluationStart 1/4",
        "EvaluationEnd 1/4",
        "EpochEnd 2/4",
        "FitEnd 2/4",
    ];
    assert_eq!(*log.0.lock().unwrap(), expected);
}

/// Writes down what it is given.
struct Spy(Arc<Mutex<Vec<StepContext>>>);

impl Scheduler for Spy {
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        self.0.lock().unwrap().push(*context);
        out.fill(0.01);
    }

    fn state(&self) -> State {
        State::new("spy", 1)
    }

    fn restore(&mut self, _: &State) -> Result<(), ScheduleError> {
        Ok(())
    }
}

#[test]
fn the_scheduler_steps_once_per_update_and_sees_each_metric_once() {
    let _alone = support::alone();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let fitted = Trainer::new(Net::new(1), Sgd::torch())
        .schedule(Spy(seen.clone()))
        .epochs(3)
        .fit(train(2), valid())
        .unwrap();
    let seen = seen.lock().unwrap();
    let updates: Vec<u64> = seen.iter().map(|context| context.update).collect();
    assert_eq!(updates, [0, 1, 2, 3, 4, 5]);
    assert!(seen.iter().all(|context| context.total_updates == Some(6)));
    let metrics: Vec<Option<f64>> = seen.iter().map(|context| context.metric).collect();
    let rows = fitted.history.rows();
    let loss = |epoch: usize| rows[epoch].metrics.get("val_loss");
    assert_eq!(metrics, [None, None, loss(0), None, loss(1), None]);
    assert_eq!(seen[2].epoch, 1);
}

#[test]
fn accumulated_micro_batches_equal_one_large_batch() {
    let _alone = support::alone();
    // Without normalisation and dropout, whose results depend on the batch.
    let model = Flat::new(5);

    // Micro-batches of 8, 8 and 3 samples that make one batch of 19.
    fn part(_: u64, index: u64, device: &Device) -> Labelled<Tensor<2>> {
        sized_batch(0, index, if index == 2 { 3 } else { BATCH }, device)
    }
    fn whole(_: u64, _: u64, device: &Device) -> Labelled<Tensor<2>> {
        let parts: Vec<_> = (0..3).map(|index| part(0, index, device)).collect();
        let mut inputs = Vec::new();
        let mut classes = Vec::new();
        for part in parts {
            inputs.push(part.inputs);
            match part.targets {
                firecraft_trainer::Targets::Classes(labels) => classes.push(labels),
                _ => unreachable!(),
            }
        }
        Labelled {
            inputs: Tensor::cat(inputs, 0),
            targets: firecraft_trainer::Targets::Classes(Tensor::cat(classes, 0)),
            weights: None,
        }
    }
    let fit = |source: InMemory<support::Make>, accumulate| {
        Trainer::new(model.clone(), Sgd::torch().with_momentum(0.9))
            .learning_rate(0.5)
            .accumulate(accumulate)
            .epochs(4)
            .fit_unvalidated(source)
            .unwrap()
    };
    let small = fit(InMemory::new(3, 19, part), 3);
    let large = fit(InMemory::new(1, 19, whole), 1);
    assert_eq!(small.progress.update, 4);
    let weights = |fitted: &firecraft_trainer::Fitted<Flat>| {
        let state = ModelState::of(&fitted.model);
        state
            .get("layer.weight")
            .unwrap()
            .try_to_vec::<f32>()
            .unwrap()
    };
    for (a, b) in weights(&small).iter().zip(weights(&large)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    let loss = |fitted: &firecraft_trainer::Fitted<Flat>| {
        fitted.history.last().unwrap().metrics.get("loss").unwrap()
    };
    assert!((loss(&small) - loss(&large)).abs() < 1e-6);
}

#[test]
fn the_batches_left_at_the_end_of_an_epoch_make_an_update() {
    let _alone = support::alone();
    let fitted = Trainer::new(Net::new(1), Sgd::torch())
        .accumulate(3)
        .epochs(2)
        .fit_unvalidated(train(7))
        .unwrap();
    assert_eq!(fitted.progress.update, 6);
    assert_eq!(fitted.progress.samples, 14 * BATCH as u64);
}

#[test]
fn equal_seeds_give_equal_runs_and_other_seeds_others() {
    let _alone = support::alone();
    let run = |seed| {
        let fitted = Trainer::new(Net::new(1), Sgd::torch())
            .learning_rate(0.1)
            .seed(seed)
            .epochs(2)
            .fit(train(3), valid())
            .unwrap();
        ModelState::of(&fitted.model).digest()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2), "dropout draws from the seed of the run");
}

#[test]
fn the_best_weights_come_back_at_the_end_of_a_run() {
    let _alone = support::alone();
    let best = Arc::new(Mutex::new((f64::INFINITY, String::new())));
    let keeper = best.clone();
    let observer = Lambda::new("observer", move |event, context| {
        if let Event::EpochEnd { row } = event {
            let loss = row.metrics.get("val_loss").unwrap();
            let mut best = keeper.lock().unwrap();
            if loss < best.0 {
                *best = (loss, context.model_state().digest());
            }
        }
        Control::Continue
    });
    // So large a step that the loss goes up and down.
    let fitted = Trainer::new(Net::new(1), Sgd::torch())
        .learning_rate(3.0)
        .epochs(6)
        .callback(observer)
        .callback(EarlyStopping::new("val_loss", 100).unwrap().restore_best())
        .fit(train(3), valid())
        .unwrap();
    assert_eq!(fitted.outcome, Outcome::Completed);
    let rows = fitted.history.rows();
    let last = rows.last().unwrap().metrics.get("val_loss").unwrap();
    let best = best.lock().unwrap();
    assert!(best.0 < last, "the last epoch must not be the best here");
    assert_eq!(ModelState::of(&fitted.model).digest(), best.1);
}

fn poisoned(_: u64, index: u64, device: &Device) -> Labelled<Tensor<2>> {
    let mut batch = support::batch(0, index, device);
    if index == 1 {
        batch.inputs = batch.inputs * f64::NAN;
    }
    batch
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_or_skips_the_update() {
    let _alone = support::alone();
    let source = || InMemory::new(3, 24, poisoned);
    let error = Trainer::new(Net::new(1), Sgd::torch())
        .fit_unvalidated(source())
        .unwrap_err();
    assert!(
        matches!(error, TrainerError::NotFinite { update: 1, .. }),
        "{error}"
    );
    let fitted = Trainer::new(Net::new(1), Sgd::torch())
        .on_non_finite(NonFinite::Skip)
        .fit_unvalidated(source())
        .unwrap();
    assert_eq!(fitted.progress.update, 3);
    let state = ModelState::of(&fitted.model);
    let weights = state
        .get("first.weight")
        .unwrap()
        .try_to_vec::<f32>()
        .unwrap();
    assert!(weights.iter().all(|w| w.is_finite()));
    assert!(
        fitted
            .history
            .last()
            .unwrap()
            .metrics
            .get("loss")
            .unwrap()
            .is_finite()
    );
}

#[test]
fn settings_out_of_range_are_refused_before_the_first_step() {
    let _alone = support::alone();
    let trainer = || Trainer::new(Net::new(1), Sgd::torch());
    for (name, result) in [
        ("epochs", trainer().epochs(0).fit(train(2), valid())),
        ("accumulate", trainer().accumulate(0).fit(train(2), valid())),
        (
            "limit_batches",
            trainer().limit_batches(0).fit(train(2), valid()),
        ),
        ("seed", trainer().seed(u64::MAX).fit(train(2), valid())),
        (
            "learning_rate",
            trainer().learning_rate(-1.0).fit(train(2), valid()),
        ),
        ("no batch", trainer().fit(train(0), valid())),
        (
            "`val_los`",
            trainer().monitor("val_los").fit(train(2), valid()),
        ),
        ("resume", trainer().resume().fit(train(2), valid())),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(name), "{name}: {error}");
        assert!(!error.contains('\n'));
    }
}
