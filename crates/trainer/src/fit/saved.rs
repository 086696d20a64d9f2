//! A whole run as the payloads of a checkpoint, and back.
//!
//! | payload | content |
//! |---|---|
//! | `model.safetensors` | every tensor of the model by path |
//! | `optimizer.safetensors` | `path:field` for every state of the optimiser |
//! | `average.safetensors` | the averaged weights by path, if there are any |
//! | `callbacks.safetensors` | `index/name` for the tensors of callbacks |
//! | `state.json` | everything else, see [`SavedRun`] |

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use burn::module::Module;
use firecraft_schedule::State;
use firecraft_spec::Value;
use serde::{Deserialize, Serialize};

use super::{Fit, Flow, Run, first};
use crate::accumulation::AccumulateFrom;
use crate::archive::{ArchiveError, TensorArchive};
use crate::average::{Average, Averaged};
use crate::callback::CallbackState;
use crate::checkpoint::Payloads;
use crate::error::TrainerError;
use crate::event::{Event, Progress};
use crate::exact;
use crate::metrics::{History, Means};
use crate::model_state::{ModelState, Switches};
use crate::optimizer::OptimizerState;
use crate::source::BatchSource;
use crate::task::Task;

const STATE_VERSION: u32 = 1;
const MODEL: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const AVERAGE: &str = "average.safetensors";
const CALLBACKS: &str = "callbacks.safetensors";
const STATE: &str = "state.json";

/// The part of a checkpoint that is no tensor.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedRun {
    version: u32,
    seed: u64,
    accumulate: u64,
    batches_per_epoch: u64,
    epochs: u64,
    train_data: String,
    valid_data: Option<String>,
    model: String,
    progress: Progress,
    history: History,
    means: Means,
    learning_rate: f64,
    learning_rate_scale: f64,
    pending_metric: Option<f64>,
    scheduler: State,
    cursor: Value,
    switches: Switches,
    optimizer: Value,
    callbacks: Vec<SavedCallback>,
    average: Option<Average>,
    averages_taken: u64,
    #[serde(default)]
    rewinds: u64,
    #[serde(default)]
    rewound_to: Option<String>,
    #[serde(default)]
    pending_stop: Option<String>,
    #[serde(default)]
    evaluated_at: Option<u64>,
    #[serde(default)]
    accumulate_from: Vec<AccumulateFrom>,
}

/// A checkpoint that is being written on another thread.
pub(super) struct Saving(JoinHandle<Result<PathBuf, TrainerError>>, String);

