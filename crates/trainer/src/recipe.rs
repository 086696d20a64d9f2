//! The recipe: everything that a run is made from, as a text file.

mod build;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use firecraft_augment::Mixing;
use firecraft_spec::{Registries, Spec, Value};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::accumulation::AccumulateFrom;
use crate::average::Average;
use crate::clip::Clip;
use crate::error::TrainerError;
use crate::fit::setting;
use crate::loss::{self, LossTypes};
use crate::optimizer::{AdamW, OptimizerConfig};
use crate::penalty::Penalty;
use crate::trainer::NonFinite;

/// Version of the recipe format that this crate writes.
pub const RECIPE_VERSION: u32 = 1;

/// What a run is made from: model, techniques, optimiser, settings and seed.
///
/// The same recipe gives the same run. It is stored as `recipe.toml` in the
/// run folder; a run is resumed only with the recipe that it was made from.
///
/// ```
/// use firecraft_trainer::Recipe;
///
/// let recipe = Recipe { seed: 7, ..Recipe::default() };
/// let text = recipe.to_toml()?;
/// assert!(text.contains("seed = 7"));
/// assert_eq!(Recipe::parse(&text)?, recipe);
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// See [`RECIPE_VERSION`].
    pub version: u32,
    /// Seed of everything random, below 2⁶³.
    pub seed: u64,
    /// Epochs to make, at least 1.
    pub epochs: u64,
    /// Samples per batch, at least 1.
    pub batch_size: u64,
    /// Batches whose gradients are averaged for one update, at least 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: u64,
    /// Other numbers from later epochs on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accumulate_from: Vec<AccumulateFrom>,
    /// Batches after which an epoch ends; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batches_per_epoch: Option<u64>,
    /// Epochs between two evaluations, at least 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub validate_every: u64,
    /// Updates between two evaluations within epochs; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate_every_updates: Option<u64>,
    /// Validation batches per evaluation; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_batches: Option<u64>,
    /// Updates after which the run ends, whatever the epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_updates: Option<u64>,
    /// Epochs before which no callback stops the run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_epochs: u64,
    /// The metric that the schedule follows, if it follows one.
    #[serde(default = "val_loss", skip_serializing_if = "is_val_loss")]
    pub monitor: String,
    /// What to do about a loss or gradient that is not finite.
    #[serde(default, skip_serializing_if = "is_default")]
    pub non_finite: NonFinite,
    /// The plugins whose types the recipe may name, besides what is built in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<PluginFile>,
    /// The model family and its settings.
    pub model: Spec,
    /// The data set.
    pub data: Spec,
    /// How the parameters are initialised.
    pub init: Spec,
    /// The normalisation layers, or `none`.
    pub norm: Spec,
    /// The learning rate over the updates.
    pub schedule: Spec,
    /// The augmentation, in order; none when empty.
    #[serde(default)]
    pub augment: Vec<Spec>,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// The bound on gradients; none unless it is given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub clip: Clip,
    /// The average of the weights, if one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<Average>,
    /// Penalties on weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub penalties: Vec<Penalty>,
    /// The mixing of batches (MixUp, CutMix), if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixing: Option<Mixing>,
    /// The training loss; a cross-entropy unless another type is named.
    #[serde(default = "cross_entropy", deserialize_with = "loss_spec")]
    pub loss: Spec,
    /// The callbacks that shape the run, such as early stopping.
    #[serde(default)]
    pub callbacks: Vec<Spec>,
}

/// A plugin that a recipe needs:
/// `[[plugins]]`, `path = "/opt/plugins/libgrain.so"`, `sha256 = "9f86d0…"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginFile {
    /// The shared library, from the root.
    pub path: PathBuf,
    /// What its SHA-256 must be, as hexadecimal digits. A run folder's recipe
    /// always has it, so that a run is not resumed with another plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

fn one() -> u64 {
    1
}

fn val_loss() -> String {
    "val_loss".into()
}

fn cross_entropy() -> Spec {
    Spec::new("cross_entropy")
}

/// A spec whose type may be left out.
fn loss_spec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Spec, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Table(params) if !params.contains_key("type") => Ok(Spec {
            params,
            ..cross_entropy()
        }),
        value => firecraft_spec::from_value(&value).map_err(D::Error::custom),
    }
}

fn is_val_loss(monitor: &str) -> bool {
    monitor == "val_loss"
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde wants a reference here"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde wants a reference here"
)]
fn is_one(value: &u64) -> bool {
    *value == 1
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            version: RECIPE_VERSION,
            seed: 0,
            epochs: 1,
            batch_size: 32,
            accumulate: 1,
            accumulate_from: Vec::new(),
            batches_per_epoch: None,
            validate_every: 1,
            validate_every_updates: None,
            validation_batches: None,
            max_updates: None,
            min_epochs: 0,
            monitor: val_loss(),
            non_finite: NonFinite::Stop,
            plugins: Vec::new(),
            model: Spec::new("none"),
            data: Spec::new("none"),
            init: Spec::new("none"),
            norm: Spec::new("none"),
            schedule: Spec::new("constant"),
            augment: Vec::new(),
            optimizer: OptimizerConfig::AdamW(AdamW::torch()),
            clip: Clip::None,
            average: None,
            penalties: Vec::new(),
            mixing: None,
            loss: cross_entropy(),
            callbacks: Vec::new(),
        }
    }
}

