//! Normalisation layers for burn.
