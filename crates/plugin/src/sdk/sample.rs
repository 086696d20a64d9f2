//! A sample with its targets, as slices.

use std::slice;

use super::{
    Error, Image, ImageMut,
    image::{elements, elements_mut},
};
use crate::abi::{DType, Sample, View};

/// Rows of `D` floats: boxes `x0, y0, x1, y1` or points `x, y`, in pixels.
pub type Rows<'a, const D: usize> = &'a [[f32; D]];

/// A sample to read.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// The image.
    pub image: Image<'a>,
    /// Label maps, bytes.
    pub masks: Vec<Image<'a>>,
    /// Boxes, where the sample has them.
    pub boxes: Option<Rows<'a, 4>>,
    /// Key points, where the sample has them.
    pub points: Option<Rows<'a, 2>>,
}

/// A sample to write, in the size that planning announced.
#[derive(Debug)]
pub struct Destination<'a> {
    /// The image.
    pub image: ImageMut<'a>,
    /// Label maps, as many as the source has.
    pub masks: Vec<ImageMut<'a>>,
    /// Boxes, where the source has them.
    pub boxes: Option<RowsMut<'a, 4>>,
    /// Key points, where the source has them.
    pub points: Option<RowsMut<'a, 2>>,
}

impl Destination<'_> {
    /// Copies masks, boxes and points: right for whatever moves nothing.
    ///
    /// # Errors
    /// If a mask has another size here.
    pub fn copy_targets(&mut self, source: &Source<'_>) -> Result<(), Error> {
        for (to, from) in self.masks.iter_mut().zip(&source.masks) {
            to.copy_from(from)?;
        }
        copy_rows(self.boxes.as_mut(), source.boxes)?;
        copy_rows(self.points.as_mut(), source.points)
    }
}

fn copy_rows<const D: usize>(
    to: Option<&mut RowsMut<'_, D>>,
    from: Option<Rows<'_, D>>,
) -> Result<(), Error> {
    if let (Some(to), Some(from)) = (to, from) {
        for (i, row) in from.iter().enumerate() {
            to.push(i, *row)?;
        }
    }
    Ok(())
}

/// Rows that survive, with where they came from.
#[derive(Debug)]
pub struct RowsMut<'a, const D: usize> {
    rows: &'a mut [[f32; D]],
    src: &'a mut [u32],
    count: usize,
}

impl<const D: usize> RowsMut<'_, D> {
    /// Adds a row that was row `src` of the source.
    ///
    /// # Errors
    /// If there are as many as the source had already.
    pub fn push(&mut self, src: usize, row: [f32; D]) -> Result<(), Error> {
        let rows = self.rows.len();
        let (Some(to), Some(from)) = (self.rows.get_mut(self.count), self.src.get_mut(self.count))
        else {
            return Err(Error::new(format!(
                "more than the {rows} rows of the source"
            )));
        };
        *to = row;
        *from = u32::try_from(src).map_err(|_| Error::new("a row index beyond 32 bits"))?;
        self.count += 1;
        Ok(())
    }

    /// How many rows survive so far.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none does so far.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Boxes and points of a sample whose image and masks stay where they are.
pub(crate) struct Rest<'a> {
    boxes: (Option<Rows<'a, 4>>, Option<RowsMut<'a, 4>>),
    points: (Option<Rows<'a, 2>>, Option<RowsMut<'a, 2>>),
}

impl Rest<'_> {
    /// # Safety
    /// Boxes and points of `source` are readable and those of `destination`
    /// writable, apart from each other, for the lifetime of the result.
    pub(crate) unsafe fn from_abi(source: &Sample, destination: &Sample) -> Result<Self, Error> {
        // SAFETY: the caller vouches for all of them.
        unsafe {
            Ok(Self {
                boxes: (
                    rows(&source.boxes)?,
                    rows_mut(&destination.boxes, destination.box_src)?,
                ),
                points: (
                    rows(&source.points)?,
                    rows_mut(&destination.points, destination.point_src)?,
                ),
            })
        }
    }

    pub(crate) fn copy(&mut self) -> Result<(), Error> {
        copy_rows(self.boxes.1.as_mut(), self.boxes.0)?;
        copy_rows(self.points.1.as_mut(), self.points.0)
    }

    /// Says how many rows survive.
    pub(crate) fn finish(&self, sample: &mut Sample) {
        sample.box_count = self.boxes.1.as_ref().map_or(0, RowsMut::len);
        sample.point_count = self.points.1.as_ref().map_or(0, RowsMut::len);
    }
}

