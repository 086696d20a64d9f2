//! Stopping after a time.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{CallbackConfig, seconds};
use crate::callback::{Callback, CallbackState};
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};

/// Ends the fit, with a checkpoint, once it has run for a time.
///
/// The time of earlier parts of a resumed run counts, up to their last
/// checkpoint. A run with a limit ends where the clock says, so two runs of
/// one recipe need not agree.
///
/// ```
/// use std::time::Duration;
/// use firecraft_trainer::callbacks::TimeLimit;
///
/// let limit = TimeLimit::new(Duration::from_secs(15 * 60));
/// ```
#[derive(Debug, Clone)]
pub struct TimeLimit {
    limit: Duration,
    before: Duration,
    start: Option<Instant>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    seconds: f64,
}

impl TimeLimit {
    /// A limit on the time spent in fits of the run.
    pub const fn new(limit: Duration) -> Self {
        Self {
            limit,
            before: Duration::ZERO,
            start: None,
        }
    }

    fn spent(&self) -> Duration {
        self.before + self.start.map_or(Duration::ZERO, |start| start.elapsed())
    }
}

impl Callback for TimeLimit {
    fn key(&self) -> String {
        "time_limit".into()
    }

    fn on(&mut self, event: &Event<'_>, _: &Context<'_>) -> Result<Control, TrainerError> {
        match event {
            Event::FitStart { .. } => self.start = Some(Instant::now()),
            Event::UpdateEnd(_) if self.spent() >= self.limit => {
                return Ok(Control::Many(vec![
                    Control::Checkpoint,
                    Control::Interrupt {
                        reason: format!("{} s are over", self.limit.as_secs()),
                    },
                ]));
            }
            _ => {}
        }
        Ok(Control::Continue)
    }

    fn state(&self) -> CallbackState {
        let seconds = self.spent().as_secs_f64();
        CallbackState::new(1, &Saved { seconds }).unwrap_or_default()
    }

    fn restore(&mut self, state: CallbackState) -> Result<(), TrainerError> {
        let saved: Saved = state.values(&self.key(), 1)?;
        self.before = Duration::try_from_secs_f64(saved.seconds).unwrap_or_default();
        Ok(())
    }
}

/// A [`TimeLimit`] by name, `time_limit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeLimitConfig {
    /// The limit in seconds, at least 0.
    pub seconds: f64,
}

impl CallbackConfig for TimeLimitConfig {
    const NAME: &'static str = "time_limit";
    const SUMMARY: &'static str = "ends the fit, with a checkpoint, after a time";

    fn build(&self, _folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        Ok(Box::new(TimeLimit::new(seconds("seconds", self.seconds)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_earlier_parts_counts() {
        let mut limit = TimeLimit::new(Duration::from_secs(100));
        limit.before = Duration::from_secs(70);
        let mut resumed = TimeLimit::new(Duration::from_secs(100));
        resumed.restore(limit.state()).unwrap();
        assert_eq!(resumed.spent(), Duration::from_secs(70));
    }
}
