//! What was drawn before, and nothing: `replay`, `identity`.

use super::plain_transform;
use crate::{AugmentError, LayerTransform, Plan, SampleMeta, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// The same plan for every sample: a draw that was recorded, applied again.
/// albumentations' `ReplayCompose`.
///
/// ```
/// use firecraft_augment::{ColorJitter, Replay, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(8, 8), channels: 3 };
/// let drawn = ColorJitter::new(0.4, 0.4, 0.4, 0.1).plan(&meta, Key::from_seed(1))?;
/// let again = Replay::new(drawn.clone());
/// assert_eq!(again.plan(&meta, Key::from_seed(2))?, drawn);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The plan.
    pub plan: Plan,
}

impl Replay {
    /// Does what that plan says.
    #[must_use]
    pub const fn new(plan: Plan) -> Self {
        Self { plan }
    }
}

impl Transform for Replay {
    plain_transform!("replay");

    fn validate(&self) -> Result<(), AugmentError> {
        Ok(())
    }

    fn plan(&self, _meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        Ok(self.plan.clone())
    }
}

/// Nothing: a place that a recipe can name.
///
/// ```
/// use firecraft_augment::{Identity, Plan, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(8, 8), channels: 3 };
/// assert_eq!(Identity::default().plan(&meta, Key::from_seed(1))?, Plan::identity());
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {}

impl Transform for Identity {
    super::plain_layer!("identity");

    fn validate(&self) -> Result<(), AugmentError> {
        Ok(())
    }

    fn plan(&self, _meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        Ok(Plan::identity())
    }
}

impl LayerTransform for Identity {}
