//! Data sets and a deterministic loader.
