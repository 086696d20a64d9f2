//! Loads, verifies and adapts firecraft plugins.
