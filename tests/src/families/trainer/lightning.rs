//! The order of Lightning's hooks, derived from our events.

use std::sync::{Arc, Mutex, PoisonError};

use firecraft::trainer::{
    Callback, Clip, Context, Control, Event, Phase, Sgd, Trainer, TrainerError,
};

use super::tiny::{Number, Square, batches};
use crate::compare::equal;
use crate::families::{Outcome, failed};
use crate::golden::{Case, Field};

pub(super) fn events(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let known = [
        "max_epochs",
        "min_epochs",
        "max_steps",
        "check_val_every_n_epoch",
        "num_sanity_val_steps",
        "accumulate_grad_batches",
        "limit_train_batches",
        "limit_val_batches",
        "gradient_clip_val",
        "fast_dev_run",
    ];
    if args.keys().iter().any(|key| !known.contains(key)) {
        return Err(Outcome::Unsupported);
    }
    let fast = match args.get("fast_dev_run").json() {
        serde_json::Value::Bool(true) => Some(1),
        serde_json::Value::Number(_) => Some(args.get("fast_dev_run").u64()?),
        _ => None,
    };
    let log = Log::default();
    let mut trainer = Trainer::new(Number::new(), Sgd::torch())
        .task(Square)
        .epochs(args.get("max_epochs").or(1, Field::u64)?)
        .min_epochs(args.get("min_epochs").or(0, Field::u64)?)
        .validate_every(args.get("check_val_every_n_epoch").or(1, Field::u64)?)
        .sanity_batches(args.get("num_sanity_val_steps").or(2, Field::u64)?)
        .accumulate(args.get("accumulate_grad_batches").or(1, Field::u64)?)
        .callback(log.clone());
    if let Some(limit) = args.get("limit_train_batches").optional(Field::u64)? {
        trainer = trainer.limit_batches(limit);
    }
    if let Some(limit) = args.get("limit_val_batches").optional(Field::u64)? {
        trainer = trainer.limit_validation(limit);
    }
    if let Some(max) = args.get("gradient_clip_val").optional(Field::f64)? {
        trainer = trainer.clip(Clip::GlobalNorm { max });
    }
    if let Some(limit) = args.get("max_steps").optional(Field::f64)?
        && limit >= 0.0
    {
        trainer = trainer.max_updates(limit as u64);
    }
    if let Some(batches) = fast {
        trainer = trainer.fast_dev_run(batches).sanity_batches(0);
    }
    let train = batches(case.get("train_batches").u64()?);
    match case.get("val_batches").u64()? {
        0 => trainer.fit_unvalidated(train),
        count => trainer.fit(train, batches(count)),
    }
    .map_err(failed)?;

    let want: Vec<&str> = case
        .get("events")
        .items()?
        .iter()
        .map(Field::str)
        .collect::<Result<_, _>>()?;
    let got = log.0.lock().unwrap_or_else(PoisonError::into_inner);
    equal("events", got.names.clone(), want)
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Names>>);

#[derive(Default)]
struct Names {
    names: Vec<&'static str>,
    training: bool,
}

impl Callback for Log {
    fn key(&self) -> String {
        "lightning".to_owned()
    }

    fn on(&mut self, event: &Event<'_>, _: &Context<'_>) -> Result<Control, TrainerError> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Lightning has a hook for the start of the training as a whole.
        if matches!(event, Event::EpochStart) && !log.training {
            log.training = true;
            log.names.push("on_train_start");
        }
        log.names.extend_from_slice(match event {
            Event::FitStart { .. } => &["setup", "on_fit_start"],
            Event::SanityStart => &["on_sanity_check_start"],
            Event::SanityEnd => &["on_sanity_check_end"],
            Event::EpochStart => &["on_train_epoch_start"],
            Event::BatchStart { phase, .. } => match phase {
                Phase::Train => &["on_train_batch_start"],
                Phase::Evaluation => &["on_validation_batch_start"],
            },
            // The old gradient is dropped before the first one of an update.
            Event::ForwardEnd { micro_batch: 0, .. } => {
                &["on_before_zero_grad", "on_before_backward"]
            }
            Event::ForwardEnd { .. } => &["on_before_backward"],
            Event::BackwardEnd { .. } => &["on_after_backward"],
            Event::UpdateStart => &["on_before_optimizer_step"],
            Event::BatchEnd { phase, .. } => match phase {
                Phase::Train => &["on_train_batch_end"],
                Phase::Evaluation => &["on_validation_batch_end"],
            },
            Event::EvaluationStart => &["on_validation_start", "on_validation_epoch_start"],
            Event::EvaluationEnd { .. } => &["on_validation_epoch_end", "on_validation_end"],
            Event::EpochEnd { .. } => &["on_train_epoch_end"],
            Event::FitEnd { .. } => &["on_train_end", "on_fit_end", "teardown"],
            _ => &[],
        });
        Ok(Control::Continue)
    }
}
