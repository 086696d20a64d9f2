//! What a transform is.

use crate::{AugmentError, Plan, Size};
use firecraft_key::Key;
use firecraft_spec::{Kind, Spec, SpecError};
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
    /// [`Transform::plan`] for a configuration known to be valid. The plan
    /// must suit every image of that size and number of channels, and keep
    /// both.
    fn draw(&self, meta: &SampleMeta, key: Key) -> Plan;
}

/// The [`Kind`] of transforms in a registry.
#[derive(Debug)]
pub struct Transforms;

impl Kind for Transforms {
    type Object = dyn Transform;
    const NAME: &'static str = "transform";
}
