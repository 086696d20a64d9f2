//! Highlights inverted at random: `random_solarization`.

use super::plain_layer;
use crate::{AugmentError, Factor, LayerTransform, Plan, SampleMeta, Solarize, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Adds a random amount and inverts from a random threshold on: Keras'
/// `Solarization`. Both are in parts of white.
///
/// Keras 3.15 forgets to scale the lower ends of its ranges; here both ends
/// are parts of white.
///
/// ```
/// use firecraft_augment::{RandomSolarization, SampleMeta, Size, Step, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(4, 4), channels: 3 };
/// let half = RandomSolarization::new(0.0, (0.5, 0.5));
/// let plan = half.plan(&meta, Key::from_seed(1))?;
/// let [Step::Solarize(step)] = &plan.steps[..] else { unreachable!() };
/// assert_eq!(step.threshold, 127.5);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomSolarization {
    /// Range of what is added, inside `[0, 1]`; a single number is the range
    /// from 0 on.
    pub addition_factor: Factor,
    /// Range of the threshold, likewise.
    pub threshold_factor: Factor,
}

impl RandomSolarization {
    /// Draws addition and threshold from these ranges.
    #[must_use]
    pub fn new(addition: impl Into<Factor>, threshold: impl Into<Factor>) -> Self {
        Self {
            addition_factor: addition.into(),
            threshold_factor: threshold.into(),
        }
    }
}

impl Transform for RandomSolarization {
    plain_layer!("random_solarization");

    fn validate(&self) -> Result<(), AugmentError> {
        let expected = "an ordered pair in [0, 1]";
        for (field, factor) in [
            ("addition_factor", self.addition_factor),
            ("threshold_factor", self.threshold_factor),
        ] {
            let range = factor.cut_below(0.0);
            range.check(self.name(), field, 0.0..=1.0, expected)?;
        }
        Ok(())
    }

    fn plan(&self, _meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        let mut draw = |factor: Factor| (factor.cut_below(0.0).draw(&mut rng) * 255.0) as f32;
        let addition = draw(self.addition_factor);
        let threshold = draw(self.threshold_factor);
        Ok(Solarize::new(threshold).with_addition(addition).into())
    }
}

impl LayerTransform for RandomSolarization {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        assert!(RandomSolarization::new(0.2, 0.5).validate().is_ok());
        assert!(RandomSolarization::new(0.2, 1.5).validate().is_err());
        assert!(RandomSolarization::new((0.5, 0.2), 0.5).validate().is_err());
    }
}
