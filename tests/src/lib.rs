//! Whole-system tests of slothd.