impl Saving {
    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedCallback {
    key: String,
    version: u32,
    values: Value,
}

/// Name of the checkpoint at a moment; later moments have greater names.
pub(crate) fn checkpoint_name(progress: &Progress) -> String {
    let update = progress.update;
    if progress.batch == 0 {
        format!("update-{update:09}-epoch-{:05}", progress.epoch)
    } else {
        format!("update-{update:09}")
    }
}

impl<M, T, S, V> Fit<M, T, S, V>
where
    M: Module,
    T: Task<M>,
    S: BatchSource<Batch = T::Batch>,
    V: BatchSource<Batch = T::Batch>,
{
    /// Saves a checkpoint, if there is a store, and tells the callbacks.
    pub(super) fn save(&mut self) -> Result<Flow, TrainerError> {
        let Some(store) = self.parts.store.clone() else {
            return Ok(Flow::On);
        };
        let flow = self.wait_for_checkpoint()?;
        let name = checkpoint_name(&self.run.progress);
        let payloads = self.payloads()?;
        if !self.parts.settings.background {
            let path = store.save(&name, &payloads)?;
            return Ok(first(flow, self.tell_saved(&name, &path)?));
        }
        let writer = {
            let name = name.clone();
            move || store.save(&name, &payloads)
        };
        self.saving = Some(Saving(std::thread::spawn(writer), name));
        Ok(flow)
    }

    /// Waits until the checkpoint that is being written lies on the disk.
    pub(super) fn wait_for_checkpoint(&mut self) -> Result<Flow, TrainerError> {
        let Some(Saving(writer, name)) = self.saving.take() else {
            return Ok(Flow::On);
        };
        let path = writer.join().map_err(|_| TrainerError::Data {
            split: "checkpoint",
            problem: format!("writing `{name}` panicked; please report this"),
        })??;
        self.tell_saved(&name, &path)
    }

    fn tell_saved(&mut self, name: &str, path: &Path) -> Result<Flow, TrainerError> {
        self.emit(&Event::CheckpointSaved { name, path })
    }

    fn payloads(&self) -> Result<Payloads, TrainerError> {
        let model = ModelState::of(self.model()?);
        let optimizer = self.parts.optimizer.state();
        let mut tensors = TensorArchive::default();
        let mut callbacks = Vec::new();
        for (index, (key, state)) in self.parts.callbacks.states().into_iter().enumerate() {
            for (name, data) in state.tensors.iter() {
                tensors.insert(format!("{index}/{name}"), data.clone());
            }
            callbacks.push(SavedCallback {
                key,
                version: state.version,
                values: state.values,
            });
        }
        let saved = SavedRun {
            version: STATE_VERSION,
            seed: self.parts.settings.seed,
            accumulate: self.parts.settings.accumulate.at(0),
            batches_per_epoch: self.batches_per_epoch,
            epochs: self.plan.epochs,
            train_data: self.train.identity(),
            valid_data: self.valid_data.clone(),
            model: model.fingerprint(),
            progress: self.run.progress,
            history: self.run.history.clone(),
            means: self.run.means.clone(),
            learning_rate: self.run.learning_rate,
            learning_rate_scale: self.run.learning_rate_scale,
            pending_metric: self.run.pending_metric,
            scheduler: self.parts.scheduler.state(),
            cursor: self.boundary.clone().unwrap_or_else(|| self.train.cursor()),
            switches: model.switches().clone(),
            optimizer: optimizer.scalars,
            callbacks,
            average: self.parts.settings.average,
            averages_taken: self.averaged.as_ref().map_or(0, Averaged::taken),
            rewinds: self.run.rewinds,
            rewound_to: self.run.rewound_to.clone(),
            pending_stop: self.run.pending_stop.clone(),
            evaluated_at: self.run.evaluated_at,
            accumulate_from: self.parts.settings.accumulate.changes(),
        };
        let state = exact::to_json(&firecraft_spec::to_value(&saved)?).map_err(unwritable)?;
        let bytes = |archive: &TensorArchive| {
            archive
                .to_bytes()
                .map_err(|error| unwritable(error.to_string()))
        };
        let mut payloads = Payloads::from([
            (MODEL.to_owned(), bytes(&model.to_archive())?),
            (OPTIMIZER.to_owned(), bytes(&optimizer.tensors)?),
            (CALLBACKS.to_owned(), bytes(&tensors)?),
            (STATE.to_owned(), state),
        ]);
        if let Some(averaged) = &self.averaged {
            let average = ModelState::of(averaged.model()).to_archive();
            payloads.insert(AVERAGE.to_owned(), bytes(&average)?);
        }
        Ok(payloads)
    }

    /// Goes on from the newest readable checkpoint. Says whether there was one,
    /// and what the user should know.
    pub(super) fn load_latest(&mut self) -> Result<(bool, Vec<String>), TrainerError> {
        let Some(store) = &self.parts.store else {
            return Err(TrainerError::Setting {
                field: "resume",
                value: "true".into(),
                allowed: "true only with a checkpoint store",
            });
        };
        let Some(latest) = store.latest()? else {
            let notice = "there is no checkpoint yet; starting from the beginning".into();
            return Ok((false, vec![notice]));
        };
        let folder = store.folder().join(&latest.name);
        let mut notices = latest.notices;
        notices.extend(self.restore(&folder, &latest.payloads)?);
        Ok((true, notices))
    }

    pub(super) fn restore(
        &mut self,
        folder: &Path,
        payloads: &Payloads,
    ) -> Result<Vec<String>, TrainerError> {
        let damaged = |problem: String| {
            TrainerError::damaged(folder, problem, "resume from an earlier checkpoint")
        };
        let payload = |name: &str| {
            payloads
                .get(name)
                .ok_or_else(|| damaged(format!("it has no `{name}`")))
        };
        let archive = |name: &str| {
            TensorArchive::from_bytes(payload(name)?)
                .map_err(|error: ArchiveError| damaged(format!("`{name}`: {error}")))
        };
        let state = exact::from_json(payload(STATE)?).map_err(&damaged)?;
        let saved: SavedRun =
            firecraft_spec::from_value(&state).map_err(|error| damaged(error.to_string()))?;
        if saved.version != STATE_VERSION {
            return Err(damaged(format!(
                "its state has version {}, this program reads {STATE_VERSION}",
                saved.version
            )));
        }
        let mut notices = self.compare(&saved)?;

        let model = ModelState::from_parts(&archive(MODEL)?, saved.switches);
        if model.fingerprint() != saved.model {
            return Err(damaged("model and state don't belong together".into()));
        }
        let fresh = self.take_model()?;
        self.model = Some(model.restore(fresh)?);
        if let (Some(rule), true) = (saved.average, saved.averages_taken > 0) {
            let average = ModelState::from_parts(&archive(AVERAGE)?, Switches::default());
            let model = average.apply(self.model()?.valid())?;
            self.averaged = Some(Averaged::from_parts(rule, model, saved.averages_taken));
        } else {
            self.averaged = None;
        }
        let optimizer = OptimizerState {
            tensors: archive(OPTIMIZER)?,
            scalars: saved.optimizer,
        };
        self.parts.optimizer.restore(&optimizer, &self.device)?;
        self.parts.scheduler.restore(&saved.scheduler)?;
        let mut tensors = archive(CALLBACKS)?;
        let mut callbacks = Vec::new();
        for (index, callback) in saved.callbacks.into_iter().enumerate() {
            callbacks.push((
                callback.key,
                CallbackState {
                    version: callback.version,
                    values: callback.values,
                    tensors: take_prefixed(&mut tensors, &format!("{index}/")),
                },
            ));
        }
        notices.extend(self.parts.callbacks.restore(callbacks)?);
        if saved.progress.batch > 0 {
            self.train.restore(&saved.cursor)?;
        }
        self.run = Run {
            progress: saved.progress,
            history: saved.history,
            means: saved.means,
            learning_rate: saved.learning_rate,
            learning_rate_scale: saved.learning_rate_scale,
            pending_metric: saved.pending_metric,
            rewinds: saved.rewinds,
            rewound_to: saved.rewound_to,
            pending_stop: saved.pending_stop,
            evaluated_at: saved.evaluated_at,
        };
        self.boundary = None;
        self.dirty = false;
        self.recalibrated = 0;
        Ok(notices)
    }

    /// Refuses the checkpoint of another run.
    fn compare(&self, saved: &SavedRun) -> Result<Vec<String>, TrainerError> {
        let settings = &self.parts.settings;
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
        for (field, found, asked) in [
            ("seed", saved.seed.to_string(), settings.seed.to_string()),
            (
                "accumulate",
                saved.accumulate.to_string(),
                settings.accumulate.at(0).to_string(),
            ),
            (
                "accumulate_from",
                format!("{:?}", saved.accumulate_from),
                format!("{:?}", settings.accumulate.changes()),
            ),
            (
                "training data",
                saved.train_data.clone(),
                self.train.identity(),
            ),
            (
                "batches per epoch",
                saved.batches_per_epoch.to_string(),
                self.batches_per_epoch.to_string(),
            ),
            (
                "average",
                format!("{:?}", saved.average),
                format!("{:?}", settings.average),
            ),
            (
                "validation data",
                or_none(&saved.valid_data),
                or_none(&self.valid_data),
            ),
        ] {
            if found != asked {
                return Err(TrainerError::OtherRecipe {
                    field: field.to_owned(),
                    found,
                    asked,
                });
            }
        }
        let mut notices = Vec::new();
        if saved.epochs != self.plan.epochs {
            notices.push(format!(
                "the run was planned for {} epochs and now for {}; a schedule over the whole run changes with it",
                saved.epochs, self.plan.epochs
            ));
        }
        Ok(notices)
    }
}

fn take_prefixed(archive: &mut TensorArchive, prefix: &str) -> TensorArchive {
    let names: Vec<String> = archive
        .names()
        .filter(|name| name.starts_with(prefix))
        .map(str::to_owned)
        .collect();
    let mut taken = TensorArchive::default();
    for name in names {
        if let Some(data) = archive.remove(&name) {
            taken.insert(&name[prefix.len()..], data);
        }
    }
    taken
}

fn unwritable(problem: String) -> TrainerError {
    TrainerError::Data {
        split: "checkpoint",
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_moments_have_greater_names() {
        let at = |epoch, update, batch| {
            checkpoint_name(&Progress {
                epoch,
                update,
                batch,
                samples: 0,
            })
        };
        let names = [
            at(0, 0, 0),
            at(0, 1, 1),
            at(0, 39, 39),
            at(0, 40, 40),
            at(1, 40, 0),
            at(1, 41, 1),
        ];
        assert!(names.is_sorted(), "{names:?}");
    }
}
