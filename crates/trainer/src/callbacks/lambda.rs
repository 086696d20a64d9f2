//! A closure as a callback.

use crate::callback::Callback;
use crate::error::TrainerError;
use crate::event::{Context, Control, Event};

/// A closure that sees every event; it has no state of its own.
///
/// ```
/// use firecraft_trainer::callbacks::Lambda;
/// use firecraft_trainer::{Control, Event};
///
/// let stop_at_zero = Lambda::new("stop_at_zero", |event, _context| match event {
///     Event::UpdateEnd(update) if update.loss == 0.0 => Control::Stop {
///         reason: "the loss is zero".into(),
///     },
///     _ => Control::Continue,
/// });
/// ```
pub struct Lambda<F> {
    key: String,
    function: F,
}

impl<F> Lambda<F>
where
    F: FnMut(&Event<'_>, &Context<'_>) -> Control + Send,
{
    /// A callback with this key.
    pub fn new(key: impl Into<String>, function: F) -> Self {
        Self {
            key: key.into(),
            function,
        }
    }
}

impl<F> std::fmt::Debug for Lambda<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lambda").field(&self.key).finish()
    }
}

impl<F> Callback for Lambda<F>
where
    F: FnMut(&Event<'_>, &Context<'_>) -> Control + Send,
{
    fn key(&self) -> String {
        self.key.clone()
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        Ok((self.function)(event, context))
    }
}
