//! The learning-rate range test on a real model.

use std::sync::{Arc, Mutex, PoisonError};

use burn::module::Module;
use firecraft_schedule::{LrFinder, LrFinderConfig, ScheduleError, Scheduler, State, StepContext};

use crate::callbacks::Lambda;
use crate::error::TrainerError;
use crate::event::{Control, Event};
use crate::model_state::ModelState;
use crate::source::BatchSource;
use crate::task::Task;
use crate::trainer::{NonFinite, Trainer};

/// Trains with a growing learning rate until the loss diverges, and gives the
/// curve; the model comes back as it was.
///
/// `trainer` says everything but the schedule and the epochs; callbacks and a
/// checkpoint store that it has are used too, so give one without.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Int, Tensor};
/// use firecraft_schedule::{LrFinderConfig, Suggestion};
/// use firecraft_trainer::{Arrays, Sgd, Supervised, Targets, Trainer, lr_find};
///
/// #[derive(Module, Debug)]
/// struct Net {
///     layer: Linear,
/// }
///
/// impl Supervised for Net {
///     type Input = Tensor<2>;
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         self.layer.forward(x)
///     }
/// }
///
/// let device = Device::flex();
/// let x = Tensor::<2>::from_data([[0.0f32, 1.0], [1.0, 0.0]], &device);
/// let y = Targets::Classes(Tensor::<1, Int>::from_data([0, 1], &device));
/// let net = Net { layer: LinearConfig::new(2, 2).init(&device.autodiff()) };
/// let config = LrFinderConfig::new().with_updates(50_u64);
/// let (net, finder) = lr_find(Trainer::new(net, Sgd::torch()), Arrays::new(x, y, 2)?, &config)?;
/// assert!(finder.suggest(Suggestion::Valley).is_some());
/// # let _ = net;
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
///
/// # Errors
///
/// [`TrainerError::Schedule`] for a config outside its ranges, and those of
/// [`Trainer::fit`].
pub fn lr_find<M, T, S>(
    trainer: Trainer<M, T>,
    train: S,
    config: &LrFinderConfig,
) -> Result<(M, LrFinder), TrainerError>
where
    M: Module,
    T: Task<M>,
    S: BatchSource<Batch = T::Batch>,
{
    let shared = Arc::new(Mutex::new(config.init()?));
    let before = ModelState::of(&trainer.model);
    let watched = Arc::clone(&shared);
    let watch = Lambda::new("lr_find", move |event, _| match event {
        Event::UpdateEnd(update) => {
            let mut finder = watched.lock().unwrap_or_else(PoisonError::into_inner);
            if finder.observe(update.loss) {
                let reason = "the range test is over".into();
                return Control::Stop { reason };
            }
            Control::Continue
        }
        _ => Control::Continue,
    });
    let fitted = trainer
        .schedule(Growing(Arc::clone(&shared)))
        .epochs(config.updates)
        .on_non_finite(NonFinite::Allow)
        .callback(watch)
        .fit_unvalidated(train)?;
    let model = before.restore(fitted.model)?;
    let finder = shared
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    Ok((model, finder))
}

struct Growing(Arc<Mutex<LrFinder>>);

impl Scheduler for Growing {
    fn step(&mut self, _: &StepContext, out: &mut [f64]) {
        let finder = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.fill(finder.learning_rate());
    }

    fn state(&self) -> State {
        State::new("lr_find", 1)
    }

    fn restore(&mut self, _: &State) -> Result<(), ScheduleError> {
        Ok(())
    }
}
