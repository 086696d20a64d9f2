//! Plans: what will be done to one sample, and doing it.

use crate::ops::{
    AutoContrast, BoxBlur, Brightness, Contrast, Displace, Equalize, Erase, Gamma, GaussianBlur,
    Grayscale, Hue, Invert, Linear, Normalize, PermuteChannels, Posterize, ResizeRegion,
    Saturation, Sharpness, Solarize, SolarizeAdd,
};
use crate::{AugmentError, Sample, Size, Warp, geometry};
use serde::{Deserialize, Serialize};

/// What a step of a plan can do.
pub trait Apply {
    /// Changes the sample.
    ///
    /// # Errors
    /// If the image or a target doesn't suit the step.
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError>;

    /// The size of the result for an image of size `input`.
    fn output(&self, input: Size) -> Size {
        input
    }

    /// The new byte for each byte, if the step changes every value of an
    /// image of bytes by itself. Such steps join into one table.
    fn byte_map(&self) -> Option<[u8; 256]> {
        None
    }

    /// Where a point goes, in pixels from the centre of the top left pixel;
    /// `None` if it can't be said.
    fn map_point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        Some((x, y))
    }
}

impl Apply for Warp {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        sample.warp(self)
    }

    fn output(&self, _input: Size) -> Size {
        self.size
    }

    fn map_point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        self.matrix.inverse()?.map(x, y)
    }
}

/// Defines [`Step`]: one line per kind.
macro_rules! steps {
    ($($(#[doc = $doc:literal])* $kind:ident,)*) => {
        /// One thing to do to a sample.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Step {
            $($(#[doc = $doc])* $kind($kind),)*
        }

        impl Step {
            /// The warp, if it is one.
            #[must_use]
            pub const fn as_warp(&self) -> Option<&Warp> {
                match self {
                    Self::Warp(warp) => Some(warp),
                    _ => None,
                }
            }

            fn as_apply(&self) -> &dyn Apply {
                match self {
                    $(Self::$kind(step) => step,)*
                }
            }
        }

        $(
            impl From<$kind> for Step {
                fn from(step: $kind) -> Self {
                    Self::$kind(step)
                }
            }

            impl From<$kind> for Plan {
                fn from(step: $kind) -> Self {
                    Self { steps: vec![step.into()] }
                }
            }
        )*
    };
}

steps! {
    /// Resample along a matrix.
    Warp,
    /// Cut out a rectangle and change its size.
    ResizeRegion,
    /// Stretch each channel to the whole range.
    AutoContrast,
    /// Multiply all values.
    Brightness,
    /// Scale the distance to the mean grey.
    Contrast,
    /// Make all levels equally frequent.
    Equalize,
    /// Paint over a rectangle.
    Erase,
    /// A power law.
    Gamma,
    /// Soften by a bell.
    GaussianBlur,
    /// Replace colours by their luma.
    Grayscale,
    /// Turn the hue.
    Hue,
    /// The negative.
    Invert,
    /// A straight line per channel.
    Linear,
    /// Subtract a mean, divide by a deviation.
    Normalize,
    /// Reorder the channels.
    PermuteChannels,
    /// Keep the highest bits.
    Posterize,
    /// Scale the saturation.
    Saturation,
    /// Sharpen or soften.
    Sharpness,
    /// Invert the highlights.
    Solarize,
    /// Brighten the shadows.
    SolarizeAdd,
    /// Average over boxes.
    BoxBlur,
    /// Read every pixel beside itself.
    Displace,
}

/// What will be done to one sample, with nothing left to chance.
///
/// A plan is data: print it, store it as JSON, apply it again.
///
/// ```
/// use firecraft_augment::{Plan, RandomRotationConfig, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(8, 8), channels: 1 };
/// let plan = RandomRotationConfig::new(0.1).plan(&meta, Key::from_seed(3))?;
/// let json = serde_json::to_string(&plan)?;
/// assert_eq!(serde_json::from_str::<Plan>(&json)?, plan);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The steps in order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The plan that does nothing.
    #[must_use]
    pub const fn identity() -> Self {
        Self { steps: Vec::new() }
    }

    /// Appends the steps of `next`.
    pub fn extend(&mut self, next: Self) {
        self.steps.extend(next.steps);
    }

    /// The size of the result for an image of size `input`.
    #[must_use]
    pub fn output(&self, input: Size) -> Size {
        self.steps
            .iter()
            .fold(input, |size, step| step.as_apply().output(size))
    }

    /// Does it: to the image and to every target. Neighbouring steps that
    /// change bytes one by one go through one table, with the same result.
    ///
    /// # Errors
    /// If a step doesn't suit the image or a target, or a mask doesn't have
    /// the size of the image. The sample is then in an unspecified state.
    pub fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        sample.validate()?;
        let mut steps = self.steps.iter().map(Step::as_apply).peekable();
        while let Some(step) = steps.next() {
            match (sample.image.bytes_mut(), step.byte_map()) {
                (Some(bytes), Some(mut map)) => {
                    while let Some(next) = steps.peek().and_then(|next| next.byte_map()) {
                        map = map.map(|byte| next[usize::from(byte)]);
                        steps.next();
                    }
                    for byte in bytes {
                        *byte = map[usize::from(*byte)];
                    }
                }
                _ => step.apply(sample)?,
            }
        }
        Ok(())
    }

    /// Where the point `(x, y)` of an image goes, in pixels from the centre of
    /// the top left pixel; `None` if a step has no inverse there.
    #[must_use]
    pub fn map_point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        self.steps
            .iter()
            .try_fold((x, y), |(x, y), step| step.as_apply().map_point(x, y))
    }

    /// The same plan with neighbouring warps joined into one resampling each,
    /// and warps without effect dropped; see [`fuse`](geometry::fuse).
    #[must_use]
    pub fn fused(self, input: Size) -> Self {
        let mut fused = Self::identity();
        let mut run = Vec::new();
        let mut size = input;
        for step in self.steps {
            match step {
                Step::Warp(warp) => run.push(warp),
                other => {
                    fused.close(&mut run, &mut size);
                    size = other.as_apply().output(size);
                    fused.steps.push(other);
                }
            }
        }
        fused.close(&mut run, &mut size);
        fused
    }

    /// Appends a run of warps that read an image of that size, fused.
    fn close(&mut self, run: &mut Vec<Warp>, size: &mut Size) {
        let after = run.last().map_or(*size, |last| last.size);
        let fused = geometry::fuse(std::mem::take(run), *size);
        self.steps.extend(fused.into_iter().map(Step::Warp));
        *size = after;
    }
}
