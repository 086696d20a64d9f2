//! The fit loop: callbacks, checkpoints, exact resume, reports.
