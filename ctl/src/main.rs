//! Controls slothd.

fn main() {}
