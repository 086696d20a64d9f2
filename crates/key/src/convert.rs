//! From random words to numbers, as fixed sequences of IEEE 754 operations.
//!
//! Every function is part of the specification: addition, multiplication,
//! division and square root are each rounded once (no fused contraction), so
//! scalar code, any SIMD width and a port to another language give the same
//! bits. Vectorised fills elsewhere are tested against these functions.

// The coefficients keep the digits of their sources.
#![allow(clippy::excessive_precision)]

/// Uniform on `[0, 1)`: the upper 24 bits of `word` over 2²⁴.
///
/// ```
/// use firecraft_key::convert::uniform;
/// assert_eq!(uniform(0), 0.0);
/// assert_eq!(uniform(0x8000_0000), 0.5);
/// assert!(uniform(u32::MAX) < 1.0);
/// ```
#[inline]
#[must_use]
pub const fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / (1_u32 << 24) as f32)
}

/// Uniform on `[0, 1)`: the upper 53 bits of `word` over 2⁵³.
#[inline]
#[must_use]
pub const fn uniform_f64(word: u64) -> f64 {
    (word >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// Standard normal by inversion: the top bit is the sign, the lower 31 bits
/// choose the tail probability `p = (m + 1/2) / 2³²` of the magnitude.
///
/// The largest magnitude is 6.34, at `m = 0`.
///
/// ```
/// use firecraft_key::convert::normal;
/// assert_eq!(normal(0x7fff_ffff), 0.0);
/// assert_eq!(normal(0x1234_5678), -normal(0x9234_5678));
/// ```
#[inline]
#[must_use]
pub fn normal(word: u32) -> f32 {
    let tail = ((word & 0x7fff_ffff) as f32 + 0.5) * (1.0 / 4_294_967_296.0);
    let magnitude = upper_quantile(tail);
    f32::from_bits(magnitude.to_bits() | word & 0x8000_0000)
}

/// The `z >= 0` that a standard normal exceeds with probability `tail`, for
/// `tail` in `[2⁻³³, 1/2]`; relative error below 4e-7.
///
/// Rational approximations PPND7 of Wichura, *Algorithm AS 241*, Applied
/// Statistics 37 (1988), whose third interval that domain never reaches.
#[inline]
#[must_use]
pub fn upper_quantile(tail: f32) -> f32 {
    let centre = 0.5 - tail;
    if centre <= CENTRE_LIMIT {
        let r = 0.180_625 - centre * centre;
        centre * polynomial(&CENTRE_NUMERATOR, r) / polynomial(&CENTRE_DENOMINATOR, r)
    } else {
        let r = sqrt(-ln(tail)) - 1.6;
        polynomial(&TAIL_NUMERATOR, r) / polynomial(&TAIL_DENOMINATOR, r)
    }
}

/// Largest distance from 1/2 that the central approximation covers.
pub const CENTRE_LIMIT: f32 = 0.425;
/// Numerator of the central approximation, highest power first.
pub const CENTRE_NUMERATOR: [f32; 4] = [59.109_375, 159.291_13, 50.434_27, 3.387_132_7];
/// Denominator of the central approximation, highest power first.
pub const CENTRE_DENOMINATOR: [f32; 4] = [67.187_56, 78.757_76, 17.895_17, 1.0];
/// Numerator of the tail approximation, highest power first.
pub const TAIL_NUMERATOR: [f32; 4] = [0.170_238_21, 1.306_728_5, 2.756_815_4, 1.423_437_2];
/// Denominator of the tail approximation, highest power first.
pub const TAIL_DENOMINATOR: [f32; 3] = [0.120_211_33, 0.737_001_64, 1.0];
/// The polynomial of [`ln`], highest power first (Cephes `logf`).
pub const LN_POLYNOMIAL: [f32; 9] = [
    7.037_683_6e-2,
    -1.151_461e-1,
    1.167_699_9e-1,
    -1.242_014_1e-1,
    1.424_932_3e-1,
    -1.666_805_8e-1,
    2.000_071_5e-1,
    -2.499_999_4e-1,
    3.333_333_1e-1,
];

/// Natural logarithm of a positive normal number, after Cephes' `logf`.
#[inline]
#[must_use]
pub fn ln(x: f32) -> f32 {
    const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
    // Splits x into 2^e * m with m in [sqrt(1/2), sqrt(2)).
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let exponent = (shifted as i32 >> 23) as f32;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff) + SQRT_HALF_BITS) - 1.0;
    let square = mantissa * mantissa;
    let mut y = polynomial(&LN_POLYNOMIAL, mantissa) * mantissa * square;
    y += exponent * -2.121_944_4e-4;
    y += square * -0.5;
    (mantissa + y) + exponent * 0.693_359_4
}

