//! Another initialiser times a factor.

use crate::error::finite;
use crate::{InitError, Initializer, Target};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError, Value};
use std::sync::Arc;

/// The values of another initialiser times a factor: what depth- and
/// width-aware schemes do to a base scheme.
///
/// ```
/// use firecraft_init::{Initializer, Layout, Scaled, Target, VarianceScaling};
/// let target = Target::new(&[64, 32], Layout::LINEAR);
/// let init = Scaled::new(VarianceScaling::lecun_normal(), 0.5);
/// assert_eq!(init.moments(&target), Some((0.0, 0.0625)));
/// ```
#[derive(Debug, Clone)]
pub struct Scaled {
    inner: Arc<dyn Initializer>,
    factor: f64,
}

impl Scaled {
    /// The values of `inner` times `factor`.
    #[must_use]
    pub fn new(inner: impl Initializer + 'static, factor: f64) -> Self {
        Self {
            inner: Arc::new(inner),
            factor,
        }
    }
}

impl Initializer for Scaled {
    fn name(&self) -> &str {
        "scaled"
    }

    fn validate(&self) -> Result<(), InitError> {
        finite("scaled", "factor", self.factor)?;
        self.inner.validate()
    }

    fn check(&self, target: &Target) -> Result<(), InitError> {
        self.validate()?;
        self.inner.check(target)
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        let inner = self.inner.to_spec()?;
        Ok(Spec::new("scaled")
            .with("inner", Value::from(inner))
            .with("factor", self.factor))
    }

    fn fill(&self, target: &Target, out: &mut [f32], key: Key) -> Result<(), InitError> {
        self.validate()?;
        self.inner.fill(target, out, key)?;
        let factor = self.factor as f32;
        out.iter_mut().for_each(|x| *x *= factor);
        Ok(())
    }

    fn moments(&self, target: &Target) -> Option<(f64, f64)> {
        let (mean, std) = self.inner.moments(target)?;
        Some((mean * self.factor, std * self.factor.abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Constant, Layout, Orthogonal};

    #[test]
    fn values_are_those_of_the_inner_one_times_the_factor() {
        let target = Target::new(&[3], Layout::Elementwise);
        let values = Scaled::new(Constant::new(3.0), 0.5).values(&target, Key::from_seed(0));
        assert_eq!(values.unwrap(), [1.5; 3]);
    }

    #[test]
    fn errors_of_both_parts_come_through() {
        let target = Target::new(&[3], Layout::Elementwise);
        assert!(
            Scaled::new(Constant::ONES, f64::NAN)
                .check(&target)
                .is_err()
        );
        assert!(
            Scaled::new(Orthogonal::default(), 1.0)
                .check(&target)
                .is_err()
        );
    }
}
