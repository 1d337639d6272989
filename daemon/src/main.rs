//! Runs what has to happen when nobody is watching.

fn main() {}
