//! Sine and cosine as fixed sequences of IEEE 754 operations.
//!
//! The standard library's differ in the last bit between platforms, and a plan
//! promises the same bits everywhere. Taking the angle in turns also makes
//! quarter turns exact.

use std::f64::consts::TAU;

/// `(sin, cos)` of `turns` full turns; absolute error below 3e-16, exact at
/// multiples of a quarter.
pub(crate) fn sin_cos(turns: f64) -> (f64, f64) {
    let quarters = (turns * 4.0).round();
    let x = (turns - quarters / 4.0) * TAU;
    let square = x * x;
    // Taylor series on |x| <= pi/4: the first term left out is below 1e-17.
    let sin = x * horner(
        square,
        &[
            1.0 / 355_687_428_096_000.0,
            -1.0 / 1_307_674_368_000.0,
            1.0 / 6_227_020_800.0,
            -1.0 / 39_916_800.0,
            1.0 / 362_880.0,
            -1.0 / 5_040.0,
            1.0 / 120.0,
            -1.0 / 6.0,
            1.0,
        ],
    );
    let cos = horner(
        square,
        &[
            1.0 / 20_922_789_888_000.0,
            -1.0 / 87_178_291_200.0,
            1.0 / 479_001_600.0,
            -1.0 / 3_628_800.0,
            1.0 / 40_320.0,
            -1.0 / 720.0,
            1.0 / 24.0,
            -1.0 / 2.0,
            1.0,
        ],
    );
    match quarters.rem_euclid(4.0) as u8 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

fn horner(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_standard_library() {
        for i in -4000..4000 {
            let turns = f64::from(i) / 1234.0;
            let (sin, cos) = sin_cos(turns);
            // The library's own argument is rounded, by up to 2^-52 of it.
            let tolerance = 5e-16 * (1.0 + (turns * TAU).abs());
            assert!((sin - (turns * TAU).sin()).abs() < tolerance, "{turns}");
            assert!((cos - (turns * TAU).cos()).abs() < tolerance, "{turns}");
        }
    }

    #[test]
    fn quarter_turns_are_exact() {
        for (turns, expected) in [
            (0.0, (0.0, 1.0)),
            (0.25, (1.0, 0.0)),
            (0.5, (0.0, -1.0)),
            (0.75, (-1.0, 0.0)),
            (-0.25, (-1.0, 0.0)),
            (3.0, (0.0, 1.0)),
        ] {
            assert_eq!(sin_cos(turns), expected);
        }
    }
}
