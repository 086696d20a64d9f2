//! Callbacks by name: what recipes reach.

use std::path::Path;
use std::time::Duration;

use firecraft_spec::{Kind, Registries, Registry, Spec, SpecError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    CheckpointConfig, CsvLoggerConfig, EarlyStoppingSettings, FreezeStatisticsConfig,
    GradualUnfreezingConfig, JsonlLoggerConfig, LossGuardConfig, ProfilerConfig, ProgressBarConfig,
    ReduceLrOnPlateauSettings, SaveWeightsConfig, TensorBoardConfig, TerminateOnNanConfig,
    TimeLimitConfig, TimingLoggerConfig,
};
use crate::callback::Callback;
use crate::error::TrainerError;

/// The kind of object that the specs of this crate describe.
///
/// A callback of one's own gets a name in the same registry:
///
/// ```
/// use firecraft_spec::{Registries, Spec};
/// use firecraft_trainer::callbacks::Lambda;
/// use firecraft_trainer::{CallbackTypes, Control, Event, register};
///
/// let mut registries = Registries::new();
/// register(&mut registries)?;
/// registries.get_mut::<CallbackTypes>().register(
///     "stop_after",
///     "stops after so many updates",
///     |spec, _| {
///         #[derive(serde::Deserialize)]
///         #[serde(deny_unknown_fields)]
///         struct Config {
///             updates: u64,
///         }
///         let Config { updates } = spec.parse()?;
///         Ok(Box::new(Lambda::new("stop_after", move |event, context| match event {
///             Event::UpdateEnd(_) if context.progress.update >= updates => Control::Stop {
///                 reason: "enough".into(),
///             },
///             _ => Control::Continue,
///         })))
///     },
/// )?;
/// let spec = Spec::new("stop_after").with("updates", 100);
/// assert_eq!(registries.build::<CallbackTypes>(&spec)?.key(), "stop_after");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CallbackTypes;

impl Kind for CallbackTypes {
    type Object = dyn Callback;
    const NAME: &'static str = "callback";
}

/// The settings of a callback that has a name.
pub trait CallbackConfig: Serialize + DeserializeOwned {
    /// Its `type` in specs.
    const NAME: &'static str;
    /// What it does, in one line.
    const SUMMARY: &'static str;

    /// The callback; relative paths are below `folder`.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] for a setting outside its range, or a store that can't
    /// be opened.
    fn build(&self, folder: &Path) -> Result<Box<dyn Callback>, TrainerError>;

    /// The spec that describes it.
    ///
    /// # Errors
    ///
    /// [`SpecError`] for a number that a spec can't hold.
    fn spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config(Self::NAME, self)
    }
}

/// Adds every callback that a recipe can name; relative paths in their settings
/// are below `folder`.
pub(crate) fn register_all(registries: &mut Registries, folder: &Path) -> Result<(), SpecError> {
    let registry = registries.get_mut::<CallbackTypes>();
    add::<CheckpointConfig>(registry, folder)?;
    add::<CsvLoggerConfig>(registry, folder)?;
    add::<EarlyStoppingSettings>(registry, folder)?;
    add::<FreezeStatisticsConfig>(registry, folder)?;
    add::<GradualUnfreezingConfig>(registry, folder)?;
    add::<JsonlLoggerConfig>(registry, folder)?;
    add::<LossGuardConfig>(registry, folder)?;
    add::<ProfilerConfig>(registry, folder)?;
    add::<ProgressBarConfig>(registry, folder)?;
    add::<ReduceLrOnPlateauSettings>(registry, folder)?;
    add::<SaveWeightsConfig>(registry, folder)?;
    add::<TensorBoardConfig>(registry, folder)?;
    add::<TerminateOnNanConfig>(registry, folder)?;
    add::<TimeLimitConfig>(registry, folder)?;
    add::<TimingLoggerConfig>(registry, folder)
}

fn add<C: CallbackConfig + 'static>(
    registry: &mut Registry<CallbackTypes>,
    folder: &Path,
) -> Result<(), SpecError> {
    let folder = folder.to_owned();
    registry.register(C::NAME, C::SUMMARY, move |spec, _| {
        let config: C = spec.parse()?;
        config.build(&folder).map_err(SpecError::invalid)
    })
}

/// A number that must not be 0, if it is given.
pub(super) fn at_least_one(
    field: &'static str,
    value: Option<u64>,
) -> Result<Option<u64>, TrainerError> {
    if value == Some(0) {
        return Err(TrainerError::Setting {
            field,
            value: "0".into(),
            allowed: "at least 1",
        });
    }
    Ok(value)
}

