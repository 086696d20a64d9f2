//! Changing the size: `resize`, and the step behind everything that does.

use super::{check_size, plain_transform};
use crate::kernel::{self, Element, Layout, Pixels, PixelsMut, Scratch};
use crate::plan::Apply;
use crate::sample::each_type;
use crate::{
    AugmentError, Border, Image, Interpolation, Matrix, Plan, Region, ResizeFilter, Sample,
    SampleMeta, Size, Step, Transform, Values, Warp,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// The step that cuts out a rectangle and changes its size, in one pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizeRegion {
    /// The rectangle of the input.
    pub region: Region,
    /// Size of the output.
    pub size: Size,
    /// How the pixels are made; masks take the nearest.
    pub filter: ResizeFilter,
    /// Whether the filter widens where the image shrinks.
    pub antialias: bool,
    /// Whether left and right, and top and bottom, change places.
    #[serde(default)]
    pub flipped: (bool, bool),
}

impl ResizeRegion {
    fn scale(&self) -> (f64, f64) {
        (
            self.size.width as f64 / self.region.size.width as f64,
            self.size.height as f64 / self.region.size.height as f64,
        )
    }

    /// Makes `image` the resized region of `source`.
    pub(crate) fn read(
        &self,
        source: &Pixels<'_, u8>,
        image: &mut Image,
    ) -> Result<(), AugmentError> {
        let channels = source.channels();
        let (_, scratch) = image.parts_mut();
        let mut out = scratch.take(self.size.area() * channels);
        kernel::resize_with(
            *source,
            self.region,
            PixelsMut::new(&mut out, self.size, channels, source.layout())?,
            self.style(self.filter),
            scratch,
        )?;
        image.replace(Values::U8(out), self.size, channels);
        Ok(())
    }

    const fn style(&self, filter: ResizeFilter) -> kernel::ResizeStyle {
        kernel::ResizeStyle {
            filter,
            antialias: self.antialias,
            flipped: self.flipped,
        }
    }

    fn image(&self, image: &mut Image, filter: ResizeFilter) -> Result<(), AugmentError> {
        fn run<T: Element>(
            data: &[T],
            from: Size,
            channels: usize,
            (step, filter): (&ResizeRegion, ResizeFilter),
            scratch: &mut Scratch,
        ) -> Result<Vec<T>, AugmentError> {
            let mut out = scratch.take(step.size.area() * channels);
            kernel::resize_with(
                Pixels::new(data, from, channels, Layout::Hwc)?,
                step.region,
                PixelsMut::new(&mut out, step.size, channels, Layout::Hwc)?,
                step.style(filter),
                scratch,
            )?;
            Ok(out)
        }
        let (from, channels) = (image.size(), image.channels());
        let (values, scratch) = image.parts_mut();
        let values = each_type!(values, data => {
            run(data, from, channels, (self, filter), scratch)?.into()
        });
        image.replace(values, self.size, channels);
        Ok(())
    }
}

impl Apply for ResizeRegion {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.image(&mut sample.image, self.filter)?;
        self.targets(sample)
    }

    fn output(&self, _input: Size) -> Size {
        self.size
    }

    fn moves(&self) -> bool {
        true
    }

    /// As a warp, which leaves what was cut off black.
    fn undo(&self, input: Size) -> Option<Step> {
        let (across, down) = self.scale();
        let (left, top) = (self.region.left as f64, self.region.top as f64);
        let from = |scale: f64, start: f64| (0.5 - start) * scale - 0.5;
        let mut matrix = Matrix::affine([
            [across, 0.0, from(across, left)],
            [0.0, down, from(down, top)],
        ]);
        if self.flipped.0 {
            matrix = Matrix::horizontal_flip(self.size).compose(matrix);
        }
        if self.flipped.1 {
            matrix = Matrix::vertical_flip(self.size).compose(matrix);
        }
        Some(Step::Warp(Warp {
            matrix,
            size: input,
            interpolation: match self.filter {
                ResizeFilter::Nearest | ResizeFilter::NearestExact => Interpolation::Nearest,
                _ => Interpolation::Bilinear,
            },
            border: Border::Constant(Vec::new()),
        }))
    }

    fn map_point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        Some(self.map(x, y))
    }
}

impl ResizeRegion {
    /// Resizes masks and moves boxes and points.
    pub(crate) fn targets(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        for mask in &mut sample.masks {
            let filter = match self.filter {
                ResizeFilter::NearestExact => ResizeFilter::NearestExact,
                _ => ResizeFilter::Nearest,
            };
            self.image(mask, filter)?;
        }
        sample.move_targets(self.size, |x, y| self.map(x, y))
    }

