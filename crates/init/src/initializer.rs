//! What an initialiser is: a pure function from (key, target) to values.

use crate::{Fans, InitError, Layout};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use std::fmt::Debug;

/// The parameter that is to be filled: its shape and what its axes mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Sizes of the axes; values are row-major.
    pub shape: Vec<usize>,
    /// What the axes mean.
    pub layout: Layout,
    /// Fans of the weight that a bias belongs to, where it has one: torch's
    /// default biases are drawn from the weight's `fan_in`.
    pub weight_fans: Option<Fans>,
}

impl Target {
    /// A weight of the given shape and layout.
    ///
    /// ```
    /// use firecraft_init::{Layout, Target};
    /// let target = Target::new(&[8, 5], Layout::LINEAR);
    /// assert_eq!(target.len(), 40);
    /// ```
    #[must_use]
    pub fn new(shape: &[usize], layout: Layout) -> Self {
        Self {
            shape: shape.to_vec(),
            layout,
            weight_fans: None,
        }
    }

    /// The bias of a weight with these fans.
    #[must_use]
    pub fn bias(size: usize, weight_fans: Fans) -> Self {
        Self {
            weight_fans: Some(weight_fans),
            ..Self::new(&[size], Layout::Elementwise)
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Gives a parameter its initial values.
///
/// Implementations are pure: the same target and key give the same values,
/// whatever was initialised before. Implement it for your own schemes and hand
/// them to an [`InitPlan`](crate::InitPlan) like the built-in ones.
///
/// ```
/// use firecraft_init::{InitError, Initializer, Layout, Target};
/// use firecraft_key::Key;
///
/// #[derive(Debug)]
/// struct Ramp;
///
/// impl Initializer for Ramp {
///     fn name(&self) -> &str {
///         "ramp"
///     }
///     fn fill(&self, _: &Target, out: &mut [f32], _: Key) -> Result<(), InitError> {
///         out.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
///         Ok(())
///     }
/// }
///
/// let target = Target::new(&[3], Layout::Elementwise);
/// assert_eq!(Ramp.values(&target, Key::from_seed(0))?, [0.0, 1.0, 2.0]);
/// # Ok::<(), InitError>(())
/// ```
pub trait Initializer: Debug + Send + Sync {
    /// The name it is registered under.
    fn name(&self) -> &str;

    /// Whether the settings are in range, before any target is known.
    ///
    /// # Errors
    /// [`InitError::Setting`] for the first that isn't.
    fn validate(&self) -> Result<(), InitError> {
        Ok(())
    }

    /// Whether it can fill this target; the error says why not.
    ///
    /// # Errors
    /// What [`fill`](Self::fill) would return, without drawing anything.
    fn check(&self, target: &Target) -> Result<(), InitError> {
        let _ = target;
        self.validate()
    }

    /// Writes the values, row-major.
    ///
    /// # Errors
    /// Settings out of range, a shape it can't fill, a zero fan, or a buffer
    /// whose length isn't the target's.
    fn fill(&self, target: &Target, out: &mut [f32], key: Key) -> Result<(), InitError>;

    /// Mean and standard deviation of the values for this target, where they
    /// are known beforehand; for tables.
    fn moments(&self, target: &Target) -> Option<(f64, f64)> {
        let _ = target;
        None
    }

    /// The description from which a registry builds the same initialiser.
    ///
    /// # Errors
    /// If it can't be written down, which is so unless an implementation says
    /// otherwise.
    fn to_spec(&self) -> Result<Spec, SpecError> {
        Err(SpecError::invalid("this initialiser has no description").of_type(self.name()))
    }

    /// The values, in a new vector.
    ///
    /// # Errors
    /// Those of [`fill`](Self::fill).
    fn values(&self, target: &Target, key: Key) -> Result<Vec<f32>, InitError> {
        let mut out = vec![0.0; target.len()];
        self.fill(target, &mut out, key)?;
        Ok(out)
    }
}

impl<I: Initializer + ?Sized> Initializer for std::sync::Arc<I> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn validate(&self) -> Result<(), InitError> {
        (**self).validate()
    }
    fn check(&self, target: &Target) -> Result<(), InitError> {
        (**self).check(target)
    }
    fn to_spec(&self) -> Result<Spec, SpecError> {
        (**self).to_spec()
    }
    fn fill(&self, target: &Target, out: &mut [f32], key: Key) -> Result<(), InitError> {
        (**self).fill(target, out, key)
    }
    fn moments(&self, target: &Target) -> Option<(f64, f64)> {
        (**self).moments(target)
    }
}

impl<I: Initializer + ?Sized> Initializer for Box<I> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn validate(&self) -> Result<(), InitError> {
        (**self).validate()
    }
    fn check(&self, target: &Target) -> Result<(), InitError> {
        (**self).check(target)
    }
    fn to_spec(&self) -> Result<Spec, SpecError> {
        (**self).to_spec()
    }
    fn fill(&self, target: &Target, out: &mut [f32], key: Key) -> Result<(), InitError> {
        (**self).fill(target, out, key)
    }
    fn moments(&self, target: &Target) -> Option<(f64, f64)> {
        (**self).moments(target)
    }
}

/// The length check that every `fill` starts with.
pub(crate) fn same_length(target: &Target, out: &[f32]) -> Result<(), InitError> {
    if target.len() == out.len() {
        Ok(())
    } else {
        Err(InitError::Length {
            shape: target.shape.clone(),
            expected: target.len(),
            got: out.len(),
        })
    }
}
