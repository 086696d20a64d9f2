//! The one transcendental function that is worth its own code, and comparisons
//! of positions that are not whole.

/// What rounding may add to a position, relative to it. Positions and boundaries
/// are sums and quotients of a few numbers; updates of a run are much further
/// apart than this up to a length of 10^12.
const ROUNDING: f64 = 1e-12;

/// Whether position `at` is at or past `boundary`, up to rounding: three tenths
/// of a run are at 0.1 + 0.2, which is 0.30000000000000004.
#[inline]
pub(crate) fn reached(at: f64, boundary: f64) -> bool {
    at >= boundary - boundary.abs() * ROUNDING
}

/// The whole part of `x >= 0`, up to rounding: 3 of 0.3 / 0.1, which is
/// 2.9999999999999996.
#[inline]
pub(crate) fn whole(x: f64) -> f64 {
    let near = x.round();
    if near > x && reached(x, near) {
        near
    } else {
        x.floor()
    }
}

/// `x >= 0` rounded up, up to rounding.
#[inline]
pub(crate) fn whole_up(x: f64) -> f64 {
    let near = x.round();
    if near < x && reached(near, x) {
        near
    } else {
        x.ceil()
    }
}

/// `(1 + cos(pi x)) / 2`: 1 at 0, 0 at 1, and on in waves of length 2.
///
/// Faster than the library's cosine, exact at whole and half waves' ends,
/// accurate near 0 in relative terms, and the same bits on every platform: it
/// is a fixed sequence of additions and multiplications.
#[inline]
pub(crate) fn half_cosine(x: f64) -> f64 {
    let mut x = x.abs();
    if x > 1.0 {
        x %= 2.0;
        if x > 1.0 {
            x = 2.0 - x;
        }
    }
    // By cos^2(a) = 1 - sin^2(a) the argument stays in the first eighth.
    if x <= 0.5 {
        1.0 - squared_sine(0.5 * x)
    } else {
        squared_sine(0.5 * (1.0 - x))
    }
}

/// `sin^2(pi q)` for `q` in `[0, 1/4]` by its power series in `q^2`, whose
/// terms are `(-1)^(k+1) (2 pi)^(2k) / (2 (2k)!)`; the first one left out is
/// below 1e-18.
#[inline]
fn squared_sine(q: f64) -> f64 {
    const C: [f64; 12] = [
        9.869604401089358,
        -32.46969701133415,
        42.728408603346864,
        -30.12232068593833,
        13.2131283916872,
        -3.9517681856592346,
        0.857195355544336,
        -0.14100298422789562,
        0.018191420571272834,
        -0.0018899171003400198,
        0.0001614955336035489,
        -1.1549978472535222e-05,
    ];
    // In pairs (Estrin), which keeps the chain of dependent operations short.
    let z = q * q;
    let z2 = z * z;
    let z4 = z2 * z2;
    let z8 = z4 * z4;
    let low = (C[0] + C[1] * z) + (C[2] + C[3] * z) * z2;
    let middle = (C[4] + C[5] * z) + (C[6] + C[7] * z) * z2;
    let high = (C[8] + C[9] * z) + (C[10] + C[11] * z) * z2;
    z * (low + middle * z4 + high * z8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn rounding_moves_no_boundary() {
        assert!(0.3 < 0.1 + 0.2 && reached(0.3, 0.1 + 0.2));
        assert!(!reached(0.3, 0.300_000_1));
        assert!((0.3_f64 / 0.1).floor() == 2.0 && whole(0.3 / 0.1) == 3.0);
        assert_eq!(
            [0.0, 0.5, 2.9999, 3.0, 3.5].map(whole),
            [0.0, 0.0, 2.0, 3.0, 3.0]
        );
        assert!((0.1 + 0.2) * 10.0 > 3.0 && whole_up((0.1 + 0.2) * 10.0) == 3.0);
        assert_eq!([0.0, 0.5, 3.0, 3.0001].map(whole_up), [0.0, 1.0, 3.0, 4.0]);
        // The last update of a very long run is still before its end.
        assert!(!reached(1e11 - 1.0, 1e11));
        assert!(whole(f64::NAN).is_nan() && whole(f64::INFINITY) == f64::INFINITY);
    }

    #[test]
    fn it_is_half_a_cosine() {
        for i in -40_000..40_000 {
            let x = f64::from(i) * 1e-4;
            let expected = 0.5 * (1.0 + (PI * x).cos());
            // `PI * x` is off by up to 4e-16 before the cosine is taken.
            assert!((half_cosine(x) - expected).abs() < 1e-15, "{x}");
        }
    }

    #[test]
    fn its_ends_are_exact_and_its_foot_is_accurate() {
        assert_eq!(half_cosine(0.0), 1.0);
        assert_eq!(half_cosine(1.0), 0.0);
        assert_eq!(half_cosine(2.0), 1.0);
        assert_eq!(half_cosine(7.0), 0.0);
        for exponent in 1..12 {
            let d = 0.1_f64.powi(exponent);
            let exact = (PI * (1.0 - (1.0 - d)) / 2.0).sin().powi(2);
            assert!((half_cosine(1.0 - d) / exact - 1.0).abs() < 1e-15, "{d}");
        }
        assert!(half_cosine(f64::INFINITY).is_nan());
    }
}
