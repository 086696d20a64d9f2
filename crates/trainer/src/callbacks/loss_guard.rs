//! What to do about a loss that is no number or leaps up.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CallbackConfig;
use crate::callback::{Callback, CallbackState};
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};

/// Watches the loss of every training batch before its gradient is used.
///
/// A loss is a spike when it is not finite or, after
/// [`warmup`](Self::warmup) batches, above `factor` times the mean of the last
/// [`window`](Self::window) losses that were none. Set the trainer's own policy
/// to [`NonFinite::Allow`](crate::NonFinite::Allow) or `Skip` if losses that
/// are not finite are to be left to this callback.
///
/// ```
/// use firecraft_trainer::callbacks::{LossGuard, Remedy};
///
/// let skip = LossGuard::new(3.0, Remedy::Skip)?;
/// let rewind = LossGuard::new(10.0, Remedy::Rewind { factor: 0.5 })?.window(50);
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LossGuard {
    factor: f64,
    remedy: Remedy,
    window: usize,
    warmup: usize,
    state: State,
}

/// What a [`LossGuard`] does about a spike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Remedy {
    /// Leave the batch out, of the running statistics too.
    Skip,
    /// End the fit in good order.
    Stop,
    /// Go back to the newest checkpoint with finite weights and multiply the
    /// learning rate by a factor.
    Rewind {
        /// In (0, 1].
        factor: f64,
    },
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// The newest losses, oldest first.
    losses: Vec<f64>,
    spikes: u64,
}

impl LossGuard {
    /// A guard against losses above `factor` times the recent mean, over a
    /// window of 10 after a warm-up of 10.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Setting`] for a factor that is not above 1.
    pub fn new(factor: f64, remedy: Remedy) -> Result<Self, TrainerError> {
        if factor.is_nan() || factor <= 1.0 {
            return Err(TrainerError::Setting {
                field: "factor",
                value: factor.to_string(),
                allowed: "above 1",
            });
        }
        Ok(Self {
            factor,
            remedy,
            window: 10,
            warmup: 10,
            state: State::default(),
        })
    }

    /// Sets how many losses the mean is taken over, at least 1.
    #[must_use]
    pub fn window(mut self, losses: usize) -> Self {
        self.window = losses.max(1);
        self.warmup = self.warmup.min(self.window);
        self
    }

    /// Sets how many losses there must be before one can be a spike, at most
    /// the window.
    #[must_use]
    pub fn warmup(mut self, losses: usize) -> Self {
        self.warmup = losses.min(self.window);
        self
    }

    /// Spikes that were seen.
    pub const fn spikes(&self) -> u64 {
        self.state.spikes
    }

    fn is_spike(&self, loss: f64) -> bool {
        let losses = &self.state.losses;
        if !loss.is_finite() {
            return true;
        }
        if losses.is_empty() || losses.len() < self.warmup {
            return false;
        }
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        // A mean below 0 has no multiple that is worse.
        loss > mean + (self.factor - 1.0) * mean.abs()
    }
}

impl Callback for LossGuard {
    fn key(&self) -> String {
        format!("loss_guard({})", self.factor)
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        let Event::ForwardEnd { loss, .. } = event else {
            return Ok(Control::Continue);
        };
        if !self.is_spike(*loss) {
            self.state.losses.push(*loss);
            if self.state.losses.len() > self.window {
                self.state.losses.remove(0);
            }
            return Ok(Control::Continue);
        }
        self.state.spikes += 1;
        let reason = format!("the loss leapt to {loss:.4e}");
        Ok(match self.remedy {
            Remedy::Skip => Control::Many(vec![
                Control::Notice(format!(
                    "{reason} at update {}: the batch is left out",
                    context.progress.update
                )),
                Control::SkipBatch,
            ]),
            Remedy::Stop => Control::Stop { reason },
            Remedy::Rewind { factor } => Control::Many(vec![
                Control::SkipUpdate,
                Control::Rewind { factor, reason },
            ]),
        })
    }

    fn state(&self) -> CallbackState {
        CallbackState::new(1, &self.state).unwrap_or_default()
    }

    fn restore(&mut self, state: CallbackState) -> Result<(), TrainerError> {
        self.state = state.values(&self.key(), 1)?;
        Ok(())
    }
}

/// A [`LossGuard`] by name, `loss_guard`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossGuardConfig {
    /// A loss above so many times the recent mean is a spike; above 1.
    pub factor: f64,
    /// What to do about it.
    pub remedy: Remedy,
    /// Losses that the mean is taken over, at least 1; 10 by default.
    #[serde(default = "ten")]
    pub window: usize,
    /// Losses before one can be a spike, at most the window; 10 by default.
    #[serde(default = "ten")]
    pub warmup: usize,
}

const fn ten() -> usize {
    10
}

impl CallbackConfig for LossGuardConfig {
    const NAME: &'static str = "loss_guard";
    const SUMMARY: &'static str = "skips, stops or goes back at a loss that leaps up";

    fn build(&self, _folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        let guard = LossGuard::new(self.factor, self.remedy)?;
        Ok(Box::new(guard.window(self.window).warmup(self.warmup)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::send;
    use super::*;
    use crate::event::Progress;
    use crate::metrics::History;

    fn skipped(guard: &mut LossGuard, losses: &[f64]) -> Vec<bool> {
        let mut forward = |loss| {
            let event = Event::ForwardEnd {
                batch: 0,
                micro_batch: 0,
                loss,
            };
            let control = send(guard, &event, &History::default(), Progress::default());
            matches!(control.unwrap(), Control::Many(_))
        };
        losses.iter().map(|&loss| forward(loss)).collect()
    }

    #[test]
    fn spikes_are_told_from_noise_and_do_not_raise_the_mean() {
        let mut guard = LossGuard::new(3.0, Remedy::Skip).unwrap().window(3);
        let losses = [1.0, 9.0, 2.0, 11.9, 12.1, f64::NAN, 12.1, 3.0];
        let expected = [false, false, false, false, false, true, false, false];
        assert_eq!(skipped(&mut guard, &losses), expected);
        let mut guard = LossGuard::new(3.0, Remedy::Skip).unwrap().window(3);
        let losses = [1.0, 1.0, 1.0, 3.1, 3.1, 2.9];
        let expected = [false, false, false, true, true, false];
        assert_eq!(skipped(&mut guard, &losses), expected);
        assert_eq!(guard.spikes(), 2);
    }

    #[test]
    fn the_window_survives_a_restart() {
        let mut before = LossGuard::new(2.0, Remedy::Skip).unwrap().window(2);
        skipped(&mut before, &[1.0, 1.0]);
        let mut after = LossGuard::new(2.0, Remedy::Skip).unwrap().window(2);
        after.restore(before.state()).unwrap();
        assert_eq!(skipped(&mut after, &[2.5]), [true]);
        assert!(LossGuard::new(1.0, Remedy::Skip).is_err());
    }
}
