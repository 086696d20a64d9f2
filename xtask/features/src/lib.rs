//! No code: only dependencies.
//!
//! Cargo turns on the features that all selected packages ask for. Tests and
//! benches bring dependencies of their own (proptest, criterion) that ask for
//! more of packages that burn depends on, so `cargo run -p digits` and then
//! `cargo test --workspace` would compile burn twice. Programs of this
//! workspace therefore depend on this package, which asks for the same always;
//! the library crates do not, so nothing of this reaches their users.
