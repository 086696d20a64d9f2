//! Turning the hue of a colour. It needs nothing else of the crate: the plugin
//! that is measured beside the built-in `hue` compiles this file as it is.

/// Turns the hue of a colour by `sixths` of a turn, in `0..6`, and returns
/// `scale * c + offset` of the new channels `c`. Works in any unit, since HSV is
/// linear in the brightness.
#[inline(always)]
pub(crate) fn turn_hue([r, g, b]: [f32; 3], sixths: f32, [scale, offset]: [f32; 2]) -> [f32; 3] {
    let largest = larger(larger(r, g), b);
    let range = largest - smaller(smaller(r, g), b);
    // Hues in sixths times the range, which needs no division and lets grey,
    // which has no hue, count for nothing. `sixths` from 1 on leave no hue below 0.
    let sixths = if sixths < 1.0 { sixths + 6.0 } else { sixths };
    let (value, range) = (largest * scale + offset, range * scale);
    let hue = if largest == r {
        (g - b) * scale
    } else if largest == g {
        (b - r) * scale + 2.0 * range
    } else {
        (r - g) * scale + 4.0 * range
    };
    let hue = hue + sixths * range;
    let turn = 6.0 * range;
    let hue = hue - if hue >= turn { turn } else { 0.0 };
    // A channel falls linearly in one sextant, is lowest in two and rises in
    // another.
    let channel = |fallen: f32| value - larger(smaller(fallen, range), 0.0);
    [
        channel(2.0 * range - (hue - 3.0 * range).abs()),
        channel((hue - 2.0 * range).abs() - range),
        channel((hue - 4.0 * range).abs() - range),
    ]
}

/// `max` in one instruction, for what is a number.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// `min` in one instruction, for what is a number.
#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}