    fn map(&self, x: f64, y: f64) -> (f64, f64) {
        let (across, down) = self.scale();
        let x = (x + 0.5 - self.region.left as f64) * across - 0.5;
        let y = (y + 0.5 - self.region.top as f64) * down - 0.5;
        let mirrored = |v: f64, n: usize, is: bool| if is { n as f64 - 1.0 - v } else { v };
        (
            mirrored(x, self.size.width, self.flipped.0),
            mirrored(y, self.size.height, self.flipped.1),
        )
    }
}

/// The size that [`Resize`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeTo {
    /// This size, whatever becomes of the aspect ratio.
    Exactly(Size),
    /// The shorter side gets this many pixels; the aspect ratio stays.
    Shorter(usize),
    /// The longer side gets this many pixels; the aspect ratio stays.
    Longer(usize),
    /// The shorter side gets `side` pixels, unless the longer one then had
    /// more than `max`: torchvision's `max_size`.
    ShorterUpTo {
        /// Pixels of the shorter side.
        side: usize,
        /// The most that the longer side may have.
        max: usize,
    },
    /// As large as fits into this size; the aspect ratio stays. timm's
    /// `ResizeKeepRatio` with `longest = 1`.
    Within(Size),
    /// As small as covers this size; the aspect ratio stays. timm's
    /// `ResizeKeepRatio` with `longest = 0`.
    Covering(Size),
    /// As large as `max` patches cover, in whole patches; the aspect ratio stays
    /// but for that. timm's `ResizeToSequence`; see [`Patches`](crate::Patches).
    Sequence {
        /// Height and width of a patch.
        patch: Size,
        /// The most patches that there may be.
        max: usize,
    },
}

impl ResizeTo {
    /// The size for an image of size `input`.
    ///
    /// ```
    /// use firecraft_augment::{ResizeTo, Size};
    /// let input = Size::new(13, 17);
    /// assert_eq!(ResizeTo::Shorter(8).of(input), Size::new(8, 10));
    /// assert_eq!(ResizeTo::Longer(34).of(input), Size::new(26, 34));
    /// assert_eq!(ResizeTo::ShorterUpTo { side: 26, max: 30 }.of(input), Size::new(22, 30));
    /// assert_eq!(ResizeTo::Within(Size::new(26, 26)).of(input), Size::new(20, 26));
    /// assert_eq!(ResizeTo::Covering(Size::new(26, 26)).of(input), Size::new(26, 34));
    /// let patch = Size::new(16, 16);
    /// assert_eq!(ResizeTo::Sequence { patch, max: 36 }.of(input), Size::new(80, 112));
    /// ```
    #[must_use]
    pub fn of(self, input: Size) -> Size {
        let Size { height, width } = input;
        let along = |side: usize, of: usize, to: usize| (to * side / of.max(1)).max(1);
        match self {
            Self::Exactly(size) => size,
            Self::Shorter(n) if height <= width => Size::new(n, along(width, height, n)),
            Self::Longer(n) if height > width => Size::new(n, along(width, height, n)),
            Self::Shorter(n) | Self::Longer(n) => Size::new(along(height, width, n), n),
            Self::ShorterUpTo { side, max } => {
                let size = Self::Shorter(side).of(input);
                if size.height.max(size.width) <= max {
                    return size;
                }
                // torchvision's integers.
                let short =
                    (max * size.height.min(size.width) / size.height.max(size.width)).max(1);
                if height <= width {
                    Size::new(short, max)
                } else {
                    Size::new(max, short)
                }
            }
            Self::Within(to) | Self::Covering(to) => {
                let ratio = |to: usize, of: usize| to as f64 / of.max(1) as f64;
                let (down, across) = (ratio(to.height, height), ratio(to.width, width));
                let scale = match self {
                    Self::Within(_) => down.min(across),
                    _ => down.max(across),
                };
                let side = |n: usize| ((n as f64 * scale).round_ties_even() as usize).max(1);
                Size::new(side(height), side(width))
            }
            Self::Sequence { patch, max } => {
                let count = |side: usize, patch: usize, scale: f64| {
                    ((side as f64 * scale / patch.max(1) as f64).ceil() as usize).max(1)
                };
                let counts = |scale| {
                    (
                        count(height, patch.height, scale),
                        count(width, patch.width, scale),
                    )
                };
                // The number of patches grows with the scale: halve the interval.
                let (mut low, mut high) = (0.0, 100.0);
                for _ in 0..60 {
                    let middle = (low + high) / 2.0;
                    let (down, across) = counts(middle);
                    if down.saturating_mul(across) <= max {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                let (down, across) = counts(low);
                Size::new(down * patch.height, across * patch.width)
            }
        }
    }
}

/// Changes the size: torchvision's, Keras' and albumentations' `Resize`.
///
/// ```
/// use firecraft_augment::{Image, Resize, ResizeTo, Sample, Size, Transform};
/// use firecraft_key::Key;
/// let mut sample = Sample::new(Image::from_u8(vec![0, 100, 200, 100], Size::new(1, 4), 1)?);
/// let half = Resize::new(ResizeTo::Exactly(Size::new(1, 2)));
/// half.plan(&sample.meta(), Key::from_seed(0))?.apply(&mut sample)?;
/// // A triangle over four pixels, cut at the edge: weights 3, 3, 1 of 7.
/// assert_eq!(sample.image.as_u8(), Some(&[71, 143][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// The size of the result.
    pub to: ResizeTo,
    /// How the pixels are made.
    #[serde(default)]
    pub filter: ResizeFilter,
    /// Whether the filter widens where the image shrinks; see
    /// [`kernel::resize`]. On by default, as in torchvision.
    #[serde(default = "super::yes")]
    pub antialias: bool,
}

impl Resize {
    /// Smoothed bilinear resizing.
    #[must_use]
    pub const fn new(to: ResizeTo) -> Self {
        Self {
            to,
            filter: ResizeFilter::Bilinear,
            antialias: true,
        }
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
}

impl Transform for Resize {
    plain_transform!("resize");

