//! The geometric step of a plan, and fusing several into one.

use super::{Border, Interpolation, Matrix, Size};
use serde::{Deserialize, Serialize};

/// One resampling: an output of `size`, each pixel of which is read at the
/// point that `matrix` gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warp {
    /// Maps output points to input points.
    pub matrix: Matrix,
    /// Size of the output.
    pub size: Size,
    /// How values between pixels are made.
    pub interpolation: Interpolation,
    /// What lies outside the input.
    pub border: Border,
}

impl Warp {
    /// The warp that gives an image of that size back.
    #[must_use]
    pub fn identity(size: Size) -> Self {
        Self::exact(Matrix::IDENTITY, size)
    }

    /// A warp that only rearranges pixels, for which interpolation and border
    /// play no part.
    #[must_use]
    pub fn exact(matrix: Matrix, size: Size) -> Self {
        Self {
            matrix,
            size,
            interpolation: Interpolation::Nearest,
            border: Border::Constant(Vec::new()),
        }
    }

    /// Whether this warp gives an image of size `input` back unchanged.
    #[must_use]
    pub fn is_identity(&self, input: Size) -> bool {
        self.matrix == Matrix::IDENTITY && self.size == input
    }

    /// Whether this warp only rearranges pixels of an image of size `input`.
    #[must_use]
    pub fn is_exact(&self, input: Size) -> bool {
        self.matrix.is_exact(input, self.size)
    }

    /// This warp of an image of size `input`, then `next`, as one resampling;
    /// `None` if one resampling can't stand for the two.
    ///
    /// A warp that only rearranges pixels joins any other. Otherwise both have
    /// to interpolate in the same way (moving by whole pixels agrees with any
    /// way), and what `next` sees outside the image between them has to be the
    /// same without it: because `next` never looks there, because the image
    /// between has the size and the border of the first, or because both fill
    /// with one constant and the first warp shows all of its input.
    ///
    /// The result differs from the two in turn in one respect, for the better:
    /// content that the first warp pushes out of the image and the second
    /// pulls back in is not lost.
    #[must_use]
    pub fn then(&self, next: &Self, input: Size) -> Option<Self> {
        let interpolation = match (self.moves_pixels(), next.moves_pixels()) {
            (false, false) if self.interpolation != next.interpolation => return None,
            (false, _) => self.interpolation,
            (true, _) => next.interpolation,
        };
        let constant = self.border.is_constant();
        let border = if next.is_exact(self.size) {
            &self.border
        } else if self.is_exact(input) && self.size.area() == input.area() {
            &next.border
        } else if next.stays_inside(self.size)
            || self.border == next.border
                && (self.size == input || constant && self.shows_all(input))
        {
            &self.border
        } else {
            return None;
        };
        Some(Self {
            matrix: self.matrix.compose(next.matrix),
            size: next.size,
            interpolation,
            border: border.clone(),
        })
    }

    fn moves_pixels(&self) -> bool {
        self.matrix.as_pixel_map().is_some()
    }

    /// Whether all of an image of size `input` is in the output.
    fn shows_all(&self, input: Size) -> bool {
        let inverse = Self {
            matrix: match self.matrix.inverse() {
                Some(inverse) => inverse,
                None => return false,
            },
            size: input,
            ..self.clone()
        };
        inverse.stays_inside(self.size)
    }

    /// Whether no output pixel reads outside an image of size `input`.
    fn stays_inside(&self, input: Size) -> bool {
        if !self.matrix.is_affine() || self.size.area() == 0 {
            return false;
        }
        let (right, bottom) = (self.size.width as f64 - 1.0, self.size.height as f64 - 1.0);
        [(0.0, 0.0), (right, 0.0), (0.0, bottom), (right, bottom)]
            .into_iter()
            .all(|(x, y)| {
                self.matrix.map(x, y).is_some_and(|(x, y)| {
                    x >= 0.0
                        && y >= 0.0
                        && x <= input.width as f64 - 1.0
                        && y <= input.height as f64 - 1.0
                })
            })
    }
}

