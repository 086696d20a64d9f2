//! Brightness, contrast, saturation and hue at random: `color_jitter`.

use super::plain_layer;
use crate::{
    AugmentError, Brightness, Contrast, Factor, Hue, LayerTransform, Plan, SampleMeta, Saturation,
    Transform,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Changes brightness, contrast, saturation and hue by factors of their own,
/// in a random order: torchvision's `ColorJitter`.
///
/// A range whose ends are both neutral (1; 0 for the hue) leaves its step out.
///
/// ```
/// use firecraft_augment::{ColorJitter, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let jitter = ColorJitter::new(0.4, 0.4, 0.4, 0.1);
/// let meta = SampleMeta { size: Size::new(8, 8), channels: 3 };
/// assert_eq!(jitter.plan(&meta, Key::from_seed(0))?.steps.len(), 4);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColorJitter {
    /// Range of [`Brightness`], from 0 on.
    pub brightness: (f64, f64),
    /// Range of [`Contrast`], from 0 on.
    pub contrast: (f64, f64),
    /// Range of [`Saturation`], from 0 on.
    pub saturation: (f64, f64),
    /// Range of [`Hue`] in turns, inside `[-0.5, 0.5]`.
    pub hue: (f64, f64),
}

impl Default for ColorJitter {
    fn default() -> Self {
        Self::new(0.0, 0.0, 0.0, 0.0)
    }
}

impl ColorJitter {
    /// Factors up to that far from 1, and a hue shift up to that far either
    /// way.
    #[must_use]
    pub fn new(brightness: f64, contrast: f64, saturation: f64, hue: f64) -> Self {
        let around_one = |by: f64| ((1.0 - by).max(0.0), 1.0 + by);
        Self {
            brightness: around_one(brightness),
            contrast: around_one(contrast),
            saturation: around_one(saturation),
            hue: (-hue, hue),
        }
    }
}

/// Checks ranges of brightness, contrast and saturation, and of the hue.
pub(super) fn check_tones(
    operation: &'static str,
    tones: [(f64, f64); 3],
    hue: (f64, f64),
) -> Result<(), AugmentError> {
    for (field, range) in ["brightness", "contrast", "saturation"]
        .into_iter()
        .zip(tones)
    {
        let expected = "an ordered pair in [0, 1000]";
        Factor::from(range).check(operation, field, 0.0..=1e3, expected)?;
    }
    let expected = "an ordered pair in [-0.5, 0.5]";
    Factor::from(hue).check(operation, "hue", -0.5..=0.5, expected)
}

impl Transform for ColorJitter {
    plain_layer!("color_jitter");

    fn validate(&self) -> Result<(), AugmentError> {
        let tones = [self.brightness, self.contrast, self.saturation];
        check_tones(self.name(), tones, self.hue)
    }

    fn plan(&self, _meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        let mut order = [0, 1, 2, 3];
        rng.shuffle(&mut order);
        let mut draw = |range: (f64, f64), neutral: f64| {
            let value = rng.range(range.0, range.1);
            (range != (neutral, neutral)).then_some(value as f32)
        };
        // All four are drawn in one order, whatever is left out.
        let drawn = [
            draw(self.brightness, 1.0),
            draw(self.contrast, 1.0),
            draw(self.saturation, 1.0),
            draw(self.hue, 0.0),
        ];
        let mut plan = Plan::identity();
        for i in order {
            if let Some(value) = drawn[i] {
                plan.extend(match i {
                    0 => Brightness::new(value).into(),
                    1 => Contrast::new(value).into(),
                    2 => Saturation::new(value).into(),
                    _ => Hue::new(value).into(),
                });
            }
        }
        Ok(plan)
    }
}

impl LayerTransform for ColorJitter {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::ops::testing::plan;
    use std::collections::BTreeSet;

    #[test]
    fn every_order_occurs() {
        let jitter = ColorJitter::new(0.4, 0.4, 0.4, 0.1);
        let orders: BTreeSet<Vec<u8>> = (0..500)
            .map(|seed| {
                let steps = plan(&jitter, seed).steps;
                let name = |step: &Step| match step {
                    Step::Brightness(_) => 0,
                    Step::Contrast(_) => 1,
                    Step::Saturation(_) => 2,
                    _ => 3,
                };
                steps.iter().map(name).collect()
            })
            .collect();
        assert_eq!(orders.len(), 24);
    }

    #[test]
    fn neutral_ranges_are_left_out_and_factors_stay_inside() {
        for seed in 0..50 {
            let steps = plan(&ColorJitter::new(0.3, 0.0, 0.0, 0.0), seed).steps;
            let [Step::Brightness(brightness)] = &steps[..] else {
                panic!("{steps:?}")
            };
            assert!((0.7..1.3).contains(&brightness.factor));
        }
    }

    #[test]
    fn ranges_are_checked() {
        let mut jitter = ColorJitter::new(2.0, 0.0, 0.0, 0.5);
        assert!(jitter.validate().is_ok());
        jitter.hue = (0.0, 0.6);
        assert!(jitter.validate().is_err());
        jitter = ColorJitter::default();
        jitter.contrast = (1.2, 0.8);
        assert!(jitter.validate().is_err());
    }
}
