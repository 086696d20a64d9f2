//! Cosines of half turns, and comparisons of positions that are not whole.

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
/// Exact at quarter waves (1, 1/2 and 0), and accurate near 0 in relative terms,
/// which `1 + cos` is not. Like all of this file it is a fixed sequence of
/// additions and multiplications: libraries disagree about the last bit of a
/// cosine, and this has the same bits on every platform.
#[inline]
pub(crate) fn half_cosine(x: f64) -> f64 {
    let x = folded(x);
    let far = x > 0.5;
    // cos^2(a) = 1 - sin^2(a), and sin^2 from the nearer end.
    let s = squared_sine(if far { 1.0 - x } else { x });
    if far { s } else { 1.0 - s }
}

/// `cos(pi x)`, to 4e-16: exact at whole and half numbers, symmetric about them.
///
/// For formulas of peers in which a rounded cosine is added to one;
/// [`half_cosine`] loses nothing there.
#[inline]
pub(crate) fn cos_pi(x: f64) -> f64 {
    let x = folded(x);
    let far = x > 0.5;
    let c = 1.0 - 2.0 * squared_sine(if far { 1.0 - x } else { x });
    if far { -c } else { c }
}

/// The number in `[0, 1]` of the same cosine; exact.
#[inline]
fn folded(x: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 { x } else { wrapped(x) }
}

#[cold]
fn wrapped(x: f64) -> f64 {
    let x = x % 2.0;
    if x > 1.0 { 2.0 - x } else { x }
}

/// `sin^2(pi y / 2)` for `y` in `[0, 1/2]`, to 1.5 units in the last place, by
/// the polynomial in `y^2` of least relative error (1.4e-17; Remez).
#[inline]
fn squared_sine(y: f64) -> f64 {
    const C: [f64; 8] = [
        2.4674011002723395,
        -2.0293560632083665,
        0.6676313844258581,
        -0.1176653151341228,
        0.012903444990709048,
        -0.0009647811964324626,
        5.229105566797557e-05,
        -2.082771213304813e-06,
    ];
    // In pairs (Estrin), which keeps the chain of dependent operations short;
    // the first term apart, which keeps the roundings of the rest small.
    let z = y * y;
    let z2 = z * z;
    let z4 = z2 * z2;
    let low = (C[1] + C[2] * z) + (C[3] + C[4] * z) * z2;
    let high = (C[5] + C[6] * z) + C[7] * z2;
    C[0] * z + (low + high * z4) * z2
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
    fn cosines_of_half_turns_are_the_librarys() {
        for i in -400_000..400_000 {
            let x = f64::from(i) * 1e-5;
            let cosine = (PI * x).cos();
            // `PI * x` is off by up to 9e-16 before the library takes its cosine.
            let near = if x.abs() <= 1.0 { 1e-15 } else { 2e-15 };
            assert!((cos_pi(x) - cosine).abs() < near, "{x}");
            assert!((half_cosine(x) - 0.5 * (1.0 + cosine)).abs() < near, "{x}");
        }
    }

    #[test]
    fn quarter_waves_are_exact() {
        for turn in [0.0, 2.0, -4.0, 1e6, -2e15] {
            assert_eq!(
                [0.0, 0.5, 1.0, 1.5].map(|x| half_cosine(turn + x)),
                [1.0, 0.5, 0.0, 0.5]
            );
            assert_eq!(
                [0.0, 0.5, 1.0, 1.5].map(|x| cos_pi(turn + x)),
                [1.0, 0.0, -1.0, 0.0]
            );
        }
        for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(half_cosine(x).is_nan() && cos_pi(x).is_nan());
        }
    }

    #[test]
    fn cosines_fall_over_the_first_half_turn_and_mirror() {
        // Dense over all of it, and bit by bit where the two ends' formulas meet.
        let dense = (0..=1_000_000).map(|i| f64::from(i) * 1e-6);
        let meeting = (-50_000..50_000).map(|i| 0.5 + f64::from(i) * f64::EPSILON / 4.0);
        for points in [dense.collect::<Vec<_>>(), meeting.collect()] {
            for pair in points.windows(2) {
                assert!(cos_pi(pair[1]) <= cos_pi(pair[0]), "{pair:?}");
                assert!(half_cosine(pair[1]) <= half_cosine(pair[0]), "{pair:?}");
            }
            for &x in &points {
                assert!((-1.0..=1.0).contains(&cos_pi(x)), "{x}");
                assert!((0.0..=1.0).contains(&half_cosine(x)), "{x}");
                assert_eq!(cos_pi(x), cos_pi(-x), "{x}");
                assert_eq!(cos_pi(1.0 - x), -cos_pi(1.0 - (1.0 - x)), "{x}");
            }
        }
    }

    #[test]
    fn the_foot_is_accurate() {
        for exponent in 1..12 {
            let d = 0.1_f64.powi(exponent);
            let exact = (PI * (1.0 - (1.0 - d)) / 2.0).sin().powi(2);
            assert!((half_cosine(1.0 - d) / exact - 1.0).abs() < 1e-15, "{d}");
        }
    }
}
