//! The use cases of slothd and who may use them.
