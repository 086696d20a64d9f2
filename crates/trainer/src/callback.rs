//! Callbacks: objects that watch a fit and may steer it.

use std::collections::BTreeSet;

use firecraft_spec::Value;

use crate::archive::TensorArchive;
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};

/// Watches a fit and may steer it.
///
/// A callback sees every [`Event`] with a read-only [`Context`] and answers
/// with a [`Control`]. Callbacks are asked in the order in which they were
/// added; what they request is done once all of them have seen the event, so a
/// checkpoint holds the state of all callbacks after the same event.
///
/// ```
/// use firecraft_trainer::{Callback, Context, Control, Event, TrainerError};
///
/// /// Ends the run after a number of updates.
/// struct MaxUpdates(u64);
///
/// impl Callback for MaxUpdates {
///     fn key(&self) -> String {
///         format!("max_updates({})", self.0)
///     }
///
///     fn on(&mut self, event: &Event, context: &Context) -> Result<Control, TrainerError> {
///         match event {
///             Event::UpdateEnd(_) if context.progress.update >= self.0 => Ok(Control::Stop {
///                 reason: format!("{} updates made", self.0),
///             }),
///             _ => Ok(Control::Continue),
///         }
///     }
/// }
/// ```
pub trait Callback: Send {
    /// Identifies the callback in checkpoints and messages. It names what the
    /// callback watches, so that two of one kind can live side by side.
    fn key(&self) -> String;

    /// Reacts to an event.
    ///
    /// # Errors
    ///
    /// An error ends the fit; what was saved before stays.
    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError>;

    /// Everything that is needed to go on after a restart, for checkpoints.
    fn state(&self) -> CallbackState {
        CallbackState::default()
    }

    /// Takes back what [`state`](Self::state) gave.
    ///
    /// # Errors
    ///
    /// When the state is of a version or form that this callback doesn't know.
    fn restore(&mut self, state: CallbackState) -> Result<(), TrainerError> {
        state.expect_version(&self.key(), 0).map(|_| ())
    }
}

/// The state of a callback in a checkpoint.
#[derive(Debug, Clone, Default)]
pub struct CallbackState {
    /// Version of the form of `values`; 0 means that there is no state.
    pub version: u32,
    /// Plain values.
    pub values: Value,
    /// Tensors, such as the best weights so far.
    pub tensors: TensorArchive,
}

impl CallbackState {
    /// A state without tensors.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Spec`] when `values` has no form that can be stored.
    pub fn new(version: u32, values: &impl serde::Serialize) -> Result<Self, TrainerError> {
        Ok(Self {
            version,
            values: firecraft_spec::to_value(values)?,
            tensors: TensorArchive::default(),
        })
    }

    /// The values as a type, if the version is the expected one.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Callback`] for another version or form.
    pub fn values<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
        version: u32,
    ) -> Result<T, TrainerError> {
        firecraft_spec::from_value(self.expect_version(key, version)?).map_err(|error| {
            TrainerError::Callback {
                key: key.to_owned(),
                problem: format!("its state cannot be read: {error}"),
            }
        })
    }

    fn expect_version(&self, key: &str, version: u32) -> Result<&Value, TrainerError> {
        if self.version == version {
            return Ok(&self.values);
        }
        Err(TrainerError::Callback {
            key: key.to_owned(),
            problem: format!(
                "the checkpoint holds version {} of its state, this program reads {version}",
                self.version
            ),
        })
    }
}

/// The callbacks of a fit, in order.
#[derive(Default)]
pub(crate) struct Callbacks(Vec<Box<dyn Callback>>);

impl Callbacks {
    pub(crate) fn add(&mut self, callback: Box<dyn Callback>) {
        self.0.push(callback);
    }

    pub(crate) fn check_keys(&self) -> Result<(), TrainerError> {
        let mut keys = BTreeSet::new();
        for callback in &self.0 {
            let key = callback.key();
            if !keys.insert(key.clone()) {
                return Err(TrainerError::Callback {
                    key,
                    problem: "there are two callbacks of this key; remove one".into(),
                });
            }
        }
        Ok(())
    }

