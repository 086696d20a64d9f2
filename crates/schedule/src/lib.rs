//! Schedules of any hyper-parameter, closed-form and metric-driven, in one algebra.
