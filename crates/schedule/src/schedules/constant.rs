//! One value for ever.

use crate::check::Check;
use crate::config::schedule_config;
use crate::{Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// Configuration of [`Constant`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConstantConfig {
    /// The value. Finite.
    pub value: f64,
}

impl ConstantConfig {
    /// `value` for ever.
    #[must_use]
    pub const fn new(value: f64) -> Self {
        Self { value }
    }

    /// The schedule.
    ///
    /// # Errors
    /// If the value is not finite.
    pub fn init(&self) -> Result<Constant, ScheduleError> {
        Check::of("constant").finite("value", self.value)?;
        Ok(Constant { value: self.value })
    }
}

schedule_config!(ConstantConfig => Constant, "constant", "one value for ever");

/// The same value at every position.
///
/// ```
/// use firecraft_schedule::{ConstantConfig, Schedule};
/// assert_eq!(ConstantConfig::new(0.01).init()?.value(1e9), 0.01);
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    value: f64,
}

impl Schedule for Constant {
    #[inline]
    fn value(&self, _: f64) -> f64 {
        self.value
    }
    fn name(&self) -> &'static str {
        "constant"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_number_is_refused() {
        let error = ConstantConfig::new(f64::NAN).init().unwrap_err();
        assert_eq!(
            error.to_string(),
            "constant: `value` must be finite, got NaN"
        );
    }
}
