//! What a transform is.

use crate::{AugmentError, External, Plan, Sample, Size};
use firecraft_key::Key;
use firecraft_spec::{Kind, Spec, SpecError};
use std::fmt;
use std::sync::Arc;

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

    /// [`Transform::plan`] for a sample whose targets the draw depends on, such
    /// as a crop that has to hold a box. The same as `plan` for all others.
    ///
    /// # Errors
    /// As [`Transform::plan`], or if the sample lacks the targets.
    fn plan_sample(&self, sample: &Sample, key: Key) -> Result<Plan, AugmentError> {
        self.plan(&sample.meta(), key)
    }

    /// Whether the draw depends on the targets, so that it takes
    /// [`Transform::plan_sample`].
    fn needs_targets(&self) -> bool {
        false
    }

    /// The spec from which the registry makes this transform again.
    ///
    /// # Errors
    /// If a parameter can't be written as a value.
    fn spec(&self) -> Result<Spec, SpecError>;

    /// This transform as one that can stand in a network, if it is one.
    fn as_layer(&self) -> Option<&dyn LayerTransform> {
        None
    }

    /// What does this transform's opaque steps, if it plans such.
    fn external(&self) -> Option<Arc<dyn External>> {
        None
    }
}

/// A transform that keeps the size and the number of channels of every image,
/// so that it can be a layer of a network.
pub trait LayerTransform: Transform {
    /// [`Transform::plan`] where it can't fail: for a valid configuration and
    /// images that suit it. The empty plan where it does.
    fn draw(&self, meta: &SampleMeta, key: Key) -> Plan {
        self.plan(meta, key).unwrap_or_default()
    }
}

/// The [`Kind`] of transforms in a registry.
#[derive(Debug)]
pub struct Transforms;

impl Kind for Transforms {
    type Object = dyn Transform;
    const NAME: &'static str = "transform";
}
