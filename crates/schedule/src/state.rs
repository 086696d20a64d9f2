//! The saved state of a scheduler: versioned, lossless, readable.

use crate::ScheduleError;
use firecraft_spec::{Table, Value, from_value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Everything a scheduler has to remember between two steps.
///
/// What follows from the configuration or from the
/// [`StepContext`](crate::StepContext) is not in it. Serialises to any format;
/// numbers survive bit for bit where the format keeps them: TOML does, and
/// `serde_json` with its feature `float_roundtrip`.
///
/// ```
/// use firecraft_schedule::{ReduceOnPlateauConfig, Scheduler, StepContext};
/// let mut plateau = ReduceOnPlateauConfig::new(0.1).init()?;
/// plateau.step(&StepContext::at(1).with_metric(0.5), &mut [0.0]);
/// let state = plateau.state();
/// assert_eq!(state.type_name, "reduce_on_plateau");
/// assert_eq!(state.values.as_table().unwrap().get("best").unwrap().as_number(), Some(0.5));
/// # Ok::<(), firecraft_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The type of scheduler that made it.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The version of its layout.
    pub version: u32,
    /// The values, a table.
    #[serde(default)]
    pub values: Value,
}

impl State {
    /// A state without values.
    #[must_use]
    pub fn new(type_name: impl Into<String>, version: u32) -> Self {
        Self {
            type_name: type_name.into(),
            version,
            values: Value::Table(Table::new()),
        }
    }

    /// The same state with `name` set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Value::Table(table) = &mut self.values {
            table.insert(name, value);
        }
        self
    }

    /// The same state with a counter. Counters beyond `i64::MAX` are capped,
    /// which no run lives to see.
    #[must_use]
    pub fn with_count(self, name: &str, count: u64) -> Self {
        self.with(name, i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// The same state with the state of an inner scheduler.
    #[must_use]
    pub fn with_inner(self, name: &str, inner: State) -> Self {
        self.with(name, Value::from(inner))
    }

    /// Why the scheduler, or one inside it, could not go on, if so.
    ///
    /// [`Scheduler::step`](crate::Scheduler::step) can't return an error. One
    /// that fails nevertheless, as a plugin's may, fills in NaN and has the
    /// reason in the text `failure` of its state.
    ///
    /// ```
    /// use firecraft_schedule::State;
    /// let failed = State::new("plugin", 1).with("failure", "out of memory");
    /// let outer = State::new("warmup", 1).with_inner("inner", failed);
    /// assert_eq!(outer.failure(), Some("out of memory"));
    /// assert_eq!(State::new("warmup", 1).failure(), None);
    /// ```
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        fn find(value: &Value) -> Option<&str> {
            match value {
                Value::Table(table) => match table.get("failure") {
                    Some(Value::String(reason)) => Some(reason),
                    _ => table.iter().find_map(|(_, value)| find(value)),
                },
                Value::List(values) => values.iter().find_map(find),
                _ => None,
            }
        }
        find(&self.values)
    }

    /// The values, if this state is of the given type and version.
    ///
    /// # Errors
    /// [`ScheduleError::StateType`] or [`ScheduleError::StateVersion`].
    pub fn open(&self, type_name: &str, version: u32) -> Result<StateReader<'_>, ScheduleError> {
        if self.type_name != type_name {
            return Err(ScheduleError::StateType {
                expected: type_name.to_owned(),
                got: self.type_name.clone(),
            });
        }
        if self.version != version {
            return Err(ScheduleError::StateVersion {
                schedule: type_name.to_owned(),
                expected: version,
                got: self.version,
            });
        }
        Ok(StateReader { state: self })
    }
}

impl From<State> for Value {
    fn from(state: State) -> Self {
        let mut table = Table::new();
        table.insert("type", state.type_name);
        table.insert("version", state.version);
        table.insert("values", state.values);
        Value::Table(table)
    }
}

/// Reads the values of a [`State`] whose type and version were checked.
#[derive(Clone, Copy, Debug)]
pub struct StateReader<'a> {
    state: &'a State,
}

impl StateReader<'_> {
    /// The value of `name`.
    ///
    /// # Errors
    /// [`ScheduleError::StateValue`] if it is absent or of another type.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, ScheduleError> {
        // TOML drops nulls, so an absent value is read as one.
        let value = self
            .state
            .values
            .as_table()
            .and_then(|table| table.get(name));
        from_value(value.unwrap_or(&Value::Null))
            .map_err(|error| self.damaged(error.under(name).to_string()))
    }

    /// The state of an inner scheduler.
    ///
    /// # Errors
    /// [`ScheduleError::StateValue`] if it is absent or not a state.
    pub fn inner(&self, name: &str) -> Result<State, ScheduleError> {
        self.get(name)
    }

    /// The error of a value that is there but makes no sense.
    #[must_use]
    pub fn damaged(&self, message: impl Into<String>) -> ScheduleError {
        ScheduleError::StateValue {
            schedule: self.state.type_name.clone(),
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_nest_and_round_trip() {
        let inner = State::new("pure.cosine", 1);
        let state = State::new("warmup", 1)
            .with("best", f64::INFINITY)
            .with("nothing", Value::Null)
            .with_count("n", 3)
            .with_inner("inner", inner.clone());
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&json).unwrap(), state);
        let text = toml::to_string(&state).unwrap();
        let back: State = toml::from_str(&text).unwrap();
        let reader = back.open("warmup", 1).unwrap();
        assert_eq!(reader.get::<f64>("best").unwrap(), f64::INFINITY);
        assert_eq!(reader.get::<Option<f64>>("nothing").unwrap(), None);
        assert_eq!(reader.get::<u64>("n").unwrap(), 3);
        assert_eq!(reader.inner("inner").unwrap(), inner);
    }

    #[test]
    fn other_types_versions_and_damage_are_told_apart() {
        let state = State::new("warmup", 2);
        assert_eq!(
            state.open("sequence", 2).unwrap_err().to_string(),
            "cannot restore a state of `warmup` into `sequence`; build the schedule that was saved"
        );
        assert!(matches!(
            state.open("warmup", 1),
            Err(ScheduleError::StateVersion { got: 2, .. })
        ));
        assert!(matches!(
            state.open("warmup", 2).unwrap().get::<f64>("best"),
            Err(ScheduleError::StateValue { .. })
        ));
    }
}