    fn validate(&self) -> Result<(), AugmentError> {
        let size = match self.to {
            ResizeTo::Exactly(size) | ResizeTo::Within(size) | ResizeTo::Covering(size) => size,
            ResizeTo::ShorterUpTo { side, max } => {
                check_size(self.name(), "to", Size::new(1, max))?;
                Size::new(side, 1)
            }
            ResizeTo::Shorter(n) | ResizeTo::Longer(n) => Size::new(n, 1),
            ResizeTo::Sequence { patch, max } => {
                check_size(self.name(), "to", Size::new(max, 1))?;
                patch
            }
        };
        check_size(self.name(), "to", size)
    }

    fn plan(&self, meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        let size = self.to.of(meta.size);
        check_size(self.name(), "to", size)?;
        check_size(self.name(), "the image", meta.size)?;
        if size == meta.size {
            return Ok(Plan::identity());
        }
        Ok(Plan::from(ResizeRegion {
            region: Region::all(meta.size),
            size,
            filter: self.filter,
            antialias: self.antialias,
            flipped: (false, false),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{SIZE, meta, plan};
    use crate::{Boxes, Points};

    #[test]
    fn targets_keep_their_place_in_the_picture() {
        let mut sample = Sample::new(Image::from_u8(vec![0; 54], SIZE, 1).unwrap());
        sample.boxes = Some(Boxes::new(vec![[3.0, 0.0, 9.0, 6.0]]));
        sample.points = Some(Points::new(vec![[4.0, 2.5]]));
        let double = Resize::new(ResizeTo::Exactly(Size::new(12, 18)));
        plan(&double, 0).apply(&mut sample).unwrap();
        assert_eq!(sample.boxes.unwrap().rows, [[6.0, 0.0, 18.0, 12.0]]);
        // The centre of the image stays its centre.
        assert_eq!(sample.points.unwrap().rows, [[8.5, 5.5]]);
    }

    #[test]
    fn the_same_size_is_no_step() {
        assert_eq!(
            plan(&Resize::new(ResizeTo::Exactly(SIZE)), 0),
            Plan::identity()
        );
    }

    #[test]
    fn empty_images_and_sizes_are_refused() {
        let key = Key::from_seed(0);
        let to = Resize::new(ResizeTo::Shorter(4));
        assert!(to.plan(&meta(Size::new(0, 3)), key).is_err());
        assert!(Resize::new(ResizeTo::Longer(0)).validate().is_err());
        // 20000 x 1 by the shorter side would need 2^31 pixels and more.
        let error = Resize::new(ResizeTo::Shorter(400)).plan(&meta(Size::new(20_000, 1)), key);
        assert!(error.unwrap_err().to_string().contains("8000000x400"));
    }
}