/// Correctly rounded square root of a positive normal number.
///
/// `core` has none; integers make the one that hardware computes.
#[inline]
#[must_use]
pub const fn sqrt(x: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = (bits >> 23) as i32 - 127 - 23;
    let mantissa = ((bits & 0x007f_ffff) | 0x0080_0000) as u64;
    // An even exponent and a radicand of more than 52 bits: the root has more
    // than 26, the lowest of which only has to say whether it is exact.
    let shift = if exponent & 1 == 0 { 30 } else { 31 };
    let radicand = mantissa << shift;
    let root = radicand.isqrt();
    let inexact = (root * root != radicand) as u64;
    let scale = (exponent - shift) / 2 - 1;
    (root << 1 | inexact) as f32 * f32::from_bits(((scale + 127) as u32) << 23)
}

/// Horner's scheme, each step rounded twice.
#[inline]
#[must_use]
pub fn polynomial(coefficients: &[f32], x: f32) -> f32 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::Key;
    use proptest::prelude::*;

    #[test]
    fn quantiles_agree_with_tables() {
        // Upper tail probabilities and quantiles to 8 digits (R's qnorm).
        for (tail, expected) in [
            (0.5, 0.0),
            (0.25, 0.674_489_75),
            (0.1, 1.281_551_6),
            (0.05, 1.644_853_6),
            (0.025, 1.959_964),
            (1e-3, 3.090_232_3),
            (1e-6, 4.753_424_3),
            (1e-9, 5.997_807),
        ] {
            let z = upper_quantile(tail);
            assert!(
                (z - expected).abs() <= 4e-7 * expected.max(1.0),
                "{tail}: {z}"
            );
        }
    }

    #[test]
    fn normals_pass_kolmogorov_smirnov_and_have_unit_variance() {
        let key = Key::from_seed(11);
        let n = 40_000;
        let mut draws: std::vec::Vec<f64> =
            (0..n).map(|i| f64::from(normal(key.word(i)))).collect();
        let variance = draws.iter().map(|z| z * z).sum::<f64>() / n as f64;
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
        draws.sort_by(f64::total_cmp);
        let distance = draws
            .iter()
            .enumerate()
            .map(|(i, &z)| (normal_cdf(z) - i as f64 / n as f64).abs())
            .fold(0.0, f64::max);
        // The 0.1 % point is 1.95 / sqrt(n).
        assert!(distance < 1.95 / (n as f64).sqrt(), "{distance}");
    }

    /// Φ by its Taylor series about 0, exact to 1e-9 inside ±6.
    fn normal_cdf(z: f64) -> f64 {
        let (mut term, mut sum) = (z, z);
        for k in 1..200 {
            term *= z * z / f64::from(2 * k + 1);
            sum += term;
        }
        0.5 + sum * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
    }

    proptest! {
        #[test]
        fn square_root_is_the_one_of_the_hardware(x in f32::MIN_POSITIVE..f32::MAX) {
            prop_assert_eq!(sqrt(x).to_bits(), x.sqrt().to_bits());
        }

        #[test]
        fn logarithm_is_within_two_units_in_the_last_place(x in 1e-30_f32..1e30) {
            let exact = f64::from(x).ln();
            prop_assert!((f64::from(ln(x)) - exact).abs() <= 2.4e-7 * exact.abs().max(0.5));
        }

        #[test]
        fn uniform_is_in_the_half_open_unit_interval(word: u32, wide: u64) {
            prop_assert!((0.0..1.0).contains(&uniform(word)));
            prop_assert!((0.0..1.0).contains(&uniform_f64(wide)));
        }
    }
}
