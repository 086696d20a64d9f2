//! Comparing computed numbers with reference numbers.

use crate::families::Outcome;

/// How far a number may be from its reference: `|got - want| <= abs + rel * |want|`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// The absolute part.
    pub abs: f64,
    /// The part relative to the reference.
    pub rel: f64,
}

impl Tolerance {
    /// Bit for bit, except that any NaN equals any other.
    pub const EXACT: Self = Self { abs: 0.0, rel: 0.0 };
    /// Schedules computed in `f64`, printed with 12 digits.
    pub const F64: Self = Self {
        abs: 1e-15,
        rel: 1e-9,
    };
    /// Schedules that the peer computes in `f32` (keras, optax).
    pub const F32: Self = Self {
        abs: 1e-9,
        rel: 1e-6,
    };
    /// Tensors computed in `f32` against a reference in `f64`.
    pub const TENSOR: Self = Self {
        abs: 1e-5,
        rel: 1e-5,
    };

    /// An absolute tolerance alone.
    pub const fn abs(abs: f64) -> Self {
        Self { abs, rel: 0.0 }
    }

    fn allows(self, got: f64, want: f64) -> bool {
        // Infinities are compared first: they would make the bound infinite too.
        if !got.is_finite() || !want.is_finite() {
            return got == want || (got.is_nan() && want.is_nan());
        }
        (got - want).abs() <= self.abs + self.rel * want.abs()
    }
}

/// Compares two lists of numbers; the failure names `what`, the worst place and
/// the size of the error there. NaN equals NaN, and infinities equal themselves.
///
/// ```
/// use conformance::compare::{Tolerance, close};
///
/// assert!(close("lr", &[0.1, f64::NAN], &[0.1, f64::NAN], Tolerance::F64).is_ok());
/// let error = close("lr", &[0.1, 0.3], &[0.1, 0.2], Tolerance::F64).unwrap_err();
/// assert_eq!(error.to_string(), "lr[1]: got 0.3, expected 0.2, error 1.0e-1; 1 of 2 differ");
/// assert!(close("lr", &[0.1], &[0.1, 0.2], Tolerance::F64).is_err());
/// ```
pub fn close(what: &str, got: &[f64], want: &[f64], tolerance: Tolerance) -> Result<(), Outcome> {
    if got.len() != want.len() {
        return Err(Outcome::Failed(format!(
            "{what}: got {} numbers, expected {}",
            got.len(),
            want.len()
        )));
    }
    let mut differ = 0;
    let mut worst: Option<(usize, f64)> = None;
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        if tolerance.allows(g, w) {
            continue;
        }
        differ += 1;
        // A NaN on one side only is the worst there is.
        let error = Some((g - w).abs())
            .filter(|e| !e.is_nan())
            .unwrap_or(f64::INFINITY);
        if worst.is_none_or(|(_, most)| error > most) {
            worst = Some((i, error));
        }
    }
    match worst {
        None => Ok(()),
        Some((i, error)) => Err(Outcome::Failed(format!(
            "{what}[{i}]: got {}, expected {}, error {error:.1e}; {differ} of {} differ",
            got[i],
            want[i],
            got.len()
        ))),
    }
}

/// [`close`] for numbers in `f32`.
pub fn close_f32(
    what: &str,
    got: &[f32],
    want: &[f64],
    tolerance: Tolerance,
) -> Result<(), Outcome> {
    let got: Vec<f64> = got.iter().copied().map(f64::from).collect();
    close(what, &got, want, tolerance)
}

/// Compares two values that must be equal, such as counts and decisions.
pub fn equal<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Result<(), Outcome> {
    if got == want {
        Ok(())
    } else {
        Err(Outcome::Failed(format!(
            "{what}: got {got:?}, expected {want:?}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_on_one_side_only_is_a_difference() {
        let outcome = close("x", &[f64::NAN], &[1.0], Tolerance { abs: 1e9, rel: 1e9 });
        assert!(outcome.is_err());
    }

    #[test]
    fn infinities_equal_themselves_and_nothing_else() {
        let inf = f64::INFINITY;
        assert!(close("x", &[inf, -inf], &[inf, -inf], Tolerance::EXACT).is_ok());
        assert!(close("x", &[inf], &[-inf], Tolerance::F64).is_err());
        assert!(close("x", &[1.0], &[inf], Tolerance::EXACT).is_err());
    }

    #[test]
    fn an_infinite_reference_does_not_widen_its_own_tolerance() {
        assert!(close("x", &[1.0], &[f64::INFINITY], Tolerance::F64).is_err());
    }
}
