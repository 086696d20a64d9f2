//! Colour spaces, shared by the colour operations.

use crate::{AugmentError, Image};

/// Weights of the luma as torchvision has them (ITU-R BT.601, rounded).
pub(crate) const LUMA: [f32; 3] = [0.2989, 0.587, 0.114];

/// Luma as torchvision computes it.
#[inline(always)]
pub(crate) fn grey([r, g, b]: [f32; 3]) -> f32 {
    r * LUMA[0] + g * LUMA[1] + b * LUMA[2]
}

/// Luma of bytes as Pillow computes it, in 16-bit fixed point: whole numbers
/// below 2^24, which `f32` holds.
#[inline(always)]
pub(crate) fn grey_pillow([r, g, b]: [f32; 3]) -> f32 {
    let sum = r * 19595.0 + g * 38470.0 + b * 7471.0;
    ((sum + 32768.0) * (1.0 / 65536.0)).floor()
}

/// Hue in turns, saturation and value of a colour in `0..=1`.
#[inline(always)]
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
#[inline(always)]
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
    use crate::kernel::turn_hue;
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

    proptest! {
        #[test]
        fn turning_the_hue_is_turning_it_in_hsv(
            r in 0.0..1.0_f32, g in 0.0..1.0_f32, b in 0.0..1.0_f32, turns in 0.0..1.0_f32,
        ) {
            let [h, s, v] = rgb_to_hsv([r, g, b]);
            let expected = hsv_to_rgb([(h + turns).fract(), s, v]);
            for (a, b) in turn_hue([r, g, b], turns * 6.0, [1.0, 0.0]).into_iter().zip(expected) {
                prop_assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
    }

    #[test]
    fn primaries_have_their_hue() {
        assert_eq!(rgb_to_hsv([1.0, 0.0, 0.0]), [0.0, 1.0, 1.0]);
        assert_eq!(rgb_to_hsv([0.0, 1.0, 0.0]), [1.0 / 3.0, 1.0, 1.0]);
        assert_eq!(rgb_to_hsv([0.0, 0.0, 0.5]), [2.0 / 3.0, 1.0, 0.5]);
        assert_eq!(grey_pillow([255.0; 3]), 255.0);
    }
}
