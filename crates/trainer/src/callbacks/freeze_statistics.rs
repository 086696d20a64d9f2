//! Normalisation layers whose running statistics stand still.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CallbackConfig;
use crate::callback::Callback;
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};
use crate::optimizer::Select;

/// Lets normalisation layers use their running statistics in training too and
/// leave them alone, from an epoch on: fastai's `BnFreeze`.
///
/// Their scales and shifts go on learning; freeze those with
/// [`GradualUnfreezing`](super::GradualUnfreezing). It stays in force when the
/// run is resumed.
///
/// ```
/// use firecraft_trainer::callbacks::FreezeStatistics;
/// use firecraft_trainer::Select;
///
/// let from_the_start = FreezeStatistics::new();
/// let late = FreezeStatistics::new()
///     .from_epoch(20)
///     .of(Select::Path { glob: "backbone.*".into() });
/// ```
#[derive(Debug, Clone)]
pub struct FreezeStatistics {
    select: Select,
    epoch: u64,
}

impl Default for FreezeStatistics {
    fn default() -> Self {
        Self::new()
    }
}

impl FreezeStatistics {
    /// All normalisation layers, from the start.
    pub const fn new() -> Self {
        Self {
            select: Select::All,
            epoch: 0,
        }
    }

    /// From the 0-based `epoch` on.
    #[must_use]
    pub const fn from_epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// Only the layers whose paths are selected.
    #[must_use]
    pub fn of(mut self, select: Select) -> Self {
        self.select = select;
        self
    }
}

impl Callback for FreezeStatistics {
    fn key(&self) -> String {
        format!("freeze_statistics({})", self.epoch)
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        // In every epoch: another callback may have let them go.
        if matches!(event, Event::EpochStart) && context.progress.epoch >= self.epoch {
            return Ok(Control::Statistics {
                select: self.select.clone(),
                follow: false,
            });
        }
        Ok(Control::Continue)
    }
}

/// A [`FreezeStatistics`] by name, `freeze_statistics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FreezeStatisticsConfig {
    /// The 0-based epoch from which they stand still.
    pub from_epoch: u64,
    /// Which layers; all by default.
    pub select: Select,
}

impl Default for FreezeStatisticsConfig {
    fn default() -> Self {
        Self {
            from_epoch: 0,
            select: Select::All,
        }
    }
}

impl CallbackConfig for FreezeStatisticsConfig {
    const NAME: &'static str = "freeze_statistics";
    const SUMMARY: &'static str = "running statistics that stand still";

    fn build(&self, _folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        let freeze = FreezeStatistics::new().from_epoch(self.from_epoch);
        Ok(Box::new(freeze.of(self.select.clone())))
    }
}
