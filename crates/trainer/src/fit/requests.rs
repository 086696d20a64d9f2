//! What callbacks asked for, until it is done.

use std::sync::Arc;

use crate::event::{Control, Outcome};
use crate::model_state::ModelState;
use crate::optimizer::Select;

/// What to leave out, from little to much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Skip {
    #[default]
    Nothing,
    Update,
    Batch,
    Training,
    Epoch,
}

/// A change of the model's switches.
pub(super) enum Switch {
    Trainable(Select, bool),
    Statistics(Select, bool),
}

/// The requests of all callbacks for one or several events.
#[derive(Default)]
pub(super) struct Requests {
    pub(super) skip: Skip,
    pub(super) outcome: Option<Outcome>,
    pub(super) save: bool,
    pub(super) learning_rate_factor: Option<f64>,
    pub(super) rewind: Option<(f64, String)>,
    pub(super) restore: Option<Arc<ModelState>>,
    pub(super) switches: Vec<Switch>,
    pub(super) notices: Vec<String>,
}

impl Requests {
    pub(super) fn add(&mut self, control: Control) {
        match control {
            Control::Checkpoint => self.save = true,
            Control::Stop { reason } => self.end(Outcome::Stopped { reason }),
            Control::Interrupt { reason } => self.end(Outcome::Interrupted { reason }),
            Control::ScaleLearningRate(factor) => self.scale(factor),
            Control::SkipBatch => self.skip = self.skip.max(Skip::Batch),
            Control::SkipUpdate => self.skip = self.skip.max(Skip::Update),
            Control::SkipTraining => self.skip = self.skip.max(Skip::Training),
            Control::SkipEpoch => self.skip = self.skip.max(Skip::Epoch),
            Control::Rewind { factor, reason } => self.rewind = Some((factor, reason)),
            Control::Trainable { select, trainable } => {
                self.switches.push(Switch::Trainable(select, trainable));
            }
            Control::Statistics { select, follow } => {
                self.switches.push(Switch::Statistics(select, follow));
            }
            Control::Restore(state) => self.restore = Some(state),
            Control::Notice(message) => self.notices.push(message),
            Control::Continue | Control::Many(_) => {}
        }
    }

    /// Adds the requests for a later event.
    pub(super) fn merge(&mut self, later: Self) {
        self.skip = self.skip.max(later.skip);
        if let Some(outcome) = later.outcome {
            self.end(outcome);
        }
        self.save |= later.save;
        if let Some(factor) = later.learning_rate_factor {
            self.scale(factor);
        }
        self.rewind = later.rewind.or_else(|| self.rewind.take());
        self.restore = later.restore.or_else(|| self.restore.take());
        self.switches.extend(later.switches);
        self.notices.extend(later.notices);
    }

    /// Whether an update that is being made is to be broken off.
    pub(super) fn breaks_off(&self) -> bool {
        self.skip >= Skip::Training || matches!(self.outcome, Some(Outcome::Stopped { .. }))
    }

    fn scale(&mut self, factor: f64) {
        self.learning_rate_factor = Some(self.learning_rate_factor.unwrap_or(1.0) * factor);
    }

    // The first end that is asked for is the one that counts.
    fn end(&mut self, outcome: Outcome) {
        self.outcome.get_or_insert(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_several_events_add_up() {
        let mut requests = Requests::default();
        requests.add(Control::SkipBatch);
        requests.add(Control::ScaleLearningRate(0.5));
        let mut later = Requests::default();
        later.add(Control::SkipUpdate);
        later.add(Control::ScaleLearningRate(0.5));
        later.add(Control::Checkpoint);
        requests.merge(later);
        assert_eq!(requests.skip, Skip::Batch);
        assert_eq!(requests.learning_rate_factor, Some(0.25));
        assert!(requests.save && !requests.breaks_off());
    }

    #[test]
    fn the_first_end_counts_and_only_a_stop_breaks_off() {
        let reason = || "enough".to_owned();
        let mut requests = Requests::default();
        requests.add(Control::Interrupt { reason: reason() });
        assert!(!requests.breaks_off());
        requests.add(Control::Stop { reason: reason() });
        assert!(matches!(
            requests.outcome,
            Some(Outcome::Interrupted { .. })
        ));
    }
}
