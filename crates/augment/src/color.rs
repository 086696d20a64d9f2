//! Colour spaces, shared by the colour operations.

use crate::{AugmentError, Image};

/// Luma as torchvision computes it (ITU-R BT.601, rounded).
#[inline]
pub(crate) fn grey([r, g, b]: [f32; 3]) -> f32 {
    r * 0.2989 + g * 0.587 + b * 0.114
}

/// Luma of bytes as Pillow computes it, in 16-bit fixed point.
#[inline]
pub(crate) fn grey_pillow([r, g, b]: [u8; 3]) -> u8 {
    let sum = u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471;
    ((sum + 0x8000) >> 16) as u8
}

/// Hue in turns, saturation and value of a colour in `0..=1`.
#[inline]
pub(crate) fn rgb_to_hsv([r, g, b]: [f32; 3]) -> [f32; 3] {
    let value = r.max(g).max(b);
    let range = value - r.min(g).min(b);
    if range == 0.0 {
        return [0.0, 0.0, value];
    }
    let [rc, gc, bc] = [r, g, b].map(|c| (value - c) / range);
    let sextant = if value == r {
        bc - gc
    } else if value == g {
        2.0 + rc - bc
    } else {
        4.0 + gc - rc
    };
    let hue = sextant / 6.0;
    [
        if hue < 0.0 { hue + 1.0 } else { hue },
        range / value,
        value,
    ]
}

/// The colour of a hue in turns, a saturation and a value.
#[inline]
pub(crate) fn hsv_to_rgb([hue, saturation, value]: [f32; 3]) -> [f32; 3] {
    let h = hue * 6.0;
    let sextant = h as u8;
    let f = h - f32::from(sextant);
    let at = |part: f32| (value * (1.0 - saturation * part)).clamp(0.0, 1.0);
    let (p, q, t) = (at(1.0), at(f), at(1.0 - f));
    match sextant % 6 {
        0 => [value, t, p],
        1 => [q, value, p],
        2 => [p, value, t],
        3 => [p, q, value],
        4 => [t, p, value],
        _ => [value, p, q],
    }
}

/// Whether an operation on colours has something to do: not on one channel.
/// The fourth of four channels is taken for opacity and left alone.
pub(crate) fn is_colour(operation: &'static str, image: &Image) -> Result<bool, AugmentError> {
    match image.channels() {
        0 | 1 => Ok(false),
        3 | 4 => Ok(true),
        other => Err(AugmentError::Image {
            operation,
            got: format!("{other} channels"),
            expected: "1 (grey), 3 (RGB) or 4 (RGBA)".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hsv_and_back(r in 0.0..1.0_f32, g in 0.0..1.0_f32, b in 0.0..1.0_f32) {
            let back = hsv_to_rgb(rgb_to_hsv([r, g, b]));
            for (a, b) in back.into_iter().zip([r, g, b]) {
                prop_assert!((a - b).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn primaries_have_their_hue() {
        assert_eq!(rgb_to_hsv([1.0, 0.0, 0.0]), [0.0, 1.0, 1.0]);
        assert_eq!(rgb_to_hsv([0.0, 1.0, 0.0]), [1.0 / 3.0, 1.0, 1.0]);
        assert_eq!(rgb_to_hsv([0.0, 0.0, 0.5]), [2.0 / 3.0, 1.0, 0.5]);
        assert_eq!(grey_pillow([255, 255, 255]), 255);
    }
}
