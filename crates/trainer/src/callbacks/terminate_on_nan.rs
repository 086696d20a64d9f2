//! Stopping when the loss is no number, in good order.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CallbackConfig;
use crate::callback::{Callback, CallbackState};
use crate::error::TrainerError;
use crate::event::{Context, Control, Event, Phase};

/// Ends the training part of the epoch at a loss that is not finite, and the
/// fit after its evaluation: Keras' `TerminateOnNaN`.
///
/// The trainer's own policy, [`NonFinite`](crate::NonFinite), comes first and
/// ends the fit with an error unless it is set to something else. Prefer it: it
/// acts before the weights are spoiled.
///
/// ```
/// use firecraft_trainer::callbacks::TerminateOnNan;
///
/// let callback = TerminateOnNan::new();
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminateOnNan {
    seen: bool,
}

impl TerminateOnNan {
    /// The callback; it has no options.
    pub const fn new() -> Self {
        Self { seen: false }
    }
}

impl Callback for TerminateOnNan {
    fn key(&self) -> String {
        "terminate_on_nan".into()
    }

    fn on(&mut self, event: &Event<'_>, _: &Context<'_>) -> Result<Control, TrainerError> {
        match event {
            Event::BatchEnd {
                phase: Phase::Train,
                metrics,
                ..
            } if metrics.get("loss").is_some_and(|loss| !loss.is_finite()) => {
                self.seen = true;
                Ok(Control::SkipTraining)
            }
            Event::EpochEnd { .. } if self.seen => Ok(Control::Stop {
                reason: "the loss is not finite".into(),
            }),
            _ => Ok(Control::Continue),
        }
    }

    fn state(&self) -> CallbackState {
        CallbackState::new(1, self).unwrap_or_default()
    }

    fn restore(&mut self, state: CallbackState) -> Result<(), TrainerError> {
        *self = state.values(&self.key(), 1)?;
        Ok(())
    }
}

/// A [`TerminateOnNan`] by name, `terminate_on_nan`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminateOnNanConfig {}

impl CallbackConfig for TerminateOnNanConfig {
    const NAME: &'static str = "terminate_on_nan";
    const SUMMARY: &'static str = "stops in good order when the loss is no number";

    fn build(&self, _folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        Ok(Box::new(TerminateOnNan::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{row, send};
    use super::*;
    use crate::event::Progress;
    use crate::metrics::{History, Metrics};

    #[test]
    fn the_fit_ends_after_the_epoch_of_the_first_nan() {
        let mut callback = TerminateOnNan::new();
        let mut tell = |event: &Event<'_>| {
            send(
                &mut callback,
                event,
                &History::default(),
                Progress::default(),
            )
            .unwrap()
        };
        let row = row(0, &[("loss", 1.0)]);
        let end = Event::EpochEnd { row: &row };
        assert!(matches!(tell(&end), Control::Continue));
        let mut metrics = Metrics::default();
        metrics.set("loss", f64::NAN);
        let batch = Event::BatchEnd {
            phase: Phase::Train,
            batch: 0,
            metrics: &metrics,
        };
        assert!(matches!(tell(&batch), Control::SkipTraining));
        assert!(matches!(tell(&end), Control::Stop { .. }));
    }
}
