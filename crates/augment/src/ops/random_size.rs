//! Resizing at random: `random_resize`, `random_shortest_size`,
//! `scale_jitter`.

use super::{check_size, plain_transform, yes};
use crate::{
    AugmentError, Factor, Plan, Resize, ResizeFilter, ResizeTo, SampleMeta, Size, Transform,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// The longest side that is drawn.
const LIMIT: usize = 1 << 14;

fn check_side(operation: &'static str, field: &'static str, n: usize) -> Result<(), AugmentError> {
    if (1..=LIMIT).contains(&n) {
        Ok(())
    } else {
        let expected = "a number of pixels in 1..=16384";
        Err(AugmentError::parameter(operation, field, n, expected))
    }
}

/// Makes the shorter side as long as drawn: torchvision's `RandomResize`.
///
/// ```
/// use firecraft_augment::{RandomResize, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(10, 20), channels: 3 };
/// let size = RandomResize::new(30, 40).plan(&meta, Key::from_seed(0))?.output(meta.size);
/// assert!((30..=40).contains(&size.height) && size.width == 2 * size.height);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomResize {
    /// The smallest length in pixels.
    pub min_size: usize,
    /// The largest length, included.
    pub max_size: usize,
    /// How the pixels are made.
    #[serde(default)]
    pub filter: ResizeFilter,
    /// Whether the filter widens where the image shrinks.
    #[serde(default = "yes")]
    pub antialias: bool,
}

impl RandomResize {
    /// A length between two, both included.
    #[must_use]
    pub const fn new(min_size: usize, max_size: usize) -> Self {
        Self {
            min_size,
            max_size,
            filter: ResizeFilter::Bilinear,
            antialias: true,
        }
    }
}

impl Transform for RandomResize {
    plain_transform!("random_resize");

    fn validate(&self) -> Result<(), AugmentError> {
        check_side(self.name(), "min_size", self.min_size)?;
        check_side(self.name(), "max_size", self.max_size)?;
        if self.min_size <= self.max_size {
            return Ok(());
        }
        let got = format!("{} to {}", self.min_size, self.max_size);
        let expected = "a range in order";
        Err(AugmentError::parameter(
            self.name(),
            "min_size",
            got,
            expected,
        ))
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let room = (self.max_size - self.min_size) as u64;
        let side = self.min_size + key.rng().below(room + 1) as usize;
        Resize::new(ResizeTo::Shorter(side))
            .with_filter(self.filter)
            .with_antialias(self.antialias)
            .plan(meta, key)
    }
}

/// Makes the shorter side one of several lengths, and the longer one no longer
/// than allowed: torchvision's `RandomShortestSize`, as detectors are trained.
///
/// ```
/// use firecraft_augment::{RandomShortestSize, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(10, 40), channels: 3 };
/// let size = RandomShortestSize::new([20, 24]).with_max_size(60);
/// assert_eq!(size.plan(&meta, Key::from_seed(0))?.output(meta.size), Size::new(15, 60));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomShortestSize {
    /// Lengths of the shorter side to choose from.
    pub min_size: Vec<usize>,
    /// The longest that the longer side may be; any by default.
    #[serde(default)]
    pub max_size: Option<usize>,
    /// How the pixels are made.
    #[serde(default)]
    pub filter: ResizeFilter,
    /// Whether the filter widens where the image shrinks.
    #[serde(default = "yes")]
    pub antialias: bool,
}

impl RandomShortestSize {
    /// One of these lengths.
    #[must_use]
    pub fn new(min_size: impl Into<Vec<usize>>) -> Self {
        Self {
            min_size: min_size.into(),
            max_size: None,
            filter: ResizeFilter::Bilinear,
            antialias: true,
        }
    }

    /// Sets the longest that the longer side may be.
    #[must_use]
    pub const fn with_max_size(mut self, max_size: usize) -> Self {
        self.max_size = Some(max_size);
        self
    }
}

impl Transform for RandomShortestSize {
    plain_transform!("random_shortest_size");

    fn validate(&self) -> Result<(), AugmentError> {
        if self.min_size.is_empty() {
            let expected = "at least one length";
            return Err(AugmentError::parameter(
                self.name(),
                "min_size",
                "[]",
                expected,
            ));
        }
        for &side in &self.min_size {
            check_side(self.name(), "min_size", side)?;
        }
        match self.max_size {
            Some(side) => check_side(self.name(), "max_size", side),
            None => Ok(()),
        }
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        check_size(self.name(), "the image", meta.size)?;
        let chosen = key.rng().below(self.min_size.len() as u64) as usize;
        let (short, long) = sides(meta.size);
        let mut scale = self.min_size[chosen] as f64 / short;
        if let Some(max) = self.max_size {
            scale = scale.min(max as f64 / long);
        }
        scaled(meta, scale, self.filter, self.antialias, key)
    }
}

