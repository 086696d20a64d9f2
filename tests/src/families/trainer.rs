//! Cases of the fit loop: histories, events, checkpoint decisions.
//!
//! One file per kind; this one finds the file by peer and name.

mod checkpoint;
mod fastai;
mod keras;
mod lightning;

use super::Outcome;
use crate::golden::{Case, File};

/// Runs one case of the family `trainer`.
pub fn run_case(_file: &File, case: &Case) -> Outcome {
    check(case).into()
}

// One arm per peer; what the arms do not know is unsupported.
fn check(case: &Case) -> Result<(), Outcome> {
    match (case.peer(), case.name()) {
        ("keras", "ModelCheckpoint") => checkpoint::keras(case),
        ("keras", _) if case.has("kernel0") => keras::fit(case),
        ("lightning", "Trainer.fit") => lightning::events(case),
        ("fastai", _) if case.has("events") => fastai::events(case),
        _ => Err(Outcome::Unsupported),
    }
}

/// A model and data that are as small as can be, for cases about order.
mod tiny {
    use burn::module::{Module, Param};
    use burn::tensor::{Device, Tensor};
    use firecraft::trainer::{InMemory, StepOutput, Task};

    /// One number.
    #[derive(Module, Debug)]
    pub(super) struct Number {
        value: Param<Tensor<1>>,
    }

    impl Number {
        pub(super) fn new() -> Self {
            Self {
                value: Param::from_data([1.0f32], &Device::flex().autodiff()),
            }
        }
    }

    /// The square of the number, or the number that the batch holds.
    pub(super) struct Square;

    impl Task<Number> for Square {
        type Batch = Option<f32>;

        fn train_step(&self, model: &Number, batch: Option<f32>) -> StepOutput {
            let value = model.value.val();
            let loss = match batch {
                Some(loss) => value.zeros_like() + loss,
                None => value.powi_scalar(2),
            };
            StepOutput::new(loss, 1)
        }

        fn eval_step(&self, model: &Number, batch: Option<f32>) -> StepOutput {
            self.train_step(model, batch)
        }
    }

    type Make = fn(u64, u64, &Device) -> Option<f32>;

    /// So many batches per epoch.
    pub(super) fn batches(count: u64) -> InMemory<Make> {
        InMemory::new(count, count, |_, _, _| None)
    }
}
