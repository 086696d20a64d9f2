//! Light and colour as for detectors: `random_photometric_distort`.

use super::color_jitter::check_tones;
use super::{check_probability, plain_layer};
use crate::{
    AugmentError, Brightness, Contrast, Hue, LayerTransform, PermuteChannels, Plan, SampleMeta,
    Saturation, Transform,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Brightness, contrast, saturation, hue and the order of the channels, each
/// changed with probability `p`, contrast before or after the colours:
/// torchvision's `RandomPhotometricDistort`, after Liu et al., *SSD: Single
/// Shot MultiBox Detector* (2016).
///
/// ```
/// use firecraft_augment::{RandomPhotometricDistort, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(8, 8), channels: 3 };
/// let mut all = RandomPhotometricDistort::default();
/// all.p = 1.0;
/// assert_eq!(all.plan(&meta, Key::from_seed(0))?.steps.len(), 5);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomPhotometricDistort {
    /// Range of [`Brightness`], from 0 on.
    pub brightness: (f64, f64),
    /// Range of [`Contrast`], from 0 on.
    pub contrast: (f64, f64),
    /// Range of [`Saturation`], from 0 on.
    pub saturation: (f64, f64),
    /// Range of [`Hue`] in turns, inside `[-0.5, 0.5]`.
    pub hue: (f64, f64),
    /// Probability of each, in `0..=1`.
    pub p: f64,
}

impl Default for RandomPhotometricDistort {
    fn default() -> Self {
        Self {
            brightness: (0.875, 1.125),
            contrast: (0.5, 1.5),
            saturation: (0.5, 1.5),
            hue: (-0.05, 0.05),
            p: 0.5,
        }
    }
}

impl Transform for RandomPhotometricDistort {
    plain_layer!("random_photometric_distort");

    fn validate(&self) -> Result<(), AugmentError> {
        check_probability(self.name(), self.p)?;
        let tones = [self.brightness, self.contrast, self.saturation];
        check_tones(self.name(), tones, self.hue)
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        // Everything is drawn in one order, whatever is left out.
        let mut draw = |range: (f64, f64)| {
            let acts = rng.chance(self.p);
            let value = rng.range(range.0, range.1) as f32;
            acts.then_some(value)
        };
        let brightness = draw(self.brightness);
        let contrast = draw(self.contrast);
        let saturation = draw(self.saturation);
        let hue = draw(self.hue);
        let (early, permutes) = (rng.chance(0.5), rng.chance(self.p));
        let mut order: Vec<usize> = (0..meta.channels.min(3)).collect();
        rng.shuffle(&mut order);
        order.extend(order.len()..meta.channels);

        let mut plan = Plan::identity();
        let contrast: Option<Plan> = contrast.map(|by| Contrast::new(by).into());
        let (before, after) = if early {
            (contrast, None)
        } else {
            (None, contrast)
        };
        let steps = [
            brightness.map(|by| Brightness::new(by).into()),
            before,
            saturation.map(|by| Saturation::new(by).into()),
            hue.map(|by| Hue::new(by).into()),
            after,
            (permutes && !order.is_empty()).then(|| PermuteChannels::new(order).into()),
        ];
        steps
            .into_iter()
            .flatten()
            .for_each(|step| plan.extend(step));
        Ok(plan)
    }
}

impl LayerTransform for RandomPhotometricDistort {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::ops::testing::plan;

    #[test]
    fn contrast_comes_before_and_after_the_colours() {
        let distort = RandomPhotometricDistort {
            p: 1.0,
            ..RandomPhotometricDistort::default()
        };
        let places: Vec<usize> = (0..50)
            .filter_map(|seed| {
                let steps = plan(&distort, seed).steps;
                steps
                    .iter()
                    .position(|step| matches!(step, Step::Contrast(_)))
            })
            .collect();
        assert!(places.contains(&1) && places.contains(&3));
    }

    #[test]
    fn ranges_are_checked() {
        let distort = RandomPhotometricDistort {
            hue: (0.0, 0.7),
            ..RandomPhotometricDistort::default()
        };
        assert!(distort.validate().is_err());
    }
}
