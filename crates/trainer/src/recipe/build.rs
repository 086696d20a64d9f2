//! From a recipe to a trainer.

use firecraft_schedule::Schedulers;
use firecraft_spec::Registries;

use super::Recipe;
use crate::callbacks::CallbackTypes;
use crate::error::TrainerError;
use crate::loss::LossTypes;
use crate::task::{Supervised, SupervisedTask};
use crate::trainer::Trainer;

impl Recipe {
    /// A trainer of a [`Supervised`] model with all that the recipe says of the training:
    /// optimiser, schedule, loss, clipping, averages, penalties, lengths,
    /// evaluations, seed, and the callbacks that it names.
    ///
    /// The model, its initialisation and the data are the caller's, since their
    /// types are; so are the mixing ([`mix_batches`](crate::mix_batches)) and
    /// the checkpoint store.
    ///
    /// ```
    /// use burn::module::Module;
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::tensor::{Device, Tensor};
    /// use firecraft_spec::{Registries, Spec};
    /// use firecraft_trainer::{Recipe, Supervised, TrainerError, register_in};
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
    /// let recipe = Recipe {
    ///     schedule: Spec::new("constant").with("value", 0.01),
    ///     callbacks: vec![
    ///         Spec::new("early_stopping").with("patience", 5),
    ///         Spec::new("csv_logger"),
    ///     ],
    ///     ..Recipe::default()
    /// };
    /// let folder = tempfile::tempdir().unwrap();
    /// let mut registries = Registries::new();
    /// firecraft_schedule::register(&mut registries)?;
    /// register_in(&mut registries, folder.path())?;
    /// let device = Device::flex().autodiff();
    /// let model = Net { layer: LinearConfig::new(2, 2).init(&device) };
    /// let trainer = recipe.trainer(model, &registries)?;
    /// # let _ = trainer;
    /// # Ok::<(), TrainerError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TrainerError::Spec`] for a type or a parameter that a registry doesn't
    /// know, and what [`check`](Self::check) reports.
    pub fn trainer<M: Supervised>(
        &self,
        model: M,
        registries: &Registries,
    ) -> Result<Trainer<M, SupervisedTask>, TrainerError> {
        self.check()?;
        let mut trainer = Trainer::new(model, self.optimizer.build()?)
            .task(self.task(registries)?)
            .schedule(registries.build::<Schedulers>(&self.schedule)?)
            .monitor(&self.monitor)
            .epochs(self.epochs)
            .seed(self.seed)
            .accumulate(self.accumulate)
            .validate_every(self.validate_every)
            .min_epochs(self.min_epochs)
            .clip(self.clip)
            .on_non_finite(self.non_finite);
        for from in &self.accumulate_from {
            trainer = trainer.accumulate_from(from.epoch, from.batches);
        }
        if let Some(batches) = self.batches_per_epoch {
            trainer = trainer.limit_batches(batches);
        }
        if let Some(updates) = self.validate_every_updates {
            trainer = trainer.validate_every_updates(updates);
        }
        if let Some(batches) = self.validation_batches {
            trainer = trainer.limit_validation(batches);
        }
        if let Some(updates) = self.max_updates {
            trainer = trainer.max_updates(updates);
        }
        if let Some(average) = self.average {
            trainer = trainer.average(average);
        }
        for penalty in &self.penalties {
            trainer = trainer.penalty(penalty.clone());
        }
        for (index, spec) in self.callbacks.iter().enumerate() {
            let callback = registries
                .build::<CallbackTypes>(spec)
                .map_err(|error| error.at(index).under("callbacks"))?;
            trainer = trainer.callbacks([callback]);
        }
        Ok(trainer)
    }

    /// What the model is trained for: the loss that the recipe names, and the
    /// metric that goes with it.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Spec`] for a type or a parameter that the registry of
    /// [`LossTypes`] doesn't know.
    pub fn task(&self, registries: &Registries) -> Result<SupervisedTask, TrainerError> {
        let loss = registries.build::<LossTypes>(&self.loss);
        let loss = loss.map_err(|error| error.under("loss"))?;
        Ok(SupervisedTask { loss })
    }
}
