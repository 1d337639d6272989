//! Short forms for describing functions that are written in Luau.

use crate::module::{Body, Family, Function, Module, Param, Tier, Type};

/// A required parameter.
pub(super) const fn need(name: &'static str, kind: Type) -> Param {
    Param { name, aliases: &[], kind, required: true, default: "" }
}

/// An optional parameter with its default.
pub(super) const fn opt(name: &'static str, kind: Type, default: &'static str) -> Param {
    Param { name, aliases: &[], kind, required: false, default }
}

/// A function.
pub(super) const fn fun(
    name: &'static str,
    params: &'static [Param],
    returns: &'static str,
    about: &'static str,
) -> Function {
    Function {
        name,
        aliases: &[],
        params,
        options: &[],
        variadic: false,
        family: Family::Raw,
        returns,
        mutates: false,
        about,
        body: Body::Luau,
    }
}

/// A function with other names.
pub(super) const fn also(aliases: &'static [&'static str], function: Function) -> Function {
    Function { aliases, ..function }
}

/// A function with further arguments.
pub(super) const fn rest(function: Function) -> Function {
    Function { variadic: true, ..function }
}

/// A module.
pub(super) const fn module(
    name: &'static str,
    aliases: &'static [&'static str],
    about: &'static str,
    functions: &'static [Function],
    prelude: &'static str,
) -> Module {
    Module { name, aliases, tier: Tier::Here, about, functions, prelude }
}
