//! A larger canvas: `random_zoom_out`.

use super::{check_border, check_probability, half, no_fill, plain_transform};
use crate::{AugmentError, Border, Factor, Pad, Plan, SampleMeta, Size, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// With probability `p`, puts the image somewhere on a canvas up to several
/// times as large: torchvision's `RandomZoomOut`, the expansion of Liu et al.,
/// *SSD: Single Shot MultiBox Detector* (2016). Objects come out smaller.
///
/// ```
/// use firecraft_augment::{RandomZoomOut, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(10, 20), channels: 3 };
/// let plan = RandomZoomOut::new((2.0, 4.0), 1.0).plan(&meta, Key::from_seed(1))?;
/// let canvas = plan.output(meta.size);
/// assert!((20..=40).contains(&canvas.height) && (40..=80).contains(&canvas.width));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomZoomOut {
    /// Range of the sides of the canvas over those of the image, inside
    /// `[1, 64]`.
    #[serde(default = "up_to_four")]
    pub side_range: Factor,
    /// Probability, in `0..=1`.
    #[serde(default = "half")]
    pub p: f64,
    /// What the canvas shows; zeros by default.
    #[serde(default = "no_fill")]
    pub border: Border,
}

fn up_to_four() -> Factor {
    Factor::from((1.0, 4.0))
}

impl RandomZoomOut {
    /// A canvas with sides that many times as long.
    #[must_use]
    pub fn new(side_range: impl Into<Factor>, p: f64) -> Self {
        Self {
            side_range: side_range.into(),
            p,
            border: no_fill(),
        }
    }

    /// Sets what the canvas shows.
    #[must_use]
    pub fn with_border(mut self, border: Border) -> Self {
        self.border = border;
        self
    }
}

impl Transform for RandomZoomOut {
    plain_transform!("random_zoom_out");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        check_probability(self.name(), self.p)?;
        let expected = "an ordered pair in [1, 64]";
        self.side_range
            .check(self.name(), "side_range", 1.0..=64.0, expected)
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let mut rng = key.rng();
        if !rng.chance(self.p) {
            return Ok(Plan::identity());
        }
        let scale = self.side_range.draw(&mut rng);
        let Size { height, width } = meta.size;
        let mut split = |side: usize| {
            let room = ((side as f64 * scale) as usize).saturating_sub(side);
            let before = rng.below(room as u64 + 1) as usize;
            (before, room - before)
        };
        let ((left, right), (top, bottom)) = (split(width), split(height));
        let pad = Pad::new(left, top, right, bottom).with_border(self.border.clone());
        pad.plan(meta, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, plan};

    #[test]
    fn the_image_is_inside_the_canvas() {
        for seed in 0..100 {
            let plan = plan(&RandomZoomOut::new((1.0, 3.0), 1.0), seed);
            let canvas = plan.output(SIZE);
            let (x, y) = plan.map_point(0.0, 0.0).unwrap();
            assert!(x >= 0.0 && y >= 0.0);
            assert!(x as usize + SIZE.width <= canvas.width);
            assert!(y as usize + SIZE.height <= canvas.height);
        }
    }

    #[test]
    fn a_canvas_is_not_smaller() {
        assert!(RandomZoomOut::new((0.5, 2.0), 0.5).validate().is_err());
    }
}
