//! Weight initialisers, fans and gains, and whole-model plans for burn.
