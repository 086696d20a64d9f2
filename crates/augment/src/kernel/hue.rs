//! Turning the hue of a colour. It needs nothing else of the crate: the plugin
//! that is measured beside the built-in `hue` compiles this file as it is.

/// Turns the hue of a colour by `sixths` of a turn, in `0..6`, and returns
/// `scale * c + offset` of the new channels `c`. Works in any unit, since HSV is
/// linear in the brightness.
#[inline(always)]
pub(crate) fn turn_hue([r, g, b]: [f32; 3], sixths: f32, [scale, offset]: [f32; 2]) -> [f32; 3] {
    let value = larger(larger(r, g), b);
    let range = value - smaller(smaller(r, g), b);
    let inverse = 1.0 / range;
    let hue = if value == r {
        (g - b) * inverse
    } else if value == g {
        (b - r) * inverse + 2.0
    } else {
        (r - g) * inverse + 4.0
    };
    let hue = hue + sixths;
    let hue = hue - 6.0 * (hue * (1.0 / 6.0)).floor();
    let (value, range) = (value * scale + offset, range * scale);
    // A channel falls linearly in one sextant, is lowest in two and rises in
    // another. The hue of grey is no number, which becomes one here, and counts
    // for nothing, since the range is zero.
    let channel = |fallen: f32| value - range * larger(smaller(fallen, 1.0), 0.0);
    [
        channel(2.0 - (hue - 3.0).abs()),
        channel((hue - 2.0).abs() - 1.0),
        channel((hue - 4.0).abs() - 1.0),
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
