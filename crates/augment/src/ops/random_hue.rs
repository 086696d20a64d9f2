//! Other colours at random: `random_hue`.

use super::plain_layer;
use crate::{AugmentError, Factor, Hue, LayerTransform, Plan, SampleMeta, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Turns the hue either way, by half a turn at 1: Keras' `RandomHue`.
///
/// ```
/// use firecraft_augment::{RandomHue, SampleMeta, Size, Step, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(4, 4), channels: 3 };
/// let plan = RandomHue::new((0.5, 0.5)).plan(&meta, Key::from_seed(1))?;
/// let [Step::Hue(hue)] = &plan.steps[..] else { unreachable!() };
/// assert_eq!(hue.shift.abs(), 0.25);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomHue {
    /// Range of the amount, inside `[0, 1]`; a single number is the range
    /// from 0 on. The sign is drawn, too.
    pub factor: Factor,
}

impl RandomHue {
    /// Draws the amount from that range.
    #[must_use]
    pub fn new(factor: impl Into<Factor>) -> Self {
        Self {
            factor: factor.into(),
        }
    }
}

impl Transform for RandomHue {
    plain_layer!("random_hue");

    fn validate(&self) -> Result<(), AugmentError> {
        let expected = "an ordered pair in [0, 1]";
        let range = self.factor.cut_below(0.0);
        range.check(self.name(), "factor", 0.0..=1.0, expected)
    }

    fn plan(&self, _meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        let half_turns = self.factor.cut_below(0.0).draw(&mut rng);
        let sign = if rng.chance(0.5) { -1.0 } else { 1.0 };
        Ok(Hue::new((sign * half_turns / 2.0) as f32).into())
    }
}

impl LayerTransform for RandomHue {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::ops::testing::plan;

    #[test]
    fn both_directions_occur() {
        let turns: Vec<f32> = (0..40)
            .filter_map(
                |seed| match &plan(&RandomHue::new((0.2, 0.4)), seed).steps[..] {
                    [Step::Hue(hue)] => Some(hue.shift),
                    _ => None,
                },
            )
            .collect();
        assert!(turns.iter().all(|t| (0.1..=0.2).contains(&t.abs())));
        assert!(turns.iter().any(|t| *t > 0.0) && turns.iter().any(|t| *t < 0.0));
    }
}
