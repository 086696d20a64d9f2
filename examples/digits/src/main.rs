//! digits

fn main() {}