    pub(crate) fn on(
        &mut self,
        event: &Event<'_>,
        context: &Context<'_>,
    ) -> Result<Vec<Control>, TrainerError> {
        let mut controls = Vec::new();
        for callback in &mut self.0 {
            flatten(callback.on(event, context)?, &mut controls);
        }
        Ok(controls)
    }

    pub(crate) fn states(&self) -> Vec<(String, CallbackState)> {
        self.0
            .iter()
            .map(|callback| (callback.key(), callback.state()))
            .collect()
    }

    /// Gives each callback its state back; returns a notice for each state
    /// without a callback and each callback without a state.
    pub(crate) fn restore(
        &mut self,
        mut states: Vec<(String, CallbackState)>,
    ) -> Result<Vec<String>, TrainerError> {
        let mut notices = Vec::new();
        for callback in &mut self.0 {
            let key = callback.key();
            match states.iter().position(|(known, _)| *known == key) {
                Some(at) => callback.restore(states.remove(at).1)?,
                None => notices.push(format!(
                    "callback `{key}` is not in the checkpoint; it starts afresh"
                )),
            }
        }
        for (key, state) in states {
            if state.version > 0 {
                notices.push(format!(
                    "the checkpoint holds the state of `{key}`, which is no callback of this run"
                ));
            }
        }
        Ok(notices)
    }
}

fn flatten(control: Control, into: &mut Vec<Control>) {
    match control {
        Control::Continue => {}
        Control::Many(controls) => {
            for control in controls {
                flatten(control, into);
            }
        }
        other => into.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named(&'static str, u32);

    impl Callback for Named {
        fn key(&self) -> String {
            self.0.into()
        }

        fn on(&mut self, _: &Event<'_>, _: &Context<'_>) -> Result<Control, TrainerError> {
            Ok(Control::Continue)
        }

        fn state(&self) -> CallbackState {
            CallbackState::new(1, &self.1).unwrap()
        }

        fn restore(&mut self, state: CallbackState) -> Result<(), TrainerError> {
            self.1 = state.values(self.0, 1)?;
            Ok(())
        }
    }

    fn set(callbacks: Vec<Named>) -> Callbacks {
        let mut set = Callbacks::default();
        for callback in callbacks {
            set.add(Box::new(callback));
        }
        set
    }

    #[test]
    fn states_find_their_callbacks_whatever_the_order() {
        let states = set(vec![Named("a", 1), Named("b", 2)]).states();
        let mut other = set(vec![Named("b", 0), Named("c", 0), Named("a", 0)]);
        let notices = other.restore(states).unwrap();
        assert_eq!(notices.len(), 1, "{notices:?}");
        let values: Vec<u32> = other
            .states()
            .iter()
            .map(|(key, state)| state.values(key, 1).unwrap())
            .collect();
        assert_eq!(values, [2, 0, 1]);
    }

    #[test]
    fn a_state_of_another_version_is_refused() {
        let mut states = set(vec![Named("a", 1)]).states();
        states[0].1.version = 2;
        let error = set(vec![Named("a", 0)]).restore(states).unwrap_err();
        assert!(error.to_string().contains("version 2"), "{error}");
    }

    #[test]
    fn two_callbacks_of_one_key_are_refused() {
        assert!(set(vec![Named("a", 1), Named("b", 1)]).check_keys().is_ok());
        assert!(
            set(vec![Named("a", 1), Named("a", 2)])
                .check_keys()
                .is_err()
        );
    }

    #[test]
    fn nested_controls_become_a_flat_list() {
        let mut flat = Vec::new();
        let nested = Control::Many(vec![
            Control::Checkpoint,
            Control::Many(vec![Control::Continue, Control::ScaleLearningRate(0.5)]),
        ]);
        flatten(nested, &mut flat);
        assert!(matches!(
            flat[..],
            [Control::Checkpoint, Control::ScaleLearningRate(_)]
        ));
    }
}
