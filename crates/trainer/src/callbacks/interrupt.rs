//! Stopping on request without losing anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::callback::Callback;
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};

/// Ends the fit at the next update once a flag is set, with a checkpoint.
///
/// The program sets the flag, usually from a handler of Ctrl-C; this crate
/// installs no handler, because a process has only one.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use firecraft_trainer::callbacks::Interrupt;
///
/// let flag = Arc::new(AtomicBool::new(false));
/// let interrupt = Interrupt::new(flag.clone());
/// flag.store(true, Ordering::Relaxed); // the fit ends at the next update
/// ```
#[derive(Debug, Clone)]
pub struct Interrupt {
    flag: Arc<AtomicBool>,
}

impl Interrupt {
    /// Watches `flag`.
    pub const fn new(flag: Arc<AtomicBool>) -> Self {
        Self { flag }
    }
}

impl Callback for Interrupt {
    fn key(&self) -> String {
        "interrupt".into()
    }

    fn on(&mut self, event: &Event<'_>, _: &Context<'_>) -> Result<Control, TrainerError> {
        let safe = matches!(
            event,
            Event::FitStart { .. } | Event::UpdateEnd(_) | Event::EpochEnd { .. }
        );
        if safe && self.flag.load(Ordering::Relaxed) {
            return Ok(Control::Many(vec![
                Control::Checkpoint,
                Control::Interrupt {
                    reason: "interrupted".into(),
                },
            ]));
        }
        Ok(Control::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::send;
    use super::*;
    use crate::event::Progress;
    use crate::metrics::History;

    #[test]
    fn it_acts_at_safe_moments_only() {
        let flag = Arc::new(AtomicBool::new(false));
        let mut interrupt = Interrupt::new(flag.clone());
        let mut on = |event: &Event<'_>| {
            let history = History::default();
            send(&mut interrupt, event, &history, Progress::default()).unwrap()
        };
        assert!(matches!(
            on(&Event::FitStart { resumed: false }),
            Control::Continue
        ));
        flag.store(true, Ordering::Relaxed);
        assert!(matches!(on(&Event::EvaluationStart), Control::Continue));
        assert!(matches!(
            on(&Event::FitStart { resumed: false }),
            Control::Many(_)
        ));
    }
}
