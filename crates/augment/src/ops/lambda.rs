//! A function of yours: `Lambda`.

use crate::{Apply, AugmentError, Plan, Sample, SampleMeta, Transform};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

type Function = dyn Fn(&mut Sample, Key) -> Result<(), AugmentError> + Send + Sync;

/// The step that calls a function, which may draw from the key it is given.
///
/// The function moves whatever targets there are. It has no JSON form:
/// storing a plan with this step is an error, never a gap.
#[derive(Clone)]
pub struct Call {
    name: Arc<str>,
    key: [u64; 2],
    function: Arc<Function>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("name", &self.name)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Call {
    /// The same function, not one that does the same.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.key == other.key
            && Arc::ptr_eq(&self.function, &other.function)
    }
}

impl Serialize for Call {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        let error = format!("the function `{}` can't be stored", self.name);
        Err(serde::ser::Error::custom(error))
    }
}

impl<'de> Deserialize<'de> for Call {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom(
            "functions can't be read from data",
        ))
    }
}

impl Apply for Call {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        (self.function)(sample, Key::from_words(self.key))?;
        sample.validate()
    }

    fn channels(&self, _input: usize) -> Option<usize> {
        None
    }

    fn moves(&self) -> bool {
        // Nobody knows.
        true
    }

    fn map_point(&self, _x: f64, _y: f64) -> Option<(f64, f64)> {
        None
    }
}

/// Calls a function for every sample: torchvision's and albumentations'
/// `Lambda`.
///
/// The function may keep the size and the channels of the image or not; what
/// follows in a [`Compose`](crate::Compose) is planned for those before it. It
/// moves the targets itself.
///
/// ```
/// use firecraft_augment::{Image, Lambda, Sample, Size, Transform, Values};
/// use firecraft_key::Key;
/// let darker = Lambda::new("darker", |sample, key| {
///     let by = key.rng().range(0.5, 1.0) as f32;
///     if let Values::F32(data) = sample.image.values_mut() {
///         data.iter_mut().for_each(|v| *v *= by);
///     }
///     Ok(())
/// });
/// let mut sample = Sample::new(Image::from_f32(vec![1.0], Size::new(1, 1), 1)?);
/// darker.plan(&sample.meta(), Key::from_seed(1))?.apply(&mut sample)?;
/// assert!((0.5..1.0).contains(&sample.image.as_f32().unwrap()[0]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone)]
pub struct Lambda {
    name: Arc<str>,
    function: Arc<Function>,
}

impl fmt::Debug for Lambda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lambda").field(&self.name).finish()
    }
}

impl Lambda {
    /// Calls `function`; the name appears in plans.
    #[must_use]
    pub fn new(
        name: &str,
        function: impl Fn(&mut Sample, Key) -> Result<(), AugmentError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            function: Arc::new(function),
        }
    }
}

impl Transform for Lambda {
    fn name(&self) -> &'static str {
        "lambda"
    }

    fn validate(&self) -> Result<(), AugmentError> {
        Ok(())
    }

    fn plan(&self, _meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        Ok(Plan::from(Call {
            name: self.name.clone(),
            key: key.words(),
            function: self.function.clone(),
        }))
    }

    fn spec(&self) -> Result<Spec, SpecError> {
        let message = format!("the function `{}` can't be written as a spec", self.name);
        Err(SpecError::invalid(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Size};

    #[test]
    fn a_function_is_not_stored_and_its_errors_come_through() {
        let refuses = Lambda::new("refuses", |_, _| {
            Err(AugmentError::Image {
                operation: "refuses",
                got: "anything".into(),
                expected: "nothing".into(),
            })
        });
        let mut sample = Sample::new(Image::from_u8(vec![1], Size::new(1, 1), 1).unwrap());
        let plan = refuses.plan(&sample.meta(), Key::from_seed(0)).unwrap();
        assert!(plan.apply(&mut sample).is_err());
        assert_eq!(plan, plan.clone());
        let error = serde_json::to_string(&plan).unwrap_err();
        assert!(error.to_string().contains("`refuses`"), "{error}");
        assert!(refuses.spec().is_err());
    }
}
