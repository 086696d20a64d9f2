//! Training the head first and deeper layers later.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CallbackConfig;
use crate::callback::Callback;
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};
use crate::optimizer::Select;

/// Freezes parts of the model at the start and trains each from its epoch on.
///
/// Give the parts their own learning rates by the groups of the optimiser
/// ([`GroupRule`](crate::GroupRule), for example with
/// [`layer_decay`](crate::layer_decay)). What is frozen is kept in
/// checkpoints.
///
/// ```
/// use firecraft_trainer::callbacks::GradualUnfreezing;
/// use firecraft_trainer::Select;
///
/// let path = |glob: &str| Select::Path { glob: glob.into() };
/// let unfreezing = GradualUnfreezing::new()
///     .then(5, path("backbone.stage4.*"))
///     .then(10, path("backbone.*"))
///     .freeze_statistics();
/// ```
#[derive(Debug, Clone, Default)]
pub struct GradualUnfreezing {
    parts: Vec<(u64, Select)>,
    statistics: bool,
}

impl GradualUnfreezing {
    /// Nothing is frozen yet.
    pub const fn new() -> Self {
        Self {
            parts: Vec::new(),
            statistics: false,
        }
    }

    /// Freezes what is selected until the 0-based `epoch` starts.
    #[must_use]
    pub fn then(mut self, epoch: u64, select: Select) -> Self {
        self.parts.push((epoch, select));
        self
    }

    /// The running statistics of frozen parts stand still too, until the parts
    /// are trained.
    #[must_use]
    pub const fn freeze_statistics(mut self) -> Self {
        self.statistics = true;
        self
    }

    fn switch(&self, select: &Select, on: bool) -> Vec<Control> {
        let mut controls = vec![Control::Trainable {
            select: select.clone(),
            trainable: on,
        }];
        if self.statistics {
            controls.push(Control::Statistics {
                select: select.clone(),
                follow: on,
            });
        }
        controls
    }
}

impl Callback for GradualUnfreezing {
    fn key(&self) -> String {
        let epochs: Vec<_> = self.parts.iter().map(|(at, _)| at.to_string()).collect();
        format!("gradual_unfreezing({})", epochs.join(","))
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        let epoch = context.progress.epoch;
        let controls: Vec<Control> = match event {
            Event::FitStart { resumed: false } => {
                let frozen = self.parts.iter().filter(|(at, _)| *at > epoch);
                frozen
                    .flat_map(|(_, select)| self.switch(select, false))
                    .collect()
            }
            Event::EpochStart => {
                let due: Vec<_> = self.parts.iter().filter(|(at, _)| *at == epoch).collect();
                let later = self.parts.iter().filter(|(at, _)| *at > epoch);
                let mut controls: Vec<Control> = due
                    .iter()
                    .flat_map(|(_, select)| self.switch(select, true))
                    .collect();
                // A part may lie inside one that is trained now.
                if !due.is_empty() {
                    controls.extend(later.flat_map(|(_, select)| self.switch(select, false)));
                }
                controls
            }
            _ => return Ok(Control::Continue),
        };
        Ok(Control::Many(controls))
    }
}

/// A [`GradualUnfreezing`] by name, `gradual_unfreezing`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradualUnfreezingConfig {
    /// What is frozen at first, each with the epoch from which it is trained.
    pub parts: Vec<FrozenPart>,
    /// Whether the running statistics of frozen parts stand still too.
    #[serde(default)]
    pub freeze_statistics: bool,
}

/// A part of a model that is frozen at first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenPart {
    /// The 0-based epoch from which it is trained.
    pub epoch: u64,
    /// The part.
    pub select: Select,
}

impl CallbackConfig for GradualUnfreezingConfig {
    const NAME: &'static str = "gradual_unfreezing";
    const SUMMARY: &'static str = "trains the head first and deeper layers later";

    fn build(&self, _folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        let parts = self.parts.iter().cloned();
        Ok(Box::new(GradualUnfreezing {
            parts: parts.map(|part| (part.epoch, part.select)).collect(),
            statistics: self.freeze_statistics,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::send;
    use super::*;
    use crate::event::Progress;
    use crate::metrics::History;

    fn asked(event: &Event<'_>, epoch: u64) -> Vec<bool> {
        let part = |glob: &str| Select::Path { glob: glob.into() };
        let mut callback = GradualUnfreezing::new()
            .then(1, part("b.*"))
            .then(2, part("a.*"));
        let progress = Progress {
            epoch,
            ..Progress::default()
        };
        let control = send(&mut callback, event, &History::default(), progress).unwrap();
        let Control::Many(controls) = control else {
            panic!("{control:?}");
        };
        let trainable = controls.iter().map(|control| match control {
            Control::Trainable { trainable, .. } => *trainable,
            other => panic!("{other:?}"),
        });
        trainable.collect()
    }

    #[test]
    fn parts_are_frozen_at_first_and_trained_one_by_one() {
        let start = |resumed| Event::FitStart { resumed };
        assert_eq!(asked(&start(false), 0), [false, false]);
        assert!(asked(&Event::EpochStart, 0).is_empty());
        assert_eq!(asked(&Event::EpochStart, 1), [true, false]);
        assert_eq!(asked(&Event::EpochStart, 2), [true]);
        assert!(asked(&Event::EpochStart, 3).is_empty());
    }
}
