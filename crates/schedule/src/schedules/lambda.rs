//! Any function as a schedule.

use crate::Schedule;
use std::fmt;

/// A closed form given as a function of the position.
///
/// It has no spec: code is not configuration. What it computes is not part of
/// its state either, so give the same function when resuming.
///
/// ```
/// use firecraft_schedule::{Lambda, Schedule};
/// let halves = Lambda::new(|t| 0.1 * 0.5_f64.powf(t));
/// assert_eq!(halves.value(2.0), 0.025);
/// ```
#[derive(Clone)]
pub struct Lambda<F> {
    function: F,
}

impl<F: Fn(f64) -> f64 + Send> Lambda<F> {
    /// `function` of the position.
    #[must_use]
    pub const fn new(function: F) -> Self {
        Self { function }
    }
}

impl<F: Fn(f64) -> f64 + Send> Schedule for Lambda<F> {
    #[inline]
    fn value(&self, at: f64) -> f64 {
        (self.function)(at)
    }
    fn name(&self) -> &'static str {
        "lambda"
    }
}

impl<F> fmt::Debug for Lambda<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lambda")
    }
}
