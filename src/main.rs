//! Pairpost.
fn main() {}
