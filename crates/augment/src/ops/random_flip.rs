//! Mirroring at random: `random_flip`.

use super::layer_transform;
use crate::{AugmentError, LayerTransform, Matrix, Plan, SampleMeta, Transform, Warp};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Which directions are mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlipMode {
    /// Left and right.
    Horizontal,
    /// Up and down.
    Vertical,
    /// Each of the two, drawn independently.
    #[default]
    #[serde(alias = "both")]
    HorizontalAndVertical,
}

/// Mirrors each image with probability 1/2 per direction; bit-exact.
///
/// The arguments are those of Keras' `RandomFlip`, with one difference: in
/// `HorizontalAndVertical` Keras 3 draws once and mirrors both directions or
/// none; here each direction has its own draw, so all four results occur.
///
/// ```
/// use firecraft_augment::{FlipMode, RandomFlipConfig, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let flip = RandomFlipConfig::new().with_mode(FlipMode::Horizontal);
/// let meta = SampleMeta { size: Size::new(28, 28), channels: 1 };
/// let mirrored = (0..100)
///     .filter(|&i| !flip.plan(&meta, Key::from_seed(i)).unwrap().steps.is_empty())
///     .count();
/// assert_eq!(mirrored, 46);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomFlipConfig {
    /// Which directions are mirrored; both by default, as in Keras.
    pub mode: FlipMode,
}

impl RandomFlipConfig {
    /// Mirrors both directions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets which directions are mirrored.
    #[must_use]
    pub const fn with_mode(mut self, mode: FlipMode) -> Self {
        self.mode = mode;
        self
    }
}

impl Transform for RandomFlipConfig {
    layer_transform!("random_flip");

    fn validate(&self) -> Result<(), AugmentError> {
        Ok(())
    }
}

impl LayerTransform for RandomFlipConfig {
    fn draw(&self, meta: &SampleMeta, key: Key) -> Plan {
        let mut rng = key.rng();
        let (horizontal, vertical) = (rng.chance(0.5), rng.chance(0.5));
        let mut matrix = Matrix::IDENTITY;
        if horizontal && self.mode != FlipMode::Vertical {
            matrix = matrix.compose(Matrix::horizontal_flip(meta.size));
        }
        if vertical && self.mode != FlipMode::Horizontal {
            matrix = matrix.compose(Matrix::vertical_flip(meta.size));
        }
        if matrix == Matrix::IDENTITY {
            Plan::identity()
        } else {
            Warp::exact(matrix, meta.size).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, apply, plan};
    use std::collections::BTreeMap;

    /// How often each corner of an image ends up at the top left.
    fn corners(mode: FlipMode) -> BTreeMap<u32, u32> {
        let image: Vec<f32> = (0..SIZE.area()).map(|i| i as f32).collect();
        let flip = RandomFlipConfig::new().with_mode(mode);
        let mut counts = BTreeMap::new();
        for seed in 0..400 {
            let out = apply(&plan(&flip, seed), &image, SIZE);
            *counts.entry(out[0] as u32).or_insert(0) += 1;
        }
        counts
    }

    #[test]
    fn each_direction_has_its_own_fair_draw() {
        let (right, bottom) = (SIZE.width as u32 - 1, (SIZE.area() - SIZE.width) as u32);
        for (mode, expected) in [
            (FlipMode::Horizontal, vec![0, right]),
            (FlipMode::Vertical, vec![0, bottom]),
            (
                FlipMode::HorizontalAndVertical,
                vec![0, right, bottom, bottom + right],
            ),
        ] {
            let counts = corners(mode);
            assert_eq!(counts.keys().copied().collect::<Vec<_>>(), expected);
            let fair = 400 / expected.len() as u32;
            // Five standard deviations are at most 50.
            assert!(counts.values().all(|n| n.abs_diff(fair) < 50), "{counts:?}");
        }
    }

    #[test]
    fn the_mode_is_written_as_in_keras() {
        let flip: RandomFlipConfig = serde_json::from_str(r#"{"mode":"both"}"#).unwrap();
        assert_eq!(flip, RandomFlipConfig::new());
        let json = serde_json::to_string(&flip).unwrap();
        assert_eq!(json, r#"{"mode":"horizontal_and_vertical"}"#);
    }
}
