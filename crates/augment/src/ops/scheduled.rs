//! Stronger with time: `Scheduled`.

use crate::{AugmentError, Plan, SampleMeta, Transform};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The strength of augmentation, shared between whoever schedules it and the
/// transforms that follow it: set it from a schedule before each epoch or
/// step.
///
/// ```
/// use firecraft_augment::Strength;
/// let strength = Strength::new(0.0);
/// let follower = strength.clone();
/// strength.set(0.5);
/// assert_eq!(follower.get(), 0.5);
/// ```
#[derive(Clone, Debug)]
pub struct Strength(Arc<AtomicU64>);

impl Strength {
    /// A strength to start with.
    #[must_use]
    pub fn new(strength: f64) -> Self {
        Self(Arc::new(AtomicU64::new(strength.to_bits())))
    }

    /// Changes it for all who follow.
    pub fn set(&self, strength: f64) {
        self.0.store(strength.to_bits(), Ordering::Relaxed);
    }

    /// What it is now.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

type Make = dyn Fn(f64) -> Box<dyn Transform> + Send + Sync;

/// The transform that a function makes of a [`Strength`]: augmentation that
/// grows (or fades) over a training, timm's `ScheduledTransformDataset`,
/// progressive learning (Tan and Le, *EfficientNetV2*, 2021).
///
/// Plans depend on the strength at the time they are drawn; with equal
/// strengths and keys, they are equal.
///
/// ```
/// use firecraft_augment::{RandAugment, SampleMeta, Scheduled, Size, Strength, Transform};
/// use firecraft_key::Key;
/// let strength = Strength::new(0.0);
/// let growing = Scheduled::new(strength.clone(), |s| {
///     Box::new(RandAugment::new(4, (s * 10.0).round() as usize))
/// });
/// let meta = SampleMeta { size: Size::new(32, 32), channels: 3 };
/// let weak = growing.plan(&meta, Key::from_seed(5))?;
/// strength.set(1.0);
/// assert_ne!(growing.plan(&meta, Key::from_seed(5))?, weak);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone)]
pub struct Scheduled {
    strength: Strength,
    make: Arc<Make>,
}

impl fmt::Debug for Scheduled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduled")
            .field("strength", &self.strength.get())
            .finish_non_exhaustive()
    }
}

impl Scheduled {
    /// Does what `make` makes of the strength.
    #[must_use]
    pub fn new(
        strength: Strength,
        make: impl Fn(f64) -> Box<dyn Transform> + Send + Sync + 'static,
    ) -> Self {
        Self {
            strength,
            make: Arc::new(make),
        }
    }

    fn now(&self) -> Box<dyn Transform> {
        (self.make)(self.strength.get())
    }
}

impl Transform for Scheduled {
    fn name(&self) -> &'static str {
        "scheduled"
    }

    fn validate(&self) -> Result<(), AugmentError> {
        self.now().validate()
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.now().plan(meta, key)
    }

    fn spec(&self) -> Result<Spec, SpecError> {
        Err(SpecError::invalid(
            "a transform made by a function can't be written as a spec",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::plan;
    use crate::{Brightness, Step};

    #[test]
    fn plans_follow_the_strength_and_invalid_ones_are_errors() {
        let strength = Strength::new(0.5);
        let scheduled = Scheduled::new(strength.clone(), |s| Box::new(Brightness::new(s as f32)));
        let factor = |plan: Plan| match plan.steps[..] {
            [Step::Brightness(ref step)] => step.factor,
            _ => f32::NAN,
        };
        assert_eq!(factor(plan(&scheduled, 0)), 0.5);
        strength.set(2.0);
        assert_eq!(factor(plan(&scheduled, 0)), 2.0);
        strength.set(-1.0);
        assert!(scheduled.validate().is_err());
    }
}