/// Joins neighbouring warps wherever [`Warp::then`] allows, and drops those
/// that change nothing.
///
/// ```
/// use firecraft_augment::{Matrix, Size, Warp, fuse};
/// let size = Size::new(8, 8);
/// let flip = Warp::exact(Matrix::horizontal_flip(size), size);
/// assert_eq!(fuse(vec![flip.clone(), flip.clone()], size), []);
/// assert_eq!(fuse(vec![flip.clone(), flip.clone(), flip.clone()], size), [flip]);
/// ```
#[must_use]
pub fn fuse(warps: Vec<Warp>, input: Size) -> Vec<Warp> {
    let mut fused: Vec<Warp> = Vec::with_capacity(warps.len());
    // Size of the image that the last warp of `fused` reads.
    let mut before = input;
    for warp in warps {
        let size = fused.last().map_or(input, |last| last.size);
        if warp.is_identity(size) {
            continue;
        }
        match fused.last_mut() {
            Some(last) => match last.then(&warp, before) {
                Some(joined) => *last = joined,
                None => {
                    before = size;
                    fused.push(warp);
                }
            },
            None => fused.push(warp),
        }
        if fused.last().is_some_and(|last| last.is_identity(before)) {
            fused.pop();
            before = input_of_last(&fused, input);
        }
    }
    fused
}

fn input_of_last(fused: &[Warp], input: Size) -> Size {
    match fused {
        [.., previous, _] => previous.size,
        _ => input,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(8, 6);

    fn turn(border: Border) -> Warp {
        Warp {
            matrix: Matrix::rotation(0.1).about(SIZE.centre()),
            size: SIZE,
            interpolation: Interpolation::Bilinear,
            border,
        }
    }

    #[test]
    fn a_flip_takes_the_style_of_its_neighbour() {
        let flip = Warp::exact(Matrix::horizontal_flip(SIZE), SIZE);
        for chain in [
            vec![flip.clone(), turn(Border::Wrap)],
            vec![turn(Border::Wrap), flip],
        ] {
            let fused = fuse(chain, SIZE);
            assert_eq!(fused.len(), 1);
            assert_eq!(fused[0].border, Border::Wrap);
            assert_eq!(fused[0].interpolation, Interpolation::Bilinear);
        }
    }

    #[test]
    fn different_borders_stay_apart() {
        let fused = fuse(vec![turn(Border::Wrap), turn(Border::Replicate)], SIZE);
        assert_eq!(fused.len(), 2);
    }

    #[test]
    fn a_crop_keeps_its_own_border_before_a_rotation() {
        // The rotation must show the border of the cropped image, not what
        // the crop cut away.
        let crop = Warp::exact(Matrix::translation(2.0, 1.0), Size::new(4, 4));
        assert!(crop.is_exact(SIZE));
        let mut turn = turn(Border::Wrap);
        turn.size = crop.size;
        assert_eq!(fuse(vec![crop, turn], SIZE).len(), 2);
    }

    #[test]
    fn padding_joins_a_rotation_that_fills_alike() {
        let pad = Warp {
            matrix: Matrix::translation(-2.0, -3.0),
            size: Size::new(14, 10),
            interpolation: Interpolation::Nearest,
            border: Border::Constant(vec![0.5]),
        };
        let mut turn = turn(Border::Constant(vec![0.5]));
        turn.size = pad.size;
        let fused = fuse(vec![pad.clone(), turn.clone()], SIZE);
        assert_eq!(fused.len(), 1);
        assert_eq!(fused[0].interpolation, Interpolation::Bilinear);
        turn.border = Border::Wrap;
        assert_eq!(fuse(vec![pad, turn], SIZE).len(), 2);
    }

    #[test]
    fn warps_that_undo_each_other_vanish() {
        let flip = Warp::exact(Matrix::vertical_flip(SIZE), SIZE);
        let other = turn(Border::Replicate);
        let fused = fuse(
            vec![turn(Border::Wrap), other.clone(), flip.clone(), flip],
            SIZE,
        );
        assert_eq!(fused.len(), 2);
        let (got, expected) = (fused[1].matrix.rows(), other.matrix.rows());
        for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
            assert!((got - expected).abs() < 1e-12);
        }
    }
}
