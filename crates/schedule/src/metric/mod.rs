//! What follows a metric: plateau rules and early stopping over one monitor.

mod early_stopping;
mod greedy;
mod monitor;
mod plateau;
mod smoothing;

pub use early_stopping::{EarlyStopping, EarlyStoppingConfig, StopReason, Verdict};
pub use greedy::{Greedy, GreedyConfig};
pub use monitor::{Margin, Mode, Monitor, MonitorConfig, NanPolicy, Observation};
pub use plateau::{PlateauRule, ReduceOnPlateau, ReduceOnPlateauConfig};
