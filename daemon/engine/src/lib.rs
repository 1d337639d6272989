//! Drives the core: turns its effects into I/O and I/O into its inputs.
