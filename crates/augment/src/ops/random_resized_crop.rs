//! A rectangle of random size and shape, resized: `random_resized_crop`.

use super::{ResizeRegion, check_size, log_uniform, plain_transform};
use crate::{AugmentError, Factor, Plan, Region, ResizeFilter, SampleMeta, Size, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// The crop of the Inception and ResNet recipes: a rectangle whose area is a
/// random fraction of the image, with a random aspect ratio, resized to one
/// size. torchvision's `RandomResizedCrop`.
///
/// The fraction is uniform, the logarithm of the ratio is uniform. If ten
/// draws don't fit into the image, the middle is taken, with the ratio forced
/// into its range (Szegedy et al., *Going deeper with convolutions*, 2015;
/// the fallback is torchvision's).
///
/// ```
/// use firecraft_augment::{RandomResizedCrop, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let crop = RandomResizedCrop::new(Size::new(224, 224));
/// let meta = SampleMeta { size: Size::new(375, 500), channels: 3 };
/// let plan = crop.plan(&meta, Key::from_seed(0))?;
/// assert_eq!(plan.output(meta.size), Size::new(224, 224));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomResizedCrop {
    /// Size of the result.
    pub size: Size,
    /// Range of the area, as a fraction of the image, inside `(0, 1]`.
    #[serde(default = "default_scale")]
    pub scale: Factor,
    /// Range of the aspect ratio, width over height, above 0.
    #[serde(default = "default_ratio")]
    pub ratio: Factor,
    /// How the pixels are made.
    #[serde(default)]
    pub filter: ResizeFilter,
    /// Whether the filter widens where the image shrinks.
    #[serde(default = "super::yes")]
    pub antialias: bool,
}

fn default_scale() -> Factor {
    (0.08, 1.0).into()
}

fn default_ratio() -> Factor {
    (3.0 / 4.0, 4.0 / 3.0).into()
}

impl RandomResizedCrop {
    /// Areas from 8 % on and ratios from 3/4 to 4/3.
    #[must_use]
    pub fn new(size: Size) -> Self {
        Self {
            size,
            scale: default_scale(),
            ratio: default_ratio(),
            filter: ResizeFilter::Bilinear,
            antialias: true,
        }
    }

    /// Sets the range of the area.
    #[must_use]
    pub fn with_scale(mut self, scale: impl Into<Factor>) -> Self {
        self.scale = scale.into();
        self
    }

    /// Sets the range of the aspect ratio.
    #[must_use]
    pub fn with_ratio(mut self, ratio: impl Into<Factor>) -> Self {
        self.ratio = ratio.into();
        self
    }

    /// Sets how the pixels are made.
    #[must_use]
    pub const fn with_filter(mut self, filter: ResizeFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets whether the filter widens where the image shrinks.
    #[must_use]
    pub const fn with_antialias(mut self, antialias: bool) -> Self {
        self.antialias = antialias;
        self
    }

    fn region(&self, image: Size, key: Key) -> Region {
        const ATTEMPTS: u32 = 10;
        let mut rng = key.rng();
        let area = image.area() as f64;
        for _ in 0..ATTEMPTS {
            let target = area * self.scale.draw(&mut rng);
            let ratio = log_uniform((self.ratio.low(), self.ratio.high()), &mut rng);
            let width = (target * ratio).sqrt().round() as usize;
            let height = (target / ratio).sqrt().round() as usize;
            if (1..=image.width).contains(&width) && (1..=image.height).contains(&height) {
                return Region {
                    top: rng.below((image.height - height + 1) as u64) as usize,
                    left: rng.below((image.width - width + 1) as u64) as usize,
                    size: Size::new(height, width),
                };
            }
        }
        let ratio = image.width as f64 / image.height as f64;
        let size = if ratio < self.ratio.low() {
            let height = (image.width as f64 / self.ratio.low()).round() as usize;
            Size::new(height.clamp(1, image.height), image.width)
        } else if ratio > self.ratio.high() {
            let width = (image.height as f64 * self.ratio.high()).round() as usize;
            Size::new(image.height, width.clamp(1, image.width))
        } else {
            image
        };
        Region {
            top: (image.height - size.height) / 2,
            left: (image.width - size.width) / 2,
            size,
        }
    }
}

impl Transform for RandomResizedCrop {
    plain_transform!("random_resized_crop");

    fn validate(&self) -> Result<(), AugmentError> {
        check_size(self.name(), "size", self.size)?;
        let expected = "an ordered pair in [1e-6, 1]";
        self.scale
            .check(self.name(), "scale", 1e-6..=1.0, expected)?;
        let expected = "an ordered pair in [1e-3, 1000]";
        self.ratio.check(self.name(), "ratio", 1e-3..=1e3, expected)
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        check_size(self.name(), "the image", meta.size)?;
        Ok(Plan::from(ResizeRegion {
            region: self.region(meta.size, key),
            size: self.size,
            filter: self.filter,
            antialias: self.antialias,
            flipped: (false, false),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_rectangle_is_inside_and_as_asked(
            seed: u64, height in 1_usize..300, width in 1_usize..300,
            low in 0.05..0.2_f64, ratio in 1.0..1.2_f64,
        ) {
            let crop = RandomResizedCrop::new(Size::new(8, 8))
                .with_scale((low, 2.0 * low))
                .with_ratio((1.0 / ratio, ratio));
            let image = Size::new(height, width);
            let region = crop.region(image, Key::from_seed(seed));
            prop_assert!(region.is_inside(image));
            if height > 60 && width > 60 && height < 2 * width && width < 2 * height {
                // Large enough for rounding not to matter, and every draw fits.
                let fraction = region.size.area() as f64 / image.area() as f64;
                prop_assert!(fraction > 0.8 * low && fraction < 2.4 * low, "{}", region);
            }
        }
    }

    #[test]
    fn a_long_image_falls_back_to_its_middle() {
        let crop = RandomResizedCrop::new(Size::new(8, 8)).with_scale((1.0, 1.0));
        let region = crop.region(Size::new(10, 1000), Key::from_seed(0));
        assert_eq!(region.size, Size::new(10, 13));
        assert_eq!(region.left, 493);
    }

    #[test]
    fn ranges_are_checked() {
        let crop = RandomResizedCrop::new(Size::new(8, 8));
        assert!(crop.clone().with_scale((0.0, 1.0)).validate().is_err());
        assert!(crop.clone().with_ratio((2.0, 1.0)).validate().is_err());
        assert!(crop.validate().is_ok());
    }
}
