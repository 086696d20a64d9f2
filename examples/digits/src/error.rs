//! What can go wrong in this program; each error is one line with the remedy.

use std::path::PathBuf;

use firecraft::augment::AugmentError;
use firecraft::core_tensor::TensorError;
use firecraft::data::DataError;
use firecraft::init::InitError;
use firecraft::norm::NormError;
use firecraft::plot::PlotError;
use firecraft::schedule::ScheduleError;
use firecraft::spec::SpecError;
use firecraft::trainer::TrainerError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum DigitsError {
    #[error(transparent)]
    Trainer(#[from] TrainerError),
    #[error(transparent)]
    Device(#[from] TensorError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    Norm(#[from] NormError),
    #[error(transparent)]
    Augment(#[from] AugmentError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error(transparent)]
    Plugin(#[from] firecraft::plugin_host::PluginError),
    #[error(transparent)]
    Plot(#[from] PlotError),
    #[error("cannot watch for Ctrl-C: {0}; check that nothing else handles signals")]
    Signal(#[from] ctrlc::Error),
    #[error("cannot start the threads: {0}; use a smaller --threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    #[error(
        "`{}` holds images of {height}x{width}x{channels}, expected 8x8x1; give the folder of the digits files",
        path.display()
    )]
    Shape {
        path: PathBuf,
        height: usize,
        width: usize,
        channels: usize,
    },
}