/// A length of time.
pub(super) fn seconds(field: &'static str, value: f64) -> Result<Duration, TrainerError> {
    Duration::try_from_secs_f64(value).map_err(|_| TrainerError::Setting {
        field,
        value: value.to_string(),
        allowed: "a finite number of at least 0",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All names with settings that are not the defaults.
    fn specs() -> Vec<&'static str> {
        vec![
            "type = 'checkpoint'\nevery_updates = 50\nevery_seconds = 60.0\non_error = true\nkeep_best = 3\nmonitor = 'val_accuracy'",
            "type = 'csv_logger'\nfile = 'table.csv'",
            "type = 'early_stopping'\nmonitor = 'val_accuracy'\npatience = 3\nmin_delta = 0.01\nbaseline = 0.5\ncheck_finite = true",
            "type = 'freeze_statistics'\nfrom_epoch = 2\nselect = { by = 'path', glob = 'a.*' }",
            "type = 'gradual_unfreezing'\nfreeze_statistics = true\nparts = [{ epoch = 2, select = { by = 'path', glob = 'a.*' } }]",
            "type = 'jsonl_logger'\nevery_updates = 10",
            "type = 'loss_guard'\nfactor = 3.0\nremedy = { type = 'rewind', factor = 0.5 }\nwindow = 20",
            "type = 'profiler'",
            "type = 'progress_bar'",
            "type = 'reduce_lr_on_plateau'\nfactor = 0.5\npatience = 5",
            "type = 'save_weights'\nbest = 'val_loss'",
            "type = 'tensorboard'\nhistograms = true",
            "type = 'terminate_on_nan'",
            "type = 'time_limit'\nseconds = 900.0",
            "type = 'timing_logger'",
        ]
    }

    fn registries(folder: &Path) -> Registries {
        let mut registries = Registries::new();
        register_all(&mut registries, folder).unwrap();
        registries
    }

    #[test]
    fn every_name_builds_from_toml_and_from_json_and_refuses_what_it_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let registries = registries(folder.path());
        let mut names = Vec::new();
        for text in specs() {
            let spec: Spec = toml::from_str(text).unwrap();
            let json = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
            let callback = registries.build::<CallbackTypes>(&spec).unwrap();
            assert!(callback.key().starts_with(&spec.type_name), "{text}");
            let odd = spec.clone().with("colour", "red");
            let error = registries.build::<CallbackTypes>(&odd).err().unwrap();
            assert!(error.to_string().contains("`colour`"), "{error}");
            names.push(spec.type_name);
        }
        let known: Vec<String> = (registries.get::<CallbackTypes>().unwrap().names())
            .map(str::to_owned)
            .collect();
        assert_eq!(names, known);
    }

    fn round_trip<C: CallbackConfig + PartialEq + std::fmt::Debug>(text: &str) {
        let spec: Spec = toml::from_str(text).unwrap();
        let config: C = spec.parse().unwrap();
        let again = config.spec().unwrap();
        assert_eq!(again.parse::<C>().unwrap(), config);
        let toml: Spec = toml::from_str(&toml::to_string(&again).unwrap()).unwrap();
        assert_eq!(toml, again);
    }

    #[test]
    fn settings_come_back_from_the_specs_that_they_write() {
        for text in specs() {
            let name = text.split('\'').nth(1).unwrap();
            match name {
                "checkpoint" => round_trip::<CheckpointConfig>(text),
                "csv_logger" => round_trip::<CsvLoggerConfig>(text),
                "early_stopping" => round_trip::<EarlyStoppingSettings>(text),
                "freeze_statistics" => round_trip::<FreezeStatisticsConfig>(text),
                "gradual_unfreezing" => round_trip::<GradualUnfreezingConfig>(text),
                "jsonl_logger" => round_trip::<JsonlLoggerConfig>(text),
                "loss_guard" => round_trip::<LossGuardConfig>(text),
                "profiler" => round_trip::<ProfilerConfig>(text),
                "progress_bar" => round_trip::<ProgressBarConfig>(text),
                "reduce_lr_on_plateau" => round_trip::<ReduceLrOnPlateauSettings>(text),
                "save_weights" => round_trip::<SaveWeightsConfig>(text),
                "tensorboard" => round_trip::<TensorBoardConfig>(text),
                "terminate_on_nan" => round_trip::<TerminateOnNanConfig>(text),
                "time_limit" => round_trip::<TimeLimitConfig>(text),
                "timing_logger" => round_trip::<TimingLoggerConfig>(text),
                other => panic!("{other} has no line here"),
            }
        }
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let registries = registries(folder.path());
        for (spec, part) in [
            (
                Spec::new("loss_guard")
                    .with("factor", 0.5)
                    .with("remedy", Spec::new("skip")),
                "factor",
            ),
            (
                Spec::new("reduce_lr_on_plateau").with("factor", 2.0),
                "factor",
            ),
            (
                Spec::new("early_stopping")
                    .with("patience", 1)
                    .with("min_delta", -1.0),
                "min_delta",
            ),
            (
                Spec::new("jsonl_logger").with("every_updates", 0),
                "every_updates",
            ),
            (
                Spec::new("checkpoint").with("every_epochs", 0),
                "every_epochs",
            ),
            (
                Spec::new("checkpoint").with("every_seconds", f64::NAN),
                "every_seconds",
            ),
            (Spec::new("earlystopping"), "early_stopping"),
        ] {
            let error = registries.build::<CallbackTypes>(&spec).err().unwrap();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
