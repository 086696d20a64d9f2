//! The trait that a transform of a plugin implements.

use firecraft_key::Key;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use super::{Destination, Error, ImageMut, Source};
use crate::abi::{SampleMeta, Shape, Targets};

/// A random change of images. The type is its own configuration: its fields are
/// the parameters that a recipe gives; put `#[serde(deny_unknown_fields)]` on
/// it, so that a misspelled one is an error.
///
/// ```
/// use firecraft_plugin::abi::{SampleMeta, Targets};
/// use firecraft_plugin::{Destination, Error, Key, Pixels, PixelsMut, Source, Transform};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// /// Adds one random number to every pixel.
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Lift {
///     /// The largest change, in grey levels.
///     most: u8,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct LiftPlan {
///     by: u8,
/// }
///
/// impl Transform for Lift {
///     type Plan = LiftPlan;
///     const NAME: &'static str = "lift";
///     const SUMMARY: &'static str = "adds one random number to every pixel";
///     const TARGETS: Targets = Targets::ALL;
///
///     fn plan(&self, _: &SampleMeta, key: Key) -> Result<LiftPlan, Error> {
///         Ok(LiftPlan { by: key.rng().below(u64::from(self.most) + 1) as u8 })
///     }
///
///     fn apply(&self, plan: &LiftPlan, src: &Source, dst: &mut Destination) -> Result<(), Error> {
///         match (src.image.pixels, &mut dst.image.pixels) {
///             (Pixels::U8(from), PixelsMut::U8(to)) => {
///                 for (to, from) in to.iter_mut().zip(from) {
///                     *to = from.saturating_add(plan.by);
///                 }
///             }
///             _ => return Err(Error::new("lift needs an image of bytes")),
///         }
///         dst.copy_targets(src)
///     }
/// }
/// ```
pub trait Transform: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Everything that is random about one sample. It is stored and replayed,
    /// as CBOR, in which every number keeps its bits.
    type Plan: Serialize + DeserializeOwned;

    /// The name in recipes: 1 to 64 of `a-z 0-9 _ . -`.
    const NAME: &'static str;
    /// What it does, in a sentence.
    const SUMMARY: &'static str;
    /// What it can move besides the image. The host refuses samples that have
    /// more.
    const TARGETS: Targets;
    /// Raise it when the form of the plan changes.
    const PLAN_VERSION: u32 = 1;

    /// Checks the parameters.
    ///
    /// # Errors
    /// The first that is out of range: name it, its value and the range.
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Draws everything random from the key. Pure: no clock, no other source of
    /// randomness, no state.
    ///
    /// # Errors
    /// If the sample does not suit the transform.
    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Self::Plan, Error>;

    /// The size of the image after a plan.
    fn output(&self, plan: &Self::Plan, input: Shape) -> Shape {
        let _ = plan;
        input
    }

    /// Does what the plan says. Writes the whole destination; targets that are
    /// not moved are copied with [`Destination::copy_targets`].
    ///
    /// Left out by a transform that is [`IN_PLACE`](Transform::IN_PLACE).
    ///
    /// # Errors
    /// If the sample does not suit the plan.
    fn apply(
        &self,
        plan: &Self::Plan,
        source: &Source<'_>,
        destination: &mut Destination<'_>,
    ) -> Result<(), Error> {
        destination.image.copy_from(&source.image)?;
        self.apply_in_place(plan, &mut destination.image)?;
        destination.copy_targets(source)
    }

    /// Whether the transform changes the values of the image where they are and
    /// moves nothing: it implements
    /// [`apply_in_place`](Transform::apply_in_place) in place of
    /// [`apply`](Transform::apply), and no image is copied.
    const IN_PLACE: bool = false;

    /// Does what the plan says to the image itself.
    ///
    /// # Errors
    /// If the image does not suit the plan.
    fn apply_in_place(&self, plan: &Self::Plan, image: &mut ImageMut<'_>) -> Result<(), Error> {
        let _ = (plan, image);
        Err(Error::new(format!(
            "`{}` has neither `apply` nor `apply_in_place`",
            Self::NAME
        )))
    }
}
