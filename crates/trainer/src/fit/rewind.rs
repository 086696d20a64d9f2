//! Going back to an earlier checkpoint of the run.

use burn::module::Module;

use super::{Fit, Flow};
use crate::archive::TensorArchive;
use crate::checkpoint::Payloads;
use crate::error::TrainerError;
use crate::event::Event;
use crate::source::BatchSource;
use crate::task::Task;

impl<M, T, S, V> Fit<M, T, S, V>
where
    M: Module,
    T: Task<M>,
    S: BatchSource<Batch = T::Batch>,
    V: BatchSource<Batch = T::Batch>,
{
    /// Goes back to the newest checkpoint with finite weights and lowers the
    /// learning rate.
    ///
    /// The checkpoint is written again at once, with the number of rewinds and
    /// the new learning rate in it: a kill afterwards changes nothing.
    pub(super) fn rewind(&mut self, factor: f64, reason: &str) -> Result<Flow, TrainerError> {
        if !(factor > 0.0 && factor <= 1.0) {
            return Err(super::setting(
                "rewind.factor",
                &factor.to_string(),
                "(0, 1]",
            ));
        }
        self.wait_for_checkpoint()?;
        let Some(store) = self.parts.store.clone() else {
            return Err(super::setting(
                "on_non_finite",
                "rewind",
                "rewind only with a checkpoint store",
            ));
        };
        let update = self.run.progress.update;
        let mut names = store.names()?;
        // From here the last rewind started, and it led back to it.
        if names.len() > 1 && self.run.rewound_to.as_ref() == names.last() {
            names.pop();
        }
        let mut target = None;
        while let Some(name) = names.pop() {
            if let Ok(payloads) = store.load(&name)
                && is_finite(&payloads)
            {
                target = Some((name, payloads));
                break;
            }
        }
        let Some((name, payloads)) = target else {
            return Err(TrainerError::Data {
                split: "checkpoint",
                problem: format!(
                    "{reason} at update {update}, and no checkpoint has finite weights; lower the learning rate and start again"
                ),
            });
        };
        let rewinds = self.run.rewinds + 1;
        let notices = self.restore(&store.folder().join(&name), &payloads)?;
        let times = i32::try_from(rewinds - self.run.rewinds).unwrap_or(i32::MAX);
        self.run.learning_rate_scale *= factor.powi(times);
        self.run.rewinds = rewinds;
        self.run.rewound_to = Some(name.clone());
        // What came after it belongs to a run that was given up.
        store.remove_after(&name)?;
        self.save()?;
        self.wait_for_checkpoint()?;
        for message in notices {
            self.emit(&Event::Notice { message: &message })?;
        }
        let message = format!(
            "{reason} at update {update}: back to `{name}` with the learning rate times {:.3e}",
            self.run.learning_rate_scale
        );
        self.emit(&Event::Notice { message: &message })?;
        self.emit(&Event::Rewound)?;
        Ok(Flow::Again)
    }
}

fn is_finite(payloads: &Payloads) -> bool {
    let model = payloads.get("model.safetensors");
    let Some(Ok(archive)) = model.map(|bytes| TensorArchive::from_bytes(bytes)) else {
        return false;
    };
    archive
        .iter()
        .all(|(_, data)| data.iter::<f64>().all(f64::is_finite))
}
