//! The standard library of the language: what scripts have without any module of the host.

use crate::module::Module;

/// Its modules.
pub(crate) const STANDARD: &[&Module] = &[];
