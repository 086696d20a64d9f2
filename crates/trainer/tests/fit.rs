//! The loop: order of events, accumulation, bad input.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Mutex};

use burn::tensor::{Device, Tensor};
use firecraft_schedule::{ScheduleError, Scheduler, State, StepContext};
use firecraft_trainer::callbacks::{EarlyStopping, Lambda};
use firecraft_trainer::{
    Callback, Classification, Context, Control, Event, InMemory, Labelled, ModelState, NonFinite,
    Outcome, Penalty, Sgd, Trainer, TrainerError, evaluate, predict,
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
    let update = |epoch: u64, update: u64| {
        let at = format!("{epoch}/{update}");
        let done = format!("{epoch}/{}", update + 1);
        let before = ["BatchStart", "ForwardEnd", "BackwardEnd", "UpdateStart"];
        let after = ["UpdateEnd", "BatchEnd"];
        let before = before.map(|name| format!("{name} {at}"));
        let after = after.map(|name| format!("{name} {done}"));
        [before.to_vec(), after.to_vec()].concat()
    };
    let evaluation = |at: &str| {
        let batch = ["BatchStart", "BatchEnd"].map(|name| format!("{name} {at}"));
        let batches = [batch.clone(), batch.clone(), batch].concat();
        let (start, end) = ("EvaluationStart", "EvaluationEnd");
        [
            vec![format!("{start} {at}")],
            batches,
            vec![format!("{end} {at}")],
        ]
        .concat()
    };
    let line = |text: &str| vec![text.to_owned()];
    let expected = [
        line("FitStart 0/0"),
        line("EpochStart 0/0"),
        update(0, 0),
        update(0, 1),
        evaluation("0/2"),
        line("EpochEnd 1/2"),
        line("EpochStart 1/2"),
        update(1, 2),
        update(1, 3),
        evaluation("1/4"),
        line("EpochEnd 2/4"),
        line("FitEnd 2/4"),
    ]
    .concat();
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
        .fit(source(), valid())
        .unwrap();
    assert_eq!(fitted.progress.update, 3);
    let row = &fitted.history.last().unwrap().metrics;
    let spoilt = row.get("val_loss").is_none_or(|loss| !loss.is_finite());
    assert!(!spoilt, "the statistics are those of the other batches");
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
        (
            "max_updates",
            trainer().max_updates(0).fit(train(2), valid()),
        ),
        (
            "validate_every",
            trainer().validate_every(0).fit(train(2), valid()),
        ),
        (
            "penalty",
            trainer().penalty(Penalty::l2(-1.0)).fit(train(2), valid()),
        ),
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

#[test]
fn evaluation_outside_a_fit_agrees_with_the_one_inside() {
    let _alone = support::alone();
    let fitted = Trainer::new(Net::new(1), Sgd::torch())
        .learning_rate(0.1)
        .epochs(2)
        .fit(train(3), valid())
        .unwrap();
    let task = Classification::default();
    let metrics = evaluate(&fitted.model, &task, &mut valid()).unwrap();
    let row = &fitted.history.last().unwrap().metrics;
    assert_eq!(metrics.get("loss"), row.get("val_loss"));
    assert_eq!(metrics.get("accuracy"), row.get("val_accuracy"));
    let logits = predict(&fitted.model, &mut valid()).unwrap();
    assert_eq!(logits.dims(), [3 * BATCH, support::CLASSES]);
    let error = predict(&fitted.model, &mut train(0)).unwrap_err();
    assert!(error.to_string().contains("no batch"), "{error}");
}

fn stopper() -> Lambda<impl FnMut(&Event<'_>, &Context<'_>) -> Control + Send> {
    Lambda::new("stopper", |event, _| match event {
        Event::UpdateEnd(_) => Control::Stop {
            reason: "enough".into(),
        },
        _ => Control::Continue,
    })
}

#[test]
fn a_run_is_as_long_as_its_limits_say() {
    let _alone = support::alone();
    let trainer = || Trainer::new(Net::new(1), Sgd::torch()).epochs(5);
    let fitted = trainer().max_updates(7).fit(train(3), valid()).unwrap();
    assert_eq!(fitted.progress.update, 7);
    assert_eq!(fitted.outcome, Outcome::Completed);
    let rows = fitted.history.rows();
    assert_eq!(rows.len(), 3, "the epoch that is cut short counts");
    assert!(rows[2].metrics.get("val_loss").is_some());

    let stopped = trainer()
        .callback(stopper())
        .fit(train(3), valid())
        .unwrap();
    assert_eq!(stopped.progress.update, 1);
    let least = trainer().min_epochs(2).callback(stopper());
    let least = least.fit(train(3), valid()).unwrap();
    assert_eq!(least.progress.update, 6);
    assert!(matches!(least.outcome, Outcome::Stopped { .. }));
    let least = trainer().min_updates(4).callback(stopper());
    assert_eq!(least.fit(train(3), valid()).unwrap().progress.update, 4);

    let smoke = trainer().fast_dev_run(2).fit(train(9), valid()).unwrap();
    assert_eq!(smoke.progress.update, 2);
}

#[test]
fn epochs_between_evaluations_have_no_validation_metrics() {
    let _alone = support::alone();
    let fitted = Trainer::new(Net::new(1), Sgd::torch())
        .epochs(4)
        .validate_every(2)
        .limit_validation(1)
        .callback(EarlyStopping::new("val_loss", 9).unwrap().restore_best())
        .fit(train(2), valid())
        .unwrap();
    let rows = fitted.history.rows();
    let evaluated: Vec<bool> = rows
        .iter()
        .map(|row| row.metrics.get("val_loss").is_some())
        .collect();
    assert_eq!(evaluated, [false, true, false, true]);
}

#[test]
fn what_is_left_out_changes_no_weight() {
    let _alone = support::alone();
    let weight = |fitted: &firecraft_trainer::Fitted<Flat>| {
        let state = ModelState::of(&fitted.model);
        state.get("layer.weight").unwrap().clone()
    };
    let fit = |control: fn(&Event<'_>) -> Control| {
        Trainer::new(Flat::new(3), Sgd::torch())
            .learning_rate(0.1)
            .callback(Lambda::new("skip", move |event, _| control(event)))
            .fit_unvalidated(train(2))
            .unwrap()
    };
    let before = ModelState::of(&Flat::new(3))
        .get("layer.weight")
        .unwrap()
        .clone();
    let batch = fit(|event| match event {
        Event::ForwardEnd { .. } => Control::SkipBatch,
        _ => Control::Continue,
    });
    let update = fit(|event| match event {
        Event::UpdateStart => Control::SkipUpdate,
        _ => Control::Continue,
    });
    assert_eq!(weight(&batch).as_bytes(), before.as_bytes());
    assert_eq!(weight(&update).as_bytes(), before.as_bytes());
    assert_eq!((batch.progress.update, batch.progress.samples), (2, 0));
    assert_ne!(
        weight(&fit(|_| Control::Continue)).as_bytes(),
        before.as_bytes()
    );
}

#[test]
fn a_penalty_shrinks_weights_and_a_projection_bounds_them() {
    let _alone = support::alone();
    let size = |fitted: &firecraft_trainer::Fitted<Flat>| {
        let weight = fitted.model.valid_weight();
        weight.iter().map(|w| w.abs()).fold(0.0, f32::max)
    };
    let trainer = || {
        Trainer::new(Flat::new(3), Sgd::torch())
            .learning_rate(0.1)
            .epochs(20)
    };
    let plain = trainer().fit_unvalidated(train(2)).unwrap();
    let penalty = trainer().penalty(Penalty::l2(0.1));
    let penalised = penalty.fit_unvalidated(train(2)).unwrap();
    assert!(size(&penalised) < size(&plain));
    let metrics = &penalised.history.last().unwrap().metrics;
    assert!(metrics.get("penalty").unwrap() > 0.0);
    let projected = trainer().project(|model: Flat| Ok(model.clamped(0.05)));
    let projected = projected.fit_unvalidated(train(2)).unwrap();
    assert!(size(&projected) <= 0.05);
}

#[test]
fn a_label_out_of_range_is_an_error_that_names_it() {
    let _alone = support::alone();
    fn wild(_: u64, _: u64, device: &Device) -> Labelled<Tensor<2>> {
        let mut batch = support::batch(0, 0, device);
        let labels = [0i64, 1, 2, 0, 1, 2, 7, 0];
        batch.targets =
            firecraft_trainer::Targets::Classes(Tensor::from_data(labels.as_slice(), device));
        batch
    }
    let source = || InMemory::new(1, 8, wild as support::Make);
    let trainer = || Trainer::new(Net::new(1), Sgd::torch());
    let training = trainer().fit_unvalidated(source()).unwrap_err();
    let validation = trainer().fit(train(1), source()).unwrap_err();
    for (split, error) in [("training", training), ("validation", validation)] {
        let error = error.to_string();
        assert!(error.contains("a label is 7"), "{error}");
        assert!(error.contains(split), "{error}");
    }
}
