//! What a value of a scheduler is for.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The destination of one scheduled value: a hyper-parameter, of one parameter
/// group or of all.
///
/// The names of hyper-parameters are open. Those in common use are the
/// constants here; whoever applies the values says which it understands.
///
/// ```
/// use firecraft_schedule::Slot;
/// assert_eq!(Slot::new(Slot::WEIGHT_DECAY).in_group("backbone").to_string(),
///            "backbone/weight_decay");
/// assert_eq!(Slot::default().to_string(), "lr");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// The parameter group; `None` means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The hyper-parameter.
    pub parameter: String,
}

impl Slot {
    /// Learning rate.
    pub const LEARNING_RATE: &'static str = "lr";
    /// Momentum, or the first beta of Adam-like optimisers.
    pub const MOMENTUM: &'static str = "momentum";
    /// The second beta of Adam-like optimisers.
    pub const BETA2: &'static str = "beta2";
    /// Weight decay.
    pub const WEIGHT_DECAY: &'static str = "weight_decay";
    /// Decay of the exponential moving average of the weights.
    pub const EMA_DECAY: &'static str = "ema_decay";
    /// Dropout probability.
    pub const DROPOUT: &'static str = "dropout";
    /// Label smoothing.
    pub const LABEL_SMOOTHING: &'static str = "label_smoothing";
    /// Magnitude of the augmentation policy.
    pub const MAGNITUDE: &'static str = "magnitude";
    /// Batch size.
    pub const BATCH_SIZE: &'static str = "batch_size";

    /// The hyper-parameter `parameter` of all groups.
    #[must_use]
    pub fn new(parameter: impl Into<String>) -> Self {
        Self {
            group: None,
            parameter: parameter.into(),
        }
    }

    /// The same hyper-parameter of one group.
    #[must_use]
    pub fn in_group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }
}

impl Default for Slot {
    /// The learning rate of all groups.
    fn default() -> Self {
        Self::new(Self::LEARNING_RATE)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "{group}/{}", self.parameter),
            None => f.write_str(&self.parameter),
        }
    }
}
