//! The conformance runner: golden reference data against the public API.
//!
//! A golden folder holds `<family>/<file>.json`, each a list of cases that a
//! peer library computed (`tests/golden/README.md` has the format). Every case
//! is run through the public API of firecraft, found by its peer, name and
//! arguments; a case that nothing maps is a failure labelled `unsupported`,
//! never a silent skip.
//!
//! What lives here: reading the data ([`golden`]), comparing numbers
//! ([`compare`]), the map from peers' names to our API ([`families`], one file
//! per family), the two lists kept beside the data ([`lists`]), and the table
//! that is printed ([`report`]). What must not: tests of a single crate (they
//! live beside its code), and any implementation of a technique; a family may
//! translate arguments, it may not compute results.
//!
//! To support another peer's name, add an arm to the family's `run_case`; once
//! every case of a file or a group passes, name it in
//! `tests/golden/complete.toml`, and `cargo test` guards it from then on.

pub mod compare;
pub mod families;
pub mod golden;
pub mod lists;
pub mod report;
pub mod run;
