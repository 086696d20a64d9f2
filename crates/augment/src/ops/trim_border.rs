//! Without its edge: `trim_border`.

use super::{Crop, plain_transform};
use crate::{AugmentError, Plan, SampleMeta, Size, Transform};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Cuts off as many pixels on every side: timm's `TrimBorder`.
///
/// ```
/// use firecraft_augment::{SampleMeta, Size, Transform, TrimBorder};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(10, 20), channels: 3 };
/// let plan = TrimBorder::new(2).plan(&meta, Key::from_seed(0))?;
/// assert_eq!(plan.output(meta.size), Size::new(6, 16));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrimBorder {
    /// Pixels on each side, at most 2^20.
    pub border: usize,
}

impl TrimBorder {
    /// Cuts off that many pixels.
    #[must_use]
    pub const fn new(border: usize) -> Self {
        Self { border }
    }
}

impl Transform for TrimBorder {
    plain_transform!("trim_border");

    fn validate(&self) -> Result<(), AugmentError> {
        if self.border <= 1 << 20 {
            return Ok(());
        }
        let expected = "a number of pixels up to 2^20";
        Err(AugmentError::parameter(
            self.name(),
            "border",
            self.border,
            expected,
        ))
    }

    fn plan(&self, meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let Size { height, width } = meta.size;
        let both = 2 * self.border;
        if height <= both || width <= both {
            return Err(AugmentError::Image {
                operation: self.name(),
                got: format!("an image of {}", meta.size),
                expected: format!("more than {both} rows and columns"),
            });
        }
        let size = Size::new(height - both, width - both);
        let start = self.border as i64;
        Ok(Crop::new(start, start, size).warp().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, meta};

    #[test]
    fn nothing_left_is_refused() {
        let plan = |border| TrimBorder::new(border).plan(&meta(SIZE), Key::from_seed(0));
        assert_eq!(plan(2).unwrap().map_point(2.0, 2.0), Some((0.0, 0.0)));
        assert!(plan(3).is_err());
        assert!(plan(usize::MAX).is_err());
    }
}
