//! What a transform is, and what a plan is.

use crate::{AugmentError, Size, Warp, geometry};
use firecraft_key::Key;
use firecraft_spec::{Kind, Spec, SpecError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a transform may know about a sample when it plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleMeta {
    /// Height and width of the image.
    pub size: Size,
    /// Number of channels.
    pub channels: usize,
}

/// A random change of images.
///
/// It works in two steps: [`Transform::plan`] draws everything that is random
/// and says what will be done, [`Plan`] does it, to any number of targets, and
/// again if need be. Planning is pure: equal arguments give equal plans, on
/// every platform.
pub trait Transform: fmt::Debug + Send + Sync + 'static {
    /// The name under which the registry knows it.
    fn name(&self) -> &'static str;

    /// Checks the configuration.
    ///
    /// # Errors
    /// [`AugmentError::Parameter`] for the first field out of its range.
    fn validate(&self) -> Result<(), AugmentError>;

    /// Draws what will be done to one sample.
    ///
    /// # Errors
    /// If the configuration is not valid, or the image doesn't suit it.
    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError>;

    /// The spec from which the registry makes this transform again.
    ///
    /// # Errors
    /// If a parameter can't be written as a value.
    fn spec(&self) -> Result<Spec, SpecError>;

    /// This transform as one that can stand in a network, if it is one.
    fn as_layer(&self) -> Option<&dyn LayerTransform> {
        None
    }
}

/// A transform that keeps the size of every image and can't fail once its
/// configuration is valid, so that it can be a layer of a network.
pub trait LayerTransform: Transform {
    /// [`Transform::plan`] for a configuration known to be valid.
    fn draw(&self, meta: &SampleMeta, key: Key) -> Plan;
}

/// The [`Kind`] of transforms in a registry.
#[derive(Debug)]
pub struct Transforms;

impl Kind for Transforms {
    type Object = dyn Transform;
    const NAME: &'static str = "transform";
}

/// One thing to do to a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Resample along a matrix.
    Warp(Warp),
}

/// What will be done to one sample, with nothing left to chance.
///
/// A plan is data: print it, store it as JSON, apply it again.
///
/// ```
/// use firecraft_augment::{Plan, RandomRotationConfig, SampleMeta, Size, Transform};
/// use firecraft_key::Key;
/// let meta = SampleMeta { size: Size::new(8, 8), channels: 1 };
/// let plan = RandomRotationConfig::new(0.1).plan(&meta, Key::from_seed(3))?;
/// let json = serde_json::to_string(&plan)?;
/// assert_eq!(serde_json::from_str::<Plan>(&json)?, plan);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The steps in order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The plan that does nothing.
    #[must_use]
    pub const fn identity() -> Self {
        Self { steps: Vec::new() }
    }

    /// Appends the steps of `next`.
    pub fn extend(&mut self, next: Self) {
        self.steps.extend(next.steps);
    }

    /// The size of the result for an image of size `input`.
    #[must_use]
    pub fn output(&self, input: Size) -> Size {
        self.steps.iter().fold(input, |_, step| match step {
            Step::Warp(warp) => warp.size,
        })
    }

    /// Where the point `(x, y)` of an image goes, in pixels from the centre of
    /// the top left pixel; `None` if a step has no inverse there.
    #[must_use]
    pub fn map_point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        self.steps
            .iter()
            .try_fold((x, y), |(x, y), step| match step {
                Step::Warp(warp) => warp.matrix.inverse()?.map(x, y),
            })
    }

    /// The same plan with neighbouring geometric steps joined into one
    /// resampling each, and steps without effect dropped; see
    /// [`fuse`](geometry::fuse).
    #[must_use]
    pub fn fused(self, input: Size) -> Self {
        let warps = self
            .steps
            .into_iter()
            .map(|Step::Warp(warp)| warp)
            .collect();
        Self {
            steps: geometry::fuse(warps, input)
                .into_iter()
                .map(Step::Warp)
                .collect(),
        }
    }
}

impl From<Warp> for Plan {
    fn from(warp: Warp) -> Self {
        Self {
            steps: vec![Step::Warp(warp)],
        }
    }
}