impl Source<'_> {
    /// # Safety
    /// Every array of the sample is readable for the lifetime of the result.
    pub(crate) unsafe fn from_abi(sample: &Sample) -> Result<Self, Error> {
        let mut masks = Vec::with_capacity(sample.mask_count);
        for i in 0..sample.mask_count {
            // SAFETY: there are as many masks as the sample says.
            let view = unsafe { &*sample.masks.add(i) };
            // SAFETY: the caller vouches for its elements.
            masks.push(unsafe { Image::from_view(view) }?);
        }
        // SAFETY: the caller vouches for the elements of all of them.
        unsafe {
            Ok(Self {
                image: Image::from_view(&sample.image)?,
                masks,
                boxes: rows(&sample.boxes)?,
                points: rows(&sample.points)?,
            })
        }
    }
}

impl Destination<'_> {
    /// # Safety
    /// Every array of the sample is writable for the lifetime of the result,
    /// and used by nobody else.
    pub(crate) unsafe fn from_abi(sample: &Sample) -> Result<Self, Error> {
        let mut masks = Vec::with_capacity(sample.mask_count);
        for i in 0..sample.mask_count {
            // SAFETY: there are as many masks as the sample says.
            let view = unsafe { &*sample.masks.add(i) };
            // SAFETY: the caller vouches for its elements.
            masks.push(unsafe { ImageMut::from_view(view) }?);
        }
        // SAFETY: the caller vouches for the elements of all of them, and for
        // as many source indices as there are rows.
        unsafe {
            Ok(Self {
                image: ImageMut::from_view(&sample.image)?,
                masks,
                boxes: rows_mut(&sample.boxes, sample.box_src)?,
                points: rows_mut(&sample.points, sample.point_src)?,
            })
        }
    }

    /// Says how many rows survive.
    pub(crate) fn finish(&self, sample: &mut Sample) {
        sample.box_count = self.boxes.as_ref().map_or(0, RowsMut::len);
        sample.point_count = self.points.as_ref().map_or(0, RowsMut::len);
    }
}

fn row_count<const D: usize>(view: &View) -> Result<Option<usize>, Error> {
    if view.ndim == 0 {
        return Ok(None);
    }
    match view.lengths::<2>(DType::F32) {
        Some([n, d]) if d == D && view.data.cast::<f32>().is_aligned() => Ok(Some(n)),
        _ => Err(Error::new(format!("expected rows of {D} floats"))),
    }
}

/// # Safety
/// The view's elements are readable for `'a`.
unsafe fn rows<'a, const D: usize>(view: &View) -> Result<Option<Rows<'a, D>>, Error> {
    // SAFETY: `n` rows of `D` floats are `n` arrays; the caller vouches.
    Ok(row_count::<D>(view)?.map(|n| unsafe { elements(view, n) }))
}

/// # Safety
/// The view's elements, and as many indices as it has rows, are writable for
/// `'a` by nobody else.
unsafe fn rows_mut<'a, const D: usize>(
    view: &View,
    src: *mut u32,
) -> Result<Option<RowsMut<'a, D>>, Error> {
    Ok(row_count::<D>(view)?.map(|n| RowsMut {
        // SAFETY: as in `rows`.
        rows: unsafe { elements_mut(view, n) },
        src: if n == 0 {
            &mut []
        } else {
            // SAFETY: the caller vouches for as many indices as rows.
            unsafe { slice::from_raw_parts_mut(src, n) }
        },
        count: 0,
    }))
}
