//! A rectangle painted over at random: `random_erasing`.

use super::{Erase, check_probability, check_values, plain_layer};
use crate::{AugmentError, Factor, LayerTransform, Plan, Region, SampleMeta, Size, Transform};
use firecraft_key::{Key, Rng};
use serde::{Deserialize, Serialize};

/// What [`RandomErasing`] paints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EraseMode {
    /// The value: timm's `const`.
    #[default]
    Constant,
    /// One random colour per rectangle: timm's `rand`.
    Colour,
    /// A random value per pixel and channel: timm's `pixel`, torchvision's
    /// `random`, Keras without a fill value.
    Pixel,
}

/// With probability `p`, paints over rectangles of random area and shape:
/// torchvision's, timm's and Keras' `RandomErasing`. Random values are
/// standard normal for numbers, which suits normalised images, and uniform for
/// bytes. Zhong et al., *Random Erasing Data Augmentation* (2020); with a square of fixed area
/// it is Cutout (DeVries and Taylor, 2017).
///
/// If ten draws don't fit into the image, nothing is painted.
///
/// ```
/// use firecraft_augment::{RandomErasing, SampleMeta, Size, Step, Transform};
/// use firecraft_key::Key;
/// let erase = RandomErasing::new().with_p(1.0);
/// let meta = SampleMeta { size: Size::new(100, 100), channels: 3 };
/// let plan = erase.plan(&meta, Key::from_seed(3))?;
/// let [Step::Erase(erase)] = &plan.steps[..] else { unreachable!() };
/// let fraction = erase.region.size.area() as f64 / 1e4;
/// assert!((0.015..0.34).contains(&fraction));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomErasing {
    /// Probability, in `0..=1`.
    pub p: f64,
    /// Range of the area, as a fraction of the image, inside `[0, 1]`.
    pub scale: (f64, f64),
    /// Range of the aspect ratio, height over width, inside `[1e-3, 1000]`.
    pub ratio: (f64, f64),
    /// One value, or one per channel, in the unit of the image.
    pub value: Vec<f32>,
    /// Whether the value or something random is painted.
    pub mode: EraseMode,
    /// The smallest and the largest number of rectangles, in `1..=1000`; the
    /// area is divided among them.
    pub count: (usize, usize),
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self {
            p: 0.5,
            scale: (0.02, 0.33),
            ratio: (0.3, 3.3),
            value: vec![0.0],
            mode: EraseMode::Constant,
            count: (1, 1),
        }
    }
}

impl RandomErasing {
    /// torchvision's defaults: black, half of the time.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the probability.
    #[must_use]
    pub const fn with_p(mut self, p: f64) -> Self {
        self.p = p;
        self
    }

    /// Sets the range of the area.
    #[must_use]
    pub const fn with_scale(mut self, scale: (f64, f64)) -> Self {
        self.scale = scale;
        self
    }

    /// Sets the range of the aspect ratio.
    #[must_use]
    pub const fn with_ratio(mut self, ratio: (f64, f64)) -> Self {
        self.ratio = ratio;
        self
    }

    /// Sets whether the value or something random is painted.
    #[must_use]
    pub const fn with_mode(mut self, mode: EraseMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets how many rectangles there are, both ends included.
    #[must_use]
    pub const fn with_count(mut self, low: usize, high: usize) -> Self {
        self.count = (low, high);
        self
    }

    fn region(&self, image: Size, count: usize, rng: &mut Rng) -> Option<Region> {
        const ATTEMPTS: u32 = 10;
        let Size { height, width } = image;
        for _ in 0..ATTEMPTS {
            let area = image.area() as f64 * rng.range(self.scale.0, self.scale.1) / count as f64;
            let ratio = super::log_uniform(self.ratio, rng);
            let h = (area * ratio).sqrt().round() as usize;
            let w = (area / ratio).sqrt().round() as usize;
            if (1..height).contains(&h) && (1..width).contains(&w) {
                return Some(Region {
                    top: rng.below((height - h + 1) as u64) as usize,
                    left: rng.below((width - w + 1) as u64) as usize,
                    size: Size::new(h, w),
                });
            }
        }
        None
    }

    /// Sets the colour.
    #[must_use]
    pub fn with_value(mut self, value: impl Into<Vec<f32>>) -> Self {
        self.value = value.into();
        self
    }
}

impl Transform for RandomErasing {
    plain_layer!("random_erasing");

