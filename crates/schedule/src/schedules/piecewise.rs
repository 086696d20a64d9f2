//! Interpolation between given points.

use crate::check::Check;
use crate::config::{is_default, schedule_config};
use crate::{Curve, Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// A point of a [`Piecewise`] schedule: `[at, value]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, f64)", into = "(f64, f64)")]
pub struct Knot {
    /// The position.
    pub at: f64,
    /// The value there.
    pub value: f64,
}

impl From<(f64, f64)> for Knot {
    fn from((at, value): (f64, f64)) -> Self {
        Self { at, value }
    }
}

impl From<Knot> for (f64, f64) {
    fn from(knot: Knot) -> Self {
        (knot.at, knot.value)
    }
}

/// Configuration of [`Piecewise`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PiecewiseConfig {
    /// The points, one at least, with finite and increasing positions.
    pub knots: Vec<Knot>,
    /// The curve between two points; linear by default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub curve: Curve,
}

impl PiecewiseConfig {
    /// Straight lines through `knots`.
    #[must_use]
    pub fn new(knots: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self {
            knots: knots.into_iter().map(Knot::from).collect(),
            curve: Curve::Linear,
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If there is no knot, a number is not finite, or positions don't
    /// increase.
    pub fn init(&self) -> Result<Piecewise, ScheduleError> {
        let check = Check::of("piecewise");
        check.that(!self.knots.is_empty(), "knots", "one or more", "none")?;
        self.curve.check("piecewise", "curve")?;
        let mut last = f64::NEG_INFINITY;
        for (nth, knot) in self.knots.iter().enumerate() {
            let field = format!("knots[{nth}]");
            check.finite(&field, knot.at)?;
            check.finite(&field, knot.value)?;
            let allowed = format!("at a position > {last}, that of the knot before");
            check.that(knot.at > last, field, allowed, knot.at)?;
            last = knot.at;
        }
        Ok(Piecewise {
            knots: self.knots.clone(),
            curve: self.curve,
        })
    }
}

schedule_config!(
    PiecewiseConfig => Piecewise, "piecewise", "interpolation between given points",
    { with_curve: curve: Curve }
);

/// A curve through given points; constant before the first and after the last.
///
/// ```
/// use firecraft_schedule::{PiecewiseConfig, Schedule};
/// let ramp = PiecewiseConfig::new([(0.0, 0.0), (10.0, 1.0), (20.0, 0.5)]).init()?;
/// assert_eq!([-1.0, 5.0, 10.0, 15.0, 99.0].map(|t| ramp.value(t)), [0.0, 0.5, 1.0, 0.75, 0.5]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Piecewise {
    knots: Vec<Knot>,
    curve: Curve,
}

/// The value of a curve through `knots`, whose positions don't decrease.
#[inline]
pub(crate) fn interpolate(knots: &[Knot], curve: Curve, at: f64) -> f64 {
    let next = knots.partition_point(|knot| knot.at < at);
    match (
        next.checked_sub(1).and_then(|i| knots.get(i)),
        knots.get(next),
    ) {
        (Some(a), Some(b)) => curve.between(a.value, b.value, (at - a.at) / (b.at - a.at)),
        (Some(knot), None) | (None, Some(knot)) => knot.value,
        (None, None) => 0.0,
    }
}

impl Schedule for Piecewise {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        interpolate(&self.knots, self.curve, at)
    }
    fn name(&self) -> &'static str {
        "piecewise"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knots_are_pairs_in_a_spec() {
        let config: PiecewiseConfig =
            toml::from_str("knots = [[0, 1], [5, 0.5]]\ncurve = 'cosine'").unwrap();
        assert_eq!(
            config,
            PiecewiseConfig::new([(0.0, 1.0), (5.0, 0.5)]).with_curve(Curve::Cosine)
        );
    }

    #[test]
    fn positions_must_increase() {
        let error = PiecewiseConfig::new([(0.0, 1.0), (5.0, 1.0), (5.0, 0.0)])
            .init()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "piecewise: `knots[2]` must be at a position > 5, that of the knot before, got 5"
        );
        assert!(PiecewiseConfig::new([]).init().is_err());
    }
}
