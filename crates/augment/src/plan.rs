//! Plans: what will be done to one sample, and doing it.

use crate::change::Change;
use crate::kernel::{Pixels, Tone};
use crate::opaque::Opaque;
use crate::ops::{
    AutoContrast, Blend, BoxBlur, Brightness, Call, Clahe, ColorMatrix, Compress, Contrast,
    Denormalize, Displace, Equalize, Erase, Gamma, GaussianBlur, Grayscale, HsvShift, Hue, Invert,
    Linear, LinearTransformation, MeanBlur, MedianBlur, Noise, Normalize, PermuteChannels,
    Posterize, Rescale, ResizeRegion, SanitizeBoxes, SanitizePoints, Saturation, SelectBoxes,
    Sharpness, Solarize, SolarizeAdd, ToF32, ToRgb, ToU8,
};
use crate::passes::{apply, begin};
use crate::planner::{self, Fusion};
use crate::{AugmentError, Border, Sample, SampleMeta, Size, Transforms, Warp};
use firecraft_spec::{Registry, SpecError};
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

    /// The channels of the result for an image of that many; `None` if nobody
    /// knows. Images that the step refuses may be left as they are here.
    fn channels(&self, input: usize) -> Option<usize> {
        Some(input)
    }

    /// The new byte for each byte, if the step changes every value of an
    /// image of bytes by itself. Such steps join into one table.
    fn byte_map(&self) -> Option<[u8; 256]> {
        None
    }

    /// The change of colours as one matrix, if it is linear but for clipping
    /// and rounding. Such steps join into one matrix.
    fn color_matrix(&self, channels: usize) -> Option<ColorMatrix> {
        let _ = channels;
        None
    }

    /// What the step does to an image of numbers with so many channels, if any
    /// device can do it; `None` also if the image doesn't suit.
    #[doc(hidden)]
    fn on_numbers(&self, channels: usize) -> Option<Change> {
        let _ = channels;
        None
    }

    /// The step as a change of every colour of three bytes by itself, if it is
    /// one. Neighbouring ones run in one pass.
    #[doc(hidden)]
    fn tone(&self) -> Option<&dyn Tone> {
        None
    }

    /// Whether the step moves pixels, and with them masks, boxes and points.
    fn moves(&self) -> bool {
        false
    }

    /// The step that moves everything back to an image of size `input`, for
    /// those that move; `None` if there is none.
    fn undo(&self, _input: Size) -> Option<Step> {
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

    fn moves(&self) -> bool {
        true
    }

    fn undo(&self, input: Size) -> Option<Step> {
        Some(Step::Warp(Self {
            matrix: self.matrix.inverse()?,
            size: input,
            // What was cut off is not known any more.
            border: if self.border.is_constant() {
                self.border.clone()
            } else {
                Border::Constant(Vec::new())
            },
            ..self.clone()
        }))
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

            pub(crate) fn as_apply(&self) -> &dyn Apply {
                match self {
                    $(Self::$kind(step) => step,)*
                }
            }

            /// The name of its kind.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => stringify!($kind),)*
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
    /// Equalise neighbourhoods.
    Clahe,
    /// A matrix on the colours.
    ColorMatrix,
    /// Add to hue, saturation and value.
    HsvShift,
    /// The mean of neighbourhoods.
    MeanBlur,
    /// The median of neighbourhoods.
    MedianBlur,
    /// Call a function.
    Call,
    /// Mix several plans.
    Blend,
    /// Compress and decompress.
    Compress,
    /// Undo a normalisation.
    Denormalize,
    /// Multiply all values of an image by a matrix.
    LinearTransformation,
    /// Random values.
    Noise,
    /// Multiply and add.
    Rescale,
    /// Put boxes in order.
    SanitizeBoxes,
    /// Put key points in order.
    SanitizePoints,
    /// Drop boxes outside a region.
    SelectBoxes,
    /// Bytes become numbers.
    ToF32,
    /// Grey becomes colours.
    ToRgb,
    /// Numbers become bytes.
    ToU8,
    /// What only a plugin knows.
    Opaque,
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

    /// What later transforms may know of the result for such an image: its size
    /// and its channels. A function of which nobody knows the channels that it
    /// leaves is taken to keep them.
    ///
    /// ```
    /// use firecraft_augment::{Matrix, Plan, SampleMeta, Size, ToRgb, Warp};
    /// let grey = SampleMeta { size: Size::new(4, 6), channels: 1 };
    /// let mut plan = Plan::from(Warp::exact(Matrix::translation(1.0, 1.0), Size::new(3, 5)));
    /// plan.extend(ToRgb::default().into());
    /// let after = plan.output_meta(&grey);
    /// assert_eq!((after.size, after.channels), (Size::new(3, 5), 3));
    /// ```
    #[must_use]
    pub fn output_meta(&self, input: &SampleMeta) -> SampleMeta {
        self.steps.iter().fold(*input, |meta, step| {
            let step = step.as_apply();
            SampleMeta {
                size: step.output(meta.size),
                channels: step.channels(meta.channels).unwrap_or(meta.channels),
            }
        })
    }

    /// Does it: to the image and to every target. Neighbouring steps that
    /// change bytes one by one go through one table, with the same result.
    ///
    /// # Errors
    /// If a step doesn't suit the image or a target, or a mask doesn't have
    /// the size of the image. The sample is then in an unspecified state.
    pub fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        sample.validate()?;
        apply(&self.steps, sample)
    }

    /// [`Plan::apply`] to the bytes of `source`, which become the image of the
    /// sample: a first step that resamples reads them where they are, all else
    /// works on a copy. The targets of the sample belong to `source`.
    ///
    /// ```
    /// use firecraft_augment::kernel::{Layout, Pixels};
    /// use firecraft_augment::{Image, Matrix, Plan, Sample, Size, Warp};
    /// let size = Size::new(1, 3);
    /// let source = Pixels::new(&[1, 2, 3], size, 1, Layout::Hwc)?;
    /// let flip = Plan::from(Warp::exact(Matrix::horizontal_flip(size), size));
    /// let mut sample = Sample::new(Image::from_u8(Vec::new(), Size::new(0, 0), 1)?);
    /// flip.apply_to(&source, &mut sample)?;
    /// assert_eq!(sample.image.as_u8(), Some(&[3, 2, 1][..]));
    /// # Ok::<(), firecraft_augment::AugmentError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Plan::apply`], or if the bytes are plane by plane.
    pub fn apply_to(
        &self,
        source: &Pixels<'_, u8>,
        sample: &mut Sample,
    ) -> Result<(), AugmentError> {
        sample.validate_for(source.size())?;
        apply(begin(&self.steps, source, sample)?, sample)
    }

    /// Where the point `(x, y)` of an image goes, in pixels from the centre of
    /// the top left pixel; `None` if a step has no inverse there.
    #[must_use]
    pub fn map_point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        self.steps
            .iter()
            .try_fold((x, y), |(x, y), step| step.as_apply().map_point(x, y))
    }

    /// Whether a step moves pixels, and with them masks, boxes and points.
    #[must_use]
    pub fn moves(&self) -> bool {
        self.steps.iter().any(|step| step.as_apply().moves())
    }

    /// The plan that moves everything back to where it was in an image of size
    /// `input`: for predictions made on an augmented image. Changes of colour
    /// are not undone; what was cut off shows the border, or zeros.
    ///
    /// ```
    /// use firecraft_augment::{Boxes, Image, Matrix, Plan, Sample, Size, Warp};
    /// let size = Size::new(4, 6);
    /// let turn = Plan::from(Warp {
    ///     matrix: Matrix::rotation(0.07).about(size.centre()),
    ///     ..Warp::identity(size)
    /// });
    /// let (x, y) = turn.map_point(2.0, 3.0).unwrap();
    /// let (x, y) = turn.inverse(size)?.map_point(x, y).unwrap();
    /// assert!((x - 2.0).abs() < 1e-9 && (y - 3.0).abs() < 1e-9);
    /// # Ok::<(), firecraft_augment::AugmentError>(())
    /// ```
    ///
    /// # Errors
    /// If a step that moves pixels has no inverse, such as an elastic one.
    pub fn inverse(&self, input: Size) -> Result<Self, AugmentError> {
        let mut size = input;
        let mut steps = Vec::new();
        for step in &self.steps {
            let apply = step.as_apply();
            if apply.moves() {
                let undo = apply.undo(size).ok_or_else(|| AugmentError::Image {
                    operation: "inverse",
                    got: format!("{step:?}").chars().take(80).collect(),
                    expected: "steps that can be undone".into(),
                })?;
                steps.push(undo);
            }
            size = apply.output(size);
        }
        steps.reverse();
        Ok(Self { steps })
    }

    /// Finds the transforms of steps that a plugin does, in a plan that was read
    /// from a file; see [`Opaque`].
    ///
    /// # Errors
    /// If the registry doesn't know such a transform: its plugin isn't loaded.
    pub fn bind(&mut self, transforms: &Registry<Transforms>) -> Result<(), SpecError> {
        for step in &mut self.steps {
            match step {
                Step::Opaque(opaque) => opaque.bind(transforms)?,
                Step::Blend(blend) => {
                    for (_, branch) in &mut blend.branches {
                        branch.bind(transforms)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The same plan with neighbouring warps joined into one resampling each,
    /// and warps without effect dropped; see [`Warp::then`].
    #[must_use]
    pub fn fused(self, input: Size) -> Self {
        planner::fuse(self.steps, input, None).plan
    }

    /// The same plan with neighbouring steps joined wherever one can stand for
    /// them: what [`Plan::fused`] joins, flips and crops with resizing, and
    /// linear changes of colours into one [`ColorMatrix`], which a contrast
    /// beside a change of hue becomes as well.
    ///
    /// Joined colours are clipped and rounded once, at the end: where nothing
    /// is clipped in between, bytes differ from those of the single steps by
    /// at most two levels per step, since those round each time; where
    /// something is clipped, more of the image survives.
    #[must_use]
    pub fn fused_for(self, meta: &SampleMeta) -> Self {
        planner::fuse(self.steps, meta.size, Some(meta.channels)).plan
    }

    /// What [`Plan::fused_for`] joins, and why it joins no more.
    ///
    /// ```
    /// use firecraft_augment::{ColorJitter, Compose, HorizontalFlip, RandomResizedCrop};
    /// use firecraft_augment::{SampleMeta, Size, Transform};
    /// use firecraft_key::Key;
    /// let meta = SampleMeta { size: Size::new(256, 256), channels: 3 };
    /// let chain = Compose::new()
    ///     .with(RandomResizedCrop::new(Size::new(224, 224)))
    ///     .with(HorizontalFlip::new(1.0))
    ///     .with(ColorJitter::new(0.4, 0.4, 0.4, 0.0));
    /// let fusion = chain.exact().plan(&meta, Key::from_seed(2))?.fusion(&meta);
    /// assert_eq!(fusion.to_string(), "\
    /// ResizeRegion + Warp -> one ResizeRegion
    /// Contrast + Brightness + Saturation -> one ColorMatrix
    /// ");
    /// # Ok::<(), firecraft_augment::AugmentError>(())
    /// ```
    #[must_use]
    pub fn fusion(&self, meta: &SampleMeta) -> Fusion {
        planner::fuse(self.steps.clone(), meta.size, Some(meta.channels))
    }
}
