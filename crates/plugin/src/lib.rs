//! The firecraft plugin ABI and the SDK for plugin authors.
