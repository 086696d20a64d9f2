//! Everything that can go wrong in this crate.

use firecraft_spec::SpecError;

/// An error of this crate: which layer, what was expected, what was found,
/// what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NormError {
    /// A field of a configuration is out of its range.
    #[error("{layer}: `{field}` is {value}, but must be {allowed}")]
    Config {
        /// The layer.
        layer: &'static str,
        /// The field of its configuration.
        field: &'static str,
        /// The value that was given.
        value: String,
        /// The values that are allowed.
        allowed: &'static str,
    },
    /// The input has too few axes.
    #[error("{layer}: the input {shape:?} has too few axes; expected {expected}")]
    Rank {
        /// The layer.
        layer: &'static str,
        /// The shape of the input.
        shape: Vec<usize>,
        /// What the layer takes.
        expected: &'static str,
    },
    /// An axis of the input has another length than the layer was made for.
    #[error(
        "{layer}: axis {axis} of the input {shape:?} has {got} features, but the layer was made \
         for {expected}"
    )]
    Features {
        /// The layer.
        layer: &'static str,
        /// The axis of the features.
        axis: usize,
        /// The shape of the input.
        shape: Vec<usize>,
        /// The length of that axis.
        got: usize,
        /// The number of features of the layer.
        expected: usize,
    },
    /// Statistics of a single value, whose variance is not defined.
    #[error(
        "{layer}: the input {shape:?} has one value per channel, so its variance says nothing; \
         use a larger batch, evaluate instead of train, or choose the single-value policy `zero`"
    )]
    SingleValue {
        /// The layer.
        layer: &'static str,
        /// The shape of the input.
        shape: Vec<usize>,
    },
    /// Statistics of no values at all.
    #[error("{layer}: the input {shape:?} is empty, so it has no statistics; skip this batch")]
    Empty {
        /// The layer.
        layer: &'static str,
        /// The shape of the input.
        shape: Vec<usize>,
    },
    /// A batch that can't be cut into equal parts.
    #[error(
        "{layer}: the batch {shape:?} can't be cut into {parts} equal parts; use batches of a \
         multiple of {parts} rows"
    )]
    Parts {
        /// The layer.
        layer: &'static str,
        /// The shape of the input.
        shape: Vec<usize>,
        /// The number of parts.
        parts: usize,
    },
    /// Data whose statistics are not numbers.
    #[error(
        "{layer}: the data has non-finite values in feature {feature}; remove or replace them first"
    )]
    NonFinite {
        /// The layer.
        layer: &'static str,
        /// The feature, counted from 0.
        feature: usize,
    },
    /// The mask can't be broadcast to the input.
    #[error(
        "{layer}: the mask {mask:?} does not fit the input {shape:?}; every axis of it must be \
         that of the input or 1, and the feature axis 1"
    )]
    Mask {
        /// The layer.
        layer: &'static str,
        /// The shape of the mask.
        mask: Vec<usize>,
        /// The shape of the input.
        shape: Vec<usize>,
    },
    /// A weight has a reparametrisation already.
    #[error(
        "`{path}` is reparametrised already, and burn keeps one reparametrisation per parameter; \
         `materialize()` it first"
    )]
    Reparametrized {
        /// The path of the weight.
        path: String,
    },
    /// A field that can't hold what is to be put into it.
    #[error("`{path}` is a `{slot}`, which can't hold this normalisation; make the field a `Norm`")]
    Slot {
        /// The path of the field.
        path: String,
        /// Its type.
        slot: &'static str,
    },
    /// A selection matches nothing in the model.
    #[error("{tool}: nothing in the model is selected; compare the paths with `weights(&model)`")]
    NothingSelected {
        /// What was to be applied.
        tool: &'static str,
    },
    /// A spec names no normalisation, or its parameters are wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

/// The value, or a panic with the message of the error: what the `init` and
/// `forward` methods in burn's manner promise.
#[track_caller]
pub(crate) fn or_panic<T>(result: Result<T, NormError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
