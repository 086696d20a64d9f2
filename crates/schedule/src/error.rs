//! The error of this crate.

use firecraft_spec::SpecError;

/// What can be wrong with a schedule's parameters, its state or its context.
///
/// ```
/// use firecraft_schedule::CosineConfig;
/// let error = CosineConfig::new(0.1, -3.0).init().unwrap_err();
/// assert_eq!(error.to_string(), "cosine: `length` must be > 0 and finite, got -3");
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A parameter is outside its range.
    #[error("{schedule}: `{field}` must be {allowed}, got {got}")]
    Parameter {
        /// The `type` name of the schedule.
        schedule: &'static str,
        /// The parameter.
        field: String,
        /// The range it must be in.
        allowed: String,
        /// The value it has.
        got: String,
    },
    /// A state was made by another type of schedule.
    #[error(
        "cannot restore a state of `{got}` into `{expected}`; build the schedule that was saved"
    )]
    StateType {
        /// The type that is being restored.
        expected: String,
        /// The type that made the state.
        got: String,
    },
    /// A state was made by another version of a schedule.
    #[error(
        "cannot restore version {got} of a `{schedule}` state, this build reads version {expected}; \
         resume with the build that saved it"
    )]
    StateVersion {
        /// The type that is being restored.
        schedule: String,
        /// The version that can be read.
        expected: u32,
        /// The version that was found.
        got: u32,
    },
    /// A state of the right type and version lacks a value or holds a wrong one.
    #[error("the state of `{schedule}` is damaged: {message}; restore from another checkpoint")]
    StateValue {
        /// The type that is being restored.
        schedule: String,
        /// What is wrong.
        message: String,
    },
    /// A run lacks something that the schedule depends on.
    #[error("{schedule}: needs {needs}, which this run does not have; {remedy}")]
    Missing {
        /// The `type` name of the schedule.
        schedule: &'static str,
        /// What is missing.
        needs: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A spec could not be parsed or names an unknown schedule.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

impl From<ScheduleError> for SpecError {
    fn from(error: ScheduleError) -> Self {
        match error {
            ScheduleError::Parameter {
                schedule,
                field,
                allowed,
                got,
            } => Self::field(field, format_args!("must be {allowed}, got {got}")).of_type(schedule),
            ScheduleError::Spec(error) => error,
            other => Self::invalid(other),
        }
    }
}

impl ScheduleError {
    /// The parameter `field` of `schedule` is not `allowed`.
    #[must_use]
    pub fn parameter(
        schedule: &'static str,
        field: impl Into<String>,
        allowed: impl Into<String>,
        got: impl std::fmt::Display,
    ) -> Self {
        Self::Parameter {
            schedule,
            field: field.into(),
            allowed: allowed.into(),
            got: got.to_string(),
        }
    }
}
