//! Reading every pixel beside itself.

use super::Scratch;
use super::fixed::fixed;
use super::pixels::{Element, Pixels, PixelsMut};
use super::warp::{Job, check_target};
use crate::{AugmentError, Border, Interpolation, Warp};

/// Writes into `target` what `source` shows at each pixel plus its
/// displacement `[dx, dy]` in pixels, row by row.
///
/// # Errors
/// If there isn't one displacement per pixel of `target`, or `target` doesn't
/// have the channels and the layout of `source`.
pub fn displace<T: Element>(
    source: Pixels<'_, T>,
    target: PixelsMut<'_, T>,
    field: &[[f32; 2]],
    interpolation: Interpolation,
    border: &Border,
) -> Result<(), AugmentError> {
    let scratch = &mut Scratch::new();
    displace_with(source, target, field, (interpolation, border), scratch)
}

/// [`displace`] with buffers from before.
pub(crate) fn displace_with<T: Element>(
    source: Pixels<'_, T>,
    mut target: PixelsMut<'_, T>,
    field: &[[f32; 2]],
    (interpolation, border): (Interpolation, &Border),
    scratch: &mut Scratch,
) -> Result<(), AugmentError> {
    let size = target.size();
    if field.len() != size.area() {
        return Err(AugmentError::Length {
            operation: "displace: field",
            got: field.len(),
            expected: size.area(),
        });
    }
    let style = Warp {
        interpolation,
        border: border.clone(),
        ..Warp::identity(size)
    };
    check_target(&source, &target)?;
    let empty = source.size().area() == 0;
    let job = Job::new(source, &style);
    let target = target.data();
    if empty {
        job.fill(target);
        return Ok(());
    }
    let positions = &mut scratch.row;
    for (y, row) in field.chunks_exact(size.width.max(1)).enumerate() {
        positions.points.clear();
        positions
            .points
            .extend(row.iter().enumerate().map(|(x, [dx, dy])| {
                [x as f64 + f64::from(*dx), y as f64 + f64::from(*dy)].map(fixed)
            }));
        job.scattered(target, y * size.width, positions);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Layout, warp};
    use super::*;
    use crate::{Matrix, Size};

    #[test]
    fn one_displacement_for_all_is_a_translation() {
        let size = Size::new(5, 7);
        let data: Vec<u8> = (0..35).map(|i| (i * 37 % 251) as u8).collect();
        for border in [Border::Reflect, Border::Constant(vec![9.0]), Border::Wrap] {
            let shift = Warp {
                matrix: Matrix::translation(1.25, -0.5),
                size,
                interpolation: Interpolation::Bilinear,
                border,
            };
            let pixels = || Pixels::new(&data, size, 1, Layout::Hwc).unwrap();
            let (mut one, mut other) = (vec![0_u8; 35], vec![0_u8; 35]);
            let target = PixelsMut::new(&mut one, size, 1, Layout::Hwc).unwrap();
            warp(pixels(), target, &shift).unwrap();
            let target = PixelsMut::new(&mut other, size, 1, Layout::Hwc).unwrap();
            let field = vec![[1.25, -0.5]; 35];
            displace(pixels(), target, &field, shift.interpolation, &shift.border).unwrap();
            assert_eq!(one, other);
        }
    }
}
