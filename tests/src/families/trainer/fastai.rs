//! The order of fastai's events, derived from ours, and what its `Cancel*`
//! exceptions leave out.

use std::sync::{Arc, Mutex, PoisonError};

use firecraft::trainer::{Callback, Context, Control, Event, Phase, Sgd, Trainer, TrainerError};

use super::tiny::{Number, Square, batches};
use crate::compare::equal;
use crate::families::{Outcome, failed};
use crate::golden::{Case, Field};

pub(super) fn events(case: &Case) -> Result<(), Outcome> {
    let epochs = case
        .name()
        .strip_prefix("Learner.fit(")
        .and_then(|name| name.strip_suffix(')'))
        .and_then(|epochs| epochs.parse().ok())
        .ok_or(Outcome::Unsupported)?;
    let raise = match case.get("raise_").optional(Field::str)? {
        Some(text) => Some(Raise::parse(text).ok_or(Outcome::Unsupported)?),
        None => None,
    };
    let log = Log(Arc::new(Mutex::new(Names {
        names: vec!["after_create"],
        raise,
        phase: Phase::Train,
    })));
    Trainer::new(Number::new(), Sgd::torch())
        .task(Square)
        .epochs(epochs)
        .callback(log.clone())
        .fit(
            batches(case.get("train_batches").u64()?),
            batches(case.get("val_batches").u64()?),
        )
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

/// `<exception> in <event> of train batch <index>`.
struct Raise {
    what: &'static str,
    when: &'static str,
    batch: u64,
}

impl Raise {
    fn parse(text: &str) -> Option<Self> {
        let (what, rest) = text.split_once(" in ")?;
        let (when, batch) = rest.split_once(" of train batch ")?;
        let what = ["Batch", "Step", "Train", "Epoch", "Fit"]
            .into_iter()
            .find(|name| what == format!("Cancel{name}Exception"))?;
        let when = ["before_batch", "after_pred", "after_loss", "before_step"]
            .into_iter()
            .find(|name| when == *name)?;
        // A step that is being made can't be left out as a batch any more.
        if (what == "Batch" && when == "before_step") || (what == "Step" && when != "before_step") {
            return None;
        }
        Some(Self {
            what,
            when,
            batch: batch.parse().ok()?,
        })
    }

    fn control(&self) -> (Control, &'static str) {
        match self.what {
            "Batch" => (Control::SkipBatch, "after_cancel_batch"),
            "Step" => (Control::SkipUpdate, "after_cancel_step"),
            "Train" => (Control::SkipTraining, "after_cancel_train"),
            "Epoch" => (Control::SkipEpoch, "after_cancel_epoch"),
            _ => {
                let reason = "cancelled".to_owned();
                (Control::Stop { reason }, "after_cancel_fit")
            }
        }
    }
}

#[derive(Clone)]
struct Log(Arc<Mutex<Names>>);

struct Names {
    names: Vec<&'static str>,
    raise: Option<Raise>,
    phase: Phase,
}

impl Names {
    /// Adds names until the one in which the exception is raised.
    fn add(&mut self, names: &[&'static str], batch: u64) -> Control {
        for name in names {
            self.names.push(name);
            let due = |raise: &mut Raise| raise.when == *name && raise.batch == batch;
            if self.phase == Phase::Train
                && let Some(raise) = self.raise.take_if(due)
            {
                let (control, cancelled) = raise.control();
                self.names.push(cancelled);
                return control;
            }
        }
        Control::Continue
    }
}

impl Callback for Log {
    fn key(&self) -> String {
        "fastai".to_owned()
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::BatchStart { phase, .. } = event {
            log.phase = *phase;
        }
        let last = log.names.last().copied().unwrap_or_default();
        let evaluated = log.phase == Phase::Evaluation;
        let (names, batch): (&[&'static str], u64) = match event {
            Event::FitStart { .. } => (&["before_fit"], 0),
            Event::EpochStart => {
                log.phase = Phase::Train;
                (&["before_epoch", "before_train"], 0)
            }
            Event::BatchStart { batch, .. } => (&["before_batch"], *batch),
            // fastai calls the model and the loss apart.
            Event::ForwardEnd { batch, .. } => (&["after_pred", "after_loss"], *batch),
            Event::BackwardEnd { batch, .. } => (&["before_backward", "after_backward"], *batch),
            Event::UpdateStart => (&["before_step"], context.progress.batch),
            Event::UpdateEnd(update) if update.applied || last == "after_cancel_step" => {
                (&["after_step"], 0)
            }
            Event::BatchEnd { phase, .. } => match phase {
                Phase::Train => (&["after_batch"], 0),
                Phase::Evaluation => (&["after_pred", "after_loss", "after_batch"], 0),
            },
            Event::EvaluationStart => (&["after_train", "before_validate"], 0),
            Event::EvaluationEnd { .. } => (&["after_validate"], 0),
            Event::EpochEnd { .. } if evaluated || last == "after_cancel_epoch" => {
                (&["after_epoch"], 0)
            }
            Event::EpochEnd { .. } => (&["after_train", "after_epoch"], 0),
            Event::FitEnd { .. } => (&["after_fit"], 0),
            _ => (&[], 0),
        };
        Ok(log.add(names, batch))
    }
}
