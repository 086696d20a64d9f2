//! Given values between given boundaries.

use crate::check::Check;
use crate::config::{is_default, schedule_config};
use crate::math::reached;
use crate::{Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// On which side of a boundary the new value begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// At the boundary itself, as in torch and optax.
    #[default]
    AtBoundary,
    /// Just after it, as in Keras.
    AfterBoundary,
}

/// Configuration of [`PiecewiseConstant`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PiecewiseConstantConfig {
    /// Increasing positions at which the value changes.
    pub boundaries: Vec<f64>,
    /// The values, one more than boundaries. Finite.
    pub values: Vec<f64>,
    /// On which side of a boundary the new value begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub switch: Switch,
}

impl PiecewiseConstantConfig {
    /// `values`, changing at `boundaries`.
    #[must_use]
    pub fn new(boundaries: impl Into<Vec<f64>>, values: impl Into<Vec<f64>>) -> Self {
        Self {
            boundaries: boundaries.into(),
            values: values.into(),
            switch: Switch::AtBoundary,
        }
    }

    /// Keras' `PiecewiseConstantDecay`.
    #[must_use]
    pub fn keras(boundaries: impl Into<Vec<f64>>, values: impl Into<Vec<f64>>) -> Self {
        Self::new(boundaries, values).with_switch(Switch::AfterBoundary)
    }

    /// The schedule.
    ///
    /// # Errors
    /// If the numbers of values and boundaries don't fit, boundaries don't
    /// increase, or a number is not finite.
    pub fn init(&self) -> Result<PiecewiseConstant, ScheduleError> {
        let check = Check::of("piecewise_constant");
        let needed = self.boundaries.len() + 1;
        check.that(
            self.values.len() == needed,
            "values",
            format!("{needed} values, one more than boundaries"),
            self.values.len(),
        )?;
        let mut last = f64::NEG_INFINITY;
        for (nth, &boundary) in self.boundaries.iter().enumerate() {
            let field = format!("boundaries[{nth}]");
            check.finite(&field, boundary)?;
            check.that(boundary > last, field, format!("> {last}"), boundary)?;
            last = boundary;
        }
        for (nth, &value) in self.values.iter().enumerate() {
            check.finite(&format!("values[{nth}]"), value)?;
        }
        Ok(PiecewiseConstant {
            config: self.clone(),
        })
    }
}

schedule_config!(
    PiecewiseConstantConfig => PiecewiseConstant, "piecewise_constant",
    "given values between given boundaries",
    { with_switch: switch: Switch }
);

/// `values[n]` where `n` boundaries have been passed.
///
/// ```
/// use firecraft_schedule::{PiecewiseConstantConfig, Schedule};
/// let steps = PiecewiseConstantConfig::new([10.0, 20.0], [1.0, 0.5, 0.1]).init()?;
/// assert_eq!([9.0, 10.0, 20.0].map(|t| steps.value(t)), [1.0, 0.5, 0.1]);
/// let keras = PiecewiseConstantConfig::keras([10.0, 20.0], [1.0, 0.5, 0.1]).init()?;
/// assert_eq!([9.0, 10.0, 20.0].map(|t| keras.value(t)), [1.0, 1.0, 0.5]);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PiecewiseConstant {
    config: PiecewiseConstantConfig,
}

impl Schedule for PiecewiseConstant {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        let passed = self
            .config
            .boundaries
            .partition_point(|&boundary| match self.config.switch {
                Switch::AtBoundary => reached(at, boundary),
                Switch::AfterBoundary => !reached(boundary, at),
            });
        self.config.values[passed]
    }
    fn name(&self) -> &'static str {
        "piecewise_constant"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_values_and_boundaries_must_fit() {
        let error = PiecewiseConstantConfig::new([1.0], [1.0])
            .init()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "piecewise_constant: `values` must be 2 values, one more than boundaries, got 1"
        );
    }
}