impl Recipe {
    /// Reads a recipe from TOML.
    ///
    /// ```
    /// use firecraft_trainer::Recipe;
    ///
    /// let text = Recipe::default().to_toml()?.replace("epochs = 1", "epoch = 1");
    /// let error = Recipe::parse(&text).unwrap_err().to_string();
    /// assert!(error.starts_with("`recipe.toml`, line 3: `epoch`: unknown field: did you mean `epochs`?"));
    /// # Ok::<(), firecraft_trainer::TrainerError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TrainerError::Recipe`] with the line, the field and what is allowed.
    pub fn parse(text: &str) -> Result<Self, TrainerError> {
        text::read(text).map_err(|mistake| mistake.of_author(Path::new("recipe.toml")))
    }

    /// Reads a recipe file that somebody wrote; of a run's own copy,
    /// [`RunFolder::recipe`](crate::RunFolder::recipe).
    ///
    /// # Errors
    ///
    /// [`TrainerError::Io`] when it can't be read, [`TrainerError::Recipe`]
    /// when it is no recipe.
    pub fn load(path: &Path) -> Result<Self, TrainerError> {
        text::read(&text_of(path, "check the path")?).map_err(|mistake| mistake.of_author(path))
    }

    /// Reads the recipe that a run keeps: nobody should have changed it.
    pub(crate) fn load_stored(path: &Path) -> Result<Self, TrainerError> {
        let text = text_of(path, "give the folder of an earlier run")?;
        text::read(&text).map_err(|mistake| mistake.of_run(path))
    }

    /// The recipe as TOML.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Spec`] for a value that TOML can't hold.
    pub fn to_toml(&self) -> Result<String, TrainerError> {
        toml::to_string(self)
            .map_err(|error| TrainerError::Spec(firecraft_spec::SpecError::invalid(error)))
    }

    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Setting`] for a value outside its range.
    pub fn check(&self) -> Result<(), TrainerError> {
        let at_least_one = [
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
            ("accumulate", self.accumulate),
            ("batches_per_epoch", self.batches_per_epoch.unwrap_or(1)),
            ("validate_every", self.validate_every),
            (
                "validate_every_updates",
                self.validate_every_updates.unwrap_or(1),
            ),
            ("validation_batches", self.validation_batches.unwrap_or(1)),
            ("max_updates", self.max_updates.unwrap_or(1)),
        ];
        for (field, value) in at_least_one {
            if value == 0 {
                return Err(TrainerError::Setting {
                    field,
                    value: "0".into(),
                    allowed: "at least 1",
                });
            }
        }
        if self.accumulate_from.iter().any(|from| from.batches == 0) {
            return Err(setting("accumulate_from.batches", "0", "at least 1"));
        }
        self.clip.check()?;
        self.average.map_or(Ok(()), |average| average.check())?;
        self.penalties.iter().try_for_each(Penalty::check)?;
        if let Some(mixing) = &self.mixing {
            mixing.validate().map_err(|error| {
                let problem = error.to_string();
                setting("mixing", &problem, "what Mixing documents")
            })?;
        }
        self.check_loss()?;
        self.optimizer.build().map(|_| ())
    }

    /// Checks a loss of this crate; one of another may be registered later.
    fn check_loss(&self) -> Result<(), TrainerError> {
        let mut registries = Registries::new();
        loss::register(&mut registries)?;
        if registries
            .get::<LossTypes>()?
            .contains(&self.loss.type_name)
        {
            let built = registries.build::<LossTypes>(&self.loss);
            built.map_err(|error| error.under("loss"))?;
        }
        Ok(())
    }

    /// Compares with the recipe that is asked for now.
    ///
    /// # Errors
    ///
    /// [`TrainerError::OtherRecipe`] naming the first field that differs.
    pub fn expect(&self, asked: &Self) -> Result<(), TrainerError> {
        match self.differences(asked)?.into_iter().next() {
            None => Ok(()),
            Some(Difference {
                field,
                found,
                asked,
            }) => Err(TrainerError::OtherRecipe {
                field,
                found,
                asked,
            }),
        }
    }

    /// Every field in which another recipe differs.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Spec`] for a value that has no text form.
    pub fn differences(&self, other: &Self) -> Result<Vec<Difference>, TrainerError> {
        let found = firecraft_spec::to_value(self)?;
        let asked = firecraft_spec::to_value(other)?;
        let mut differences = Vec::new();
        compare(String::new(), &found, &asked, &mut differences);
        Ok(differences)
    }
}

fn text_of(path: &Path, remedy: &'static str) -> Result<String, TrainerError> {
    fs::read_to_string(path).map_err(TrainerError::io("read the recipe", path, remedy))
}

/// A field in which two recipes differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its path, such as `augment[0].degrees`.
    pub field: String,
    /// The value in the one recipe, or `absent`.
    pub found: String,
    /// The value in the other.
    pub asked: String,
}

fn compare(path: String, a: &Value, b: &Value, differences: &mut Vec<Difference>) {
    if a == b {
        return;
    }
    let inside = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match (a, b) {
        (Value::Table(a), Value::Table(b)) => {
            let absent = Value::Null;
            for name in a
                .keys()
                .chain(b.keys().filter(|name| !a.contains_key(name)))
            {
                let left = a.get(name).unwrap_or(&absent);
                let right = b.get(name).unwrap_or(&absent);
                compare(inside(name), left, right, differences);
            }
        }
        (Value::List(a), Value::List(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                compare(format!("{path}[{i}]"), a, b, differences);
            }
        }
        _ => differences.push(Difference {
            field: path,
            found: show(a),
            asked: show(b),
        }),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "absent".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
