//! One training example on the host: an image and everything that has to move
//! with it.

mod boxes;
mod image;
mod points;

pub use boxes::{BoxFormat, BoxPolicy, BoxRules, Boxes};
pub use image::{Image, Values};
pub use points::Points;

pub(crate) use image::each_type;

use crate::{AugmentError, Border, Interpolation, SampleMeta, Warp};

/// An image with the targets that are declared for it.
///
/// Whatever is here is moved by every geometric step. A step that can't move
/// a target that is here is an error, never a silent no-op.
///
/// ```
/// use firecraft_augment::{Boxes, Image, Matrix, Plan, Sample, Size, Warp};
/// let size = Size::new(2, 4);
/// let mut sample = Sample::new(Image::from_u8((0..8).collect(), size, 1)?);
/// sample.boxes = Some(Boxes::new(vec![[0.0, 0.0, 1.0, 2.0]]));
/// Plan::from(Warp::exact(Matrix::horizontal_flip(size), size)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[3, 2, 1, 0, 7, 6, 5, 4][..]));
/// assert_eq!(sample.boxes.map(|boxes| boxes.rows), Some(vec![[3.0, 0.0, 4.0, 2.0]]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The image.
    pub image: Image,
    /// Label maps of the size of the image: moved with nearest neighbours,
    /// never interpolated.
    pub masks: Vec<Image>,
    /// The label that masks show outside the image; 0, or one that the loss
    /// ignores.
    pub mask_fill: u8,
    /// Boxes around objects.
    pub boxes: Option<Boxes>,
    /// Key points.
    pub points: Option<Points>,
    /// One number per class: one-hot, or soft as mixing makes it. Geometry and
    /// colours leave it alone.
    pub labels: Option<Vec<f32>>,
}

impl Sample {
    /// A sample without targets.
    #[must_use]
    pub const fn new(image: Image) -> Self {
        Self {
            image,
            masks: Vec::new(),
            mask_fill: 0,
            boxes: None,
            points: None,
            labels: None,
        }
    }

    /// What transforms may know when they plan.
    #[must_use]
    pub const fn meta(&self) -> SampleMeta {
        SampleMeta {
            size: self.image.size(),
            channels: self.image.channels(),
        }
    }

    /// Checks that masks have the size of the image.
    ///
    /// # Errors
    /// [`AugmentError::BatchSize`] for the first that hasn't.
    pub fn validate(&self) -> Result<(), AugmentError> {
        self.validate_for(self.image.size())
    }

    /// Checks that masks have that size.
    pub(crate) fn validate_for(&self, size: crate::Size) -> Result<(), AugmentError> {
        match self.masks.iter().find(|mask| mask.size() != size) {
            Some(mask) => Err(AugmentError::BatchSize {
                operation: "sample: mask",
                got: mask.size(),
                expected: size,
            }),
            None => Ok(()),
        }
    }

    pub(crate) fn warp(&mut self, warp: &Warp) -> Result<(), AugmentError> {
        self.image.warp(warp)?;
        self.warp_targets(warp)
    }

    /// Moves everything but the image.
    pub(crate) fn warp_targets(&mut self, warp: &Warp) -> Result<(), AugmentError> {
        if !self.masks.is_empty() {
            let labels = Warp {
                interpolation: Interpolation::Nearest,
                border: match &warp.border {
                    constant if constant.is_constant() => {
                        Border::Constant(vec![f32::from(self.mask_fill)])
                    }
                    other => other.clone(),
                },
                ..warp.clone()
            };
            self.masks.iter_mut().try_for_each(|m| m.warp(&labels))?;
        }
        if self.boxes.is_none() && self.points.is_none() {
            return Ok(());
        }
        let forward = warp.matrix.inverse().ok_or_else(|| AugmentError::Image {
            operation: "warp",
            got: "boxes or key points, and a matrix without an inverse".into(),
            expected: "an invertible matrix to move them".into(),
        })?;
        // A point behind the camera of a perspective has no place: it goes
        // where no image is.
        const NOWHERE: (f64, f64) = (-1e9, -1e9);
        self.move_targets(warp.size, |x, y| forward.map(x, y).unwrap_or(NOWHERE))
    }

    /// Moves boxes and points by a map of pixel-centre coordinates into an
    /// image of another size.
    pub(crate) fn move_targets(
        &mut self,
        size: crate::Size,
        map: impl Fn(f64, f64) -> (f64, f64),
    ) -> Result<(), AugmentError> {
        if let Some(points) = &mut self.points {
            points.map(size, &map);
        }
        match &mut self.boxes {
            Some(boxes) => boxes.map(size, &map),
            None => Ok(()),
        }
    }
}