    fn validate(&self) -> Result<(), AugmentError> {
        check_probability(self.name(), self.p)?;
        let expected = "an ordered pair in [0, 1]";
        Factor::from(self.scale).check(self.name(), "scale", 0.0..=1.0, expected)?;
        let expected = "an ordered pair in [1e-3, 1000]";
        Factor::from(self.ratio).check(self.name(), "ratio", 1e-3..=1e3, expected)?;
        check_values(self.name(), "value", &self.value)?;
        if self.value.is_empty() {
            let expected = "one number, or one per channel";
            return Err(AugmentError::parameter(
                self.name(),
                "value",
                "[]",
                expected,
            ));
        }
        let (low, high) = self.count;
        if !(1..=high).contains(&low) || high > 1000 {
            let (got, expected) = (format!("({low}, {high})"), "an ordered pair in 1..=1000");
            return Err(AugmentError::parameter(self.name(), "count", got, expected));
        }
        Ok(())
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        if !rng.chance(self.p) {
            return Ok(Plan::identity());
        }
        let (low, high) = self.count;
        let count = if low == high {
            low
        } else {
            low + rng.below((high - low + 1) as u64) as usize
        };
        let mut plan = Plan::identity();
        for i in 0..count {
            let Some(region) = self.region(meta.size, count, &mut rng) else {
                continue;
            };
            let key = key.fold(i as u64);
            plan.extend(Plan::from(match self.mode {
                EraseMode::Constant => Erase::new(region, self.value.clone()),
                mode => Erase::new(region, [0.0]).with_noise(key, mode == EraseMode::Pixel),
            }));
        }
        Ok(plan)
    }
}

impl LayerTransform for RandomErasing {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;
    use crate::ops::testing::meta;

    #[test]
    fn rectangles_are_inside_and_as_large_as_asked() {
        let size = Size::new(60, 80);
        let erase = RandomErasing::new().with_p(1.0).with_scale((0.1, 0.2));
        let mut fractions = Vec::new();
        for seed in 0..200 {
            let plan = erase.plan(&meta(size), Key::from_seed(seed)).unwrap();
            if let [Step::Erase(erase)] = &plan.steps[..] {
                assert!(erase.region.is_inside(size));
                fractions.push(erase.region.size.area() as f64 / size.area() as f64);
            }
        }
        assert!(fractions.len() > 190);
        assert!(fractions.iter().all(|f| (0.09..0.22).contains(f)));
        let mean = fractions.iter().sum::<f64>() / fractions.len() as f64;
        assert!((mean - 0.15).abs() < 0.01, "{mean}");
    }

    #[test]
    fn several_rectangles_and_random_colours() {
        let erase = RandomErasing::new()
            .with_p(1.0)
            .with_count(3, 5)
            .with_mode(EraseMode::Colour);
        let size = Size::new(60, 80);
        let mut counts = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let plan = erase.plan(&meta(size), Key::from_seed(seed)).unwrap();
            counts.insert(plan.steps.len());
        }
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [3, 4, 5]);
        assert!(RandomErasing::new().with_count(2, 1).validate().is_err());
        assert!(RandomErasing::new().with_count(0, 1).validate().is_err());
    }

    #[test]
    fn an_image_of_one_pixel_stays() {
        let erase = RandomErasing::new().with_p(1.0);
        let plan = erase
            .plan(&meta(Size::new(1, 1)), Key::from_seed(0))
            .unwrap();
        assert_eq!(plan, Plan::identity());
    }
}