/// Makes the image fit a target size times a random scale: torchvision's
/// `ScaleJitter`, the large-scale jitter of Ghiasi et al., *Simple Copy-Paste*
/// (2021).
///
/// ```
/// use firecraft_augment::{SampleMeta, ScaleJitter, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(10, 20), channels: 3 };
/// let fit = ScaleJitter::new(Size::new(100, 100), (1.0, 1.0));
/// assert_eq!(fit.plan(&meta, Key::from_seed(0))?.output(meta.size), Size::new(50, 100));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleJitter {
    /// The size that the image fits at scale 1.
    pub target_size: Size,
    /// Range of the scale, inside `[1e-3, 64]`.
    #[serde(default = "large")]
    pub scale_range: Factor,
    /// How the pixels are made.
    #[serde(default)]
    pub filter: ResizeFilter,
    /// Whether the filter widens where the image shrinks.
    #[serde(default = "yes")]
    pub antialias: bool,
}

fn large() -> Factor {
    Factor::from((0.1, 2.0))
}

impl ScaleJitter {
    /// Fits into that size times a scale from that range.
    #[must_use]
    pub fn new(target_size: Size, scale_range: impl Into<Factor>) -> Self {
        Self {
            target_size,
            scale_range: scale_range.into(),
            filter: ResizeFilter::Bilinear,
            antialias: true,
        }
    }
}

impl Transform for ScaleJitter {
    plain_transform!("scale_jitter");

    fn validate(&self) -> Result<(), AugmentError> {
        check_side(self.name(), "target_size", self.target_size.height)?;
        check_side(self.name(), "target_size", self.target_size.width)?;
        let expected = "an ordered pair in [1e-3, 64]";
        self.scale_range
            .check(self.name(), "scale_range", 1e-3..=64.0, expected)
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        check_size(self.name(), "the image", meta.size)?;
        let fit = |to: usize, of: usize| to as f64 / of as f64;
        let fit = fit(self.target_size.height, meta.size.height)
            .min(fit(self.target_size.width, meta.size.width));
        let scale = fit * self.scale_range.draw(&mut key.rng());
        scaled(meta, scale, self.filter, self.antialias, key)
    }
}

fn sides(size: Size) -> (f64, f64) {
    let (short, long) = (size.height.min(size.width), size.height.max(size.width));
    (short as f64, long as f64)
}

/// Both sides times `scale`, cut off to whole pixels.
fn scaled(
    meta: &SampleMeta,
    scale: f64,
    filter: ResizeFilter,
    antialias: bool,
    key: Key,
) -> Result<Plan, AugmentError> {
    let side = |n: usize| ((n as f64 * scale + 1e-9) as usize).max(1);
    let size = Size::new(side(meta.size.height), side(meta.size.width));
    Resize::new(ResizeTo::Exactly(size))
        .with_filter(filter)
        .with_antialias(antialias)
        .plan(meta, key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, plan};
    use std::collections::BTreeSet;

    #[test]
    fn every_length_occurs() {
        let heights: BTreeSet<usize> = (0..200)
            .map(|seed| plan(&RandomResize::new(10, 13), seed).output(SIZE).height)
            .collect();
        assert_eq!(heights.into_iter().collect::<Vec<_>>(), [10, 11, 12, 13]);
        let shortest: BTreeSet<usize> = (0..100)
            .map(|seed| {
                plan(&RandomShortestSize::new([12, 18]), seed)
                    .output(SIZE)
                    .height
            })
            .collect();
        assert_eq!(shortest.into_iter().collect::<Vec<_>>(), [12, 18]);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(RandomResize::new(0, 3).validate().is_err());
        assert!(RandomResize::new(5, 3).validate().is_err());
        assert!(RandomShortestSize::new([]).validate().is_err());
        assert!(ScaleJitter::new(Size::new(0, 9), 1.0).validate().is_err());
        assert!(
            ScaleJitter::new(Size::new(9, 9), (0.0, 1.0))
                .validate()
                .is_err()
        );
    }
}
