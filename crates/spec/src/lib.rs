//! Specs by name, a self-describing value, and the open registry.
