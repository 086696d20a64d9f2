//! Where the time of a training goes.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::CallbackConfig;
use crate::callback::Callback;
use crate::error::TrainerError;
use crate::event::{Context, Control, Event, Phase};

/// Measures the shares of data, forward pass, backward pass, optimiser and
/// evaluation, and says at the end whether data or computation is the
/// bottleneck.
///
/// Passes are measured as the host sees them: on a GPU the forward pass holds
/// the wait for the loss, and work that is queued shows up where the host waits
/// for it next.
///
/// ```
/// use firecraft_trainer::callbacks::Profiler;
///
/// let profiler = Profiler::new();
/// let profile = profiler.profile(); // to be read after the fit
/// assert_eq!(profile.get().updates, 0);
/// ```
#[derive(Debug, Default)]
pub struct Profiler {
    shared: Profile,
    now: Times,
    last: Option<Instant>,
}

/// The measurements of a [`Profiler`], readable while the fit runs and after.
#[derive(Debug, Clone, Default)]
pub struct Profile(Arc<Mutex<Times>>);

/// Time spent in each part of a training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Times {
    /// Waiting for training batches.
    pub data: Duration,
    /// Forward passes.
    pub forward: Duration,
    /// Backward passes.
    pub backward: Duration,
    /// Clipping, the optimiser and averages.
    pub optimizer: Duration,
    /// Evaluations, their data included.
    pub evaluation: Duration,
    /// Callbacks and checkpoints.
    pub other: Duration,
    /// Updates that were measured.
    pub updates: u64,
}

impl Profile {
    /// The times so far.
    pub fn get(&self) -> Times {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Times {
    /// The parts with their names, in the order of a step.
    pub const fn parts(&self) -> [(&'static str, Duration); 6] {
        [
            ("data", self.data),
            ("forward", self.forward),
            ("backward", self.backward),
            ("optimizer", self.optimizer),
            ("evaluation", self.evaluation),
            ("other", self.other),
        ]
    }

    /// All of it.
    pub fn total(&self) -> Duration {
        self.parts().iter().map(|(_, time)| time).sum()
    }

    /// Whether the training waits for its data more than it computes.
    pub fn waits_for_data(&self) -> bool {
        self.data > self.forward + self.backward + self.optimizer
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total().as_secs_f64().max(1e-12);
        for (name, time) in self.parts() {
            let seconds = time.as_secs_f64();
            write!(
                f,
                "{name} {seconds:.2} s ({:.0} %), ",
                100.0 * seconds / total
            )?;
        }
        let verdict = if self.waits_for_data() {
            "the data is the bottleneck"
        } else {
            "computation is the bottleneck"
        };
        write!(f, "{} updates; {verdict}", self.updates)
    }
}

impl Profiler {
    /// A profiler; it has no options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the measurements can be read.
    pub fn profile(&self) -> Profile {
        self.shared.clone()
    }

    fn part(&mut self, event: &Event<'_>) -> &mut Duration {
        match event {
            Event::BatchStart {
                phase: Phase::Train,
                ..
            } => &mut self.now.data,
            Event::ForwardEnd { .. } => &mut self.now.forward,
            Event::BackwardEnd { .. } => &mut self.now.backward,
            Event::UpdateEnd(_) => &mut self.now.optimizer,
            Event::BatchStart { .. } | Event::BatchEnd { .. } | Event::EvaluationEnd { .. } => {
                &mut self.now.evaluation
            }
            _ => &mut self.now.other,
        }
    }
}

impl Callback for Profiler {
    fn key(&self) -> String {
        "profiler".into()
    }

    fn on(&mut self, event: &Event<'_>, _: &Context<'_>) -> Result<Control, TrainerError> {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            let time = now.saturating_duration_since(last);
            let part = match event {
                // What comes after the last batch of an update is no evaluation.
                Event::BatchEnd {
                    phase: Phase::Train,
                    ..
                } => &mut self.now.other,
                event => self.part(event),
            };
            *part += time;
        }
        if let Event::UpdateEnd(_) = event {
            self.now.updates += 1;
            *self.shared.0.lock().unwrap_or_else(PoisonError::into_inner) = self.now;
        }
        if let Event::FitEnd { .. } = event {
            *self.shared.0.lock().unwrap_or_else(PoisonError::into_inner) = self.now;
            return Ok(Control::Notice(self.now.to_string()));
        }
        Ok(Control::Continue)
    }
}

/// A [`Profiler`] by name, `profiler`; its result is a notice at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfilerConfig {}

impl CallbackConfig for ProfilerConfig {
    const NAME: &'static str = "profiler";
    const SUMMARY: &'static str = "where the time goes";

    fn build(&self, _folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        Ok(Box::new(Profiler::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::send;
    use super::*;
    use crate::event::Progress;
    use crate::metrics::History;

    #[test]
    fn time_goes_to_the_part_that_ended() {
        let mut profiler = Profiler::new();
        let profile = profiler.profile();
        let mut tell = |event: &Event<'_>| {
            std::thread::sleep(Duration::from_millis(2));
            let _ = send(
                &mut profiler,
                event,
                &History::default(),
                Progress::default(),
            );
        };
        tell(&Event::FitStart { resumed: false });
        tell(&Event::BatchStart {
            phase: Phase::Train,
            batch: 0,
        });
        tell(&Event::ForwardEnd {
            batch: 0,
            micro_batch: 0,
            loss: 1.0,
        });
        let outcome = crate::event::Outcome::Completed;
        tell(&Event::FitEnd { outcome: &outcome });
        let times = profile.get();
        assert!(times.data >= Duration::from_millis(2) && times.forward >= times.backward);
        assert_eq!(times.backward, Duration::ZERO);
        assert!(times.to_string().contains("forward"), "{times}");
    }
}
