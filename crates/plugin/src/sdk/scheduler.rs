//! The trait that a scheduler of a plugin implements.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use super::{Error, wire};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Step {
    /// Index of the update about to run, from 0.
    pub update: u64,
    /// Index of its epoch, from 0.
    pub epoch: u64,
    /// Length of the run in updates, where it is known.
    pub total_updates: Option<u64>,
    /// Updates in one epoch, where they are known.
    pub updates_per_epoch: Option<u64>,
    /// The monitored metric, on the step after each evaluation.
    pub metric: Option<f64>,
}

/// Sets a hyper-parameter before each update. The type is its own
/// configuration, as with [`Transform`](crate::Transform).
///
/// ```
/// use firecraft_plugin::{Error, Scheduler, Step};
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// /// Halves the value every so many updates.
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Halving {
///     start: f64,
///     every: u64,
/// }
///
/// impl Scheduler for Halving {
///     type State = ();
///     const NAME: &'static str = "halving";
///     const SUMMARY: &'static str = "halves the value every so many updates";
///
///     fn validate(&self) -> Result<(), Error> {
///         if self.every == 0 {
///             return Err(Error::new("`every` is 0, expected at least 1"));
///         }
///         Ok(())
///     }
///
///     fn step(&self, _: &mut (), step: &Step, values: &mut [f64]) {
///         values.fill(self.start * 0.5f64.powi((step.update / self.every) as i32));
///     }
/// }
///
/// let mut values = [0.0];
/// let step = Step::default();
/// Halving { start: 0.1, every: 10 }.step(&mut (), &step, &mut values);
/// assert_eq!(values, [0.1]);
/// ```
pub trait Scheduler: DeserializeOwned + JsonSchema + Send + 'static {
    /// What it remembers between steps; `()` if nothing. Saved as
    /// CBOR, in which every number keeps its bits.
    type State: Serialize + DeserializeOwned + Default + Send;

    /// The name in recipes: 1 to 64 of `a-z 0-9 _ . -`.
    const NAME: &'static str;
    /// What it does, in a sentence.
    const SUMMARY: &'static str;
    /// Raise it when the form of the state changes.
    const STATE_VERSION: u32 = 1;

    /// Checks the parameters.
    ///
    /// # Errors
    /// The first that is out of range: name it, its value and the range.
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Fills every element with the value in force for the update of `step`.
    /// Called once before each update, in order.
    fn step(&self, state: &mut Self::State, step: &Step, values: &mut [f64]);

    /// Reads a state that this version or an older one saved.
    ///
    /// # Errors
    /// If it is of a version that is not known, or damaged.
    fn load(version: u32, state: &[u8]) -> Result<Self::State, Error> {
        if version != Self::STATE_VERSION {
            return Err(Error::new(format!(
                "a state of version {version}, this plugin reads {}",
                Self::STATE_VERSION
            )));
        }
        wire::from_bytes(state).map_err(|error| Error::new(format!("a damaged state: {error}")))
    }
}
