//! One size for all images: `resizing`.

use super::{CenterCrop, check_border, check_size, plain_transform};
use crate::{
    AugmentError, Border, Pad, Plan, Resize, ResizeFilter, ResizeTo, SampleMeta, Size, Transform,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// What [`Resizing`] does with another aspect ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AspectRatio {
    /// The image is stretched.
    #[default]
    Stretch,
    /// What sticks out is cut off evenly first: Keras'
    /// `crop_to_aspect_ratio`.
    Crop,
    /// A frame is added evenly first: Keras' `pad_to_aspect_ratio`, letterbox.
    Pad,
}

/// Makes every image one size: Keras' `Resizing`.
///
/// ```
/// use firecraft_augment::{AspectRatio, Resizing, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(10, 20), channels: 3 };
/// let square = Resizing::new(Size::new(8, 8)).with_aspect_ratio(AspectRatio::Pad);
/// assert_eq!(square.plan(&meta, Key::from_seed(0))?.output(meta.size), Size::new(8, 8));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resizing {
    /// Height and width of the result.
    pub size: Size,
    /// What happens with another aspect ratio.
    #[serde(default)]
    pub aspect_ratio: AspectRatio,
    /// How the pixels are made.
    #[serde(default)]
    pub filter: ResizeFilter,
    /// Whether the filter widens where the image shrinks; not in Keras.
    #[serde(default)]
    pub antialias: bool,
    /// What the frame shows; zeros by default.
    #[serde(default = "super::no_fill")]
    pub border: Border,
}

impl Resizing {
    /// Stretches to that size, linearly between neighbours.
    #[must_use]
    pub fn new(size: Size) -> Self {
        Self {
            size,
            aspect_ratio: AspectRatio::Stretch,
            filter: ResizeFilter::Bilinear,
            antialias: false,
            border: super::no_fill(),
        }
    }

    /// Sets what happens with another aspect ratio.
    #[must_use]
    pub const fn with_aspect_ratio(mut self, aspect_ratio: AspectRatio) -> Self {
        self.aspect_ratio = aspect_ratio;
        self
    }

    /// Sets how the pixels are made.
    #[must_use]
    pub const fn with_filter(mut self, filter: ResizeFilter) -> Self {
        self.filter = filter;
        self
    }

    /// The part of the image, or the frame around it, with the aspect ratio of
    /// the result.
    fn frame(&self, image: Size) -> Size {
        let Size { height, width } = image;
        let tall = (width * self.size.height / self.size.width).max(1);
        let wide = (height * self.size.width / self.size.height).max(1);
        match self.aspect_ratio {
            AspectRatio::Stretch => image,
            AspectRatio::Crop => Size::new(tall.min(height), wide.min(width)),
            AspectRatio::Pad => Size::new(tall.max(height), wide.max(width)),
        }
    }
}

impl Transform for Resizing {
    plain_transform!("resizing");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        check_size(self.name(), "size", self.size)
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        check_size(self.name(), "the image", meta.size)?;
        let frame = self.frame(meta.size);
        check_size(self.name(), "the frame", frame)?;
        let mut plan = if frame.height > meta.size.height || frame.width > meta.size.width {
            let (down, across) = (
                frame.height - meta.size.height,
                frame.width - meta.size.width,
            );
            Pad::new(across / 2, down / 2, across.div_ceil(2), down.div_ceil(2))
                .with_border(self.border.clone())
                .plan(meta, key)?
        } else if frame == meta.size {
            Plan::identity()
        } else {
            CenterCrop::new(frame).plan(meta, key)?
        };
        let framed = SampleMeta {
            size: frame,
            ..*meta
        };
        plan.extend(
            Resize::new(ResizeTo::Exactly(self.size))
                .with_filter(self.filter)
                .with_antialias(self.antialias)
                .plan(&framed, key)?,
        );
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, plan};

    #[test]
    fn the_middle_stays_in_the_middle() {
        for aspect_ratio in [AspectRatio::Stretch, AspectRatio::Crop, AspectRatio::Pad] {
            let plan = plan(
                &Resizing::new(Size::new(12, 12)).with_aspect_ratio(aspect_ratio),
                0,
            );
            assert_eq!(plan.output(SIZE), Size::new(12, 12));
            let (x, y) = SIZE.centre();
            let (x, y) = plan.map_point(x, y).unwrap();
            assert!((x - 5.5).abs() <= 1.0 && (y - 5.5).abs() <= 1.0, "{x} {y}");
        }
        assert!(Resizing::new(Size::new(0, 3)).validate().is_err());
    }
}
