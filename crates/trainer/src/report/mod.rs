//! Reports: one HTML page per run, and one that compares runs.
//!
//! | file | content |
//! |---|---|
//! | `run.rs` | the page of one run |
//! | `compare.rs` | the page that puts several runs beside each other |
//! | `predictions.rs` | answers of a classifier on labelled data, and what is wrong with them |
//!
//! Pages need nothing but themselves: no script, no font, no network. What must
//! not live here: charts (they are `firecraft-plot`'s) and computing; a report
//! shows what it is given.

mod compare;
mod predictions;
mod run;

pub use compare::{ComparedRun, compare};
pub use predictions::{Prediction, Predictions};
pub use run::Report;
