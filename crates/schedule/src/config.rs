//! What every configuration of a closed form has in common.

use crate::{Schedule, ScheduleError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The configuration of a closed form: what a recipe stores and the registry
/// reads.
///
/// Deserialising never validates; [`ScheduleConfig::build`] (and the inherent
/// `init` of each configuration) does.
pub trait ScheduleConfig: Serialize + DeserializeOwned {
    /// What it configures.
    type Schedule: Schedule + 'static;
    /// The `type` of its spec.
    const TYPE: &'static str;
    /// One line for lists.
    const SUMMARY: &'static str;

    /// Validates and builds.
    ///
    /// # Errors
    /// [`ScheduleError::Parameter`] with the field, its value and its range.
    fn build(&self) -> Result<Self::Schedule, ScheduleError>;
}

/// Ties a configuration to its schedule, and writes its `with_*` methods.
macro_rules! schedule_config {
    (
        $config:ident => $schedule:ty, $type:literal, $summary:expr
        $(, { $($with:ident: $field:ident: $kind:ty),* $(,)? })?
    ) => {
        impl $crate::ScheduleConfig for $config {
            type Schedule = $schedule;
            const TYPE: &'static str = $type;
            const SUMMARY: &'static str = $summary;
            fn build(&self) -> Result<$schedule, $crate::ScheduleError> {
                self.init()
            }
        }
        $($crate::config::with_methods! { $config { $($with: $field: $kind),* } })?
    };
}

/// Writes `with_*` methods, in burn's manner.
macro_rules! with_methods {
    ($config:ident { $($with:ident: $field:ident: $kind:ty),* $(,)? }) => {
        impl $config {
            $(
                #[doc = concat!("Sets [`", stringify!($config), "::", stringify!($field), "`].")]
                #[must_use]
                pub fn $with(mut self, $field: impl Into<$kind>) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}

pub(crate) use {schedule_config, with_methods};

pub(crate) const fn one() -> f64 {
    1.0
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
