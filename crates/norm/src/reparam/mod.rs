//! Weights computed from other parameters, on burn's
//! [`Reparameterization`](burn::module::Reparameterization).
//!
//! A reparametrised layer keeps its type and its `forward`: `weight.val()` is
//! the computed weight, `weight.base()` the parameter that is stored and
//! trained. What a reparametrisation adds (a length, the vectors of a power
//! iteration) is part of the model: of its records, its optimiser groups, its
//! devices. burn's `Module::materialize` removes all of them from a model, or
//! from one parameter, and leaves the computed values as plain weights.
//!
//! burn keeps one reparametrisation per parameter, so a second one is an error
//! here.

mod attach;
mod orthogonal;
mod spectral_norm;
mod weight_norm;
mod weight_standardization;

pub use orthogonal::{OrthogonalConfig, OrthogonalWeight};
pub use spectral_norm::{SpectralNorm, SpectralNormConfig, SpectralProjection};
pub use weight_norm::{WeightNorm, WeightNormConfig};
pub use weight_standardization::{WeightStandardization, WeightStandardizationConfig};

use serde::{Deserialize, Serialize};

use crate::weights::Weight;
use crate::{NormError, check};

/// The axis of a weight whose entries are treated apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightAxis {
    /// That of the output features, whatever the layer.
    #[default]
    Output,
    /// This one, in burn's layout (the linear layer is `[in, out]`, the
    /// transpose of torch's).
    Axis(usize),
    /// None: the weight as a whole.
    Whole,
}

impl WeightAxis {
    /// The axis of a weight, `None` for [`Self::Whole`].
    fn of(self, layer: &'static str, weight: &Weight) -> Result<Option<usize>, NormError> {
        match self {
            Self::Output => Ok(Some(weight.output_axis)),
            Self::Whole => Ok(None),
            Self::Axis(axis) if axis < weight.shape.len() => Ok(Some(axis)),
            Self::Axis(axis) => Err(check::config(
                layer,
                "axis",
                format_args!("{axis} for {} {:?}", weight.path, weight.shape),
                "an axis of the weight",
            )),
        }
    }
}

/// `apply` and `apply_where` of a configuration that prepares weights.
macro_rules! apply_to_models {
    ($Config:ident) => {
        impl $Config {
            /// Reparametrises every linear layer and convolution of a model.
            ///
            /// # Errors
            /// Those of [`apply_where`](Self::apply_where).
            pub fn apply<M: burn::module::Module>(&self, model: M) -> Result<M, $crate::NormError> {
                self.apply_where(model, |weight| weight.layer != "Embedding")
            }

            /// Reparametrises the weights that are selected.
            ///
            /// # Errors
            /// [`NormError::Config`](crate::NormError::Config) if a field does
            /// not fit a weight,
            /// [`NormError::Reparametrized`](crate::NormError::Reparametrized)
            /// if a weight has a reparametrisation,
            /// [`NormError::NothingSelected`](crate::NormError::NothingSelected)
            /// if no weight is selected.
            pub fn apply_where<M: burn::module::Module>(
                &self,
                model: M,
                select: impl FnMut(&$crate::Weight) -> bool,
            ) -> Result<M, $crate::NormError> {
                $crate::reparam::attach::attach(self, model, select)
            }
        }
    };
}
use apply_to_models;
