//! Short forms in which modules are described.

use sloth_lua::{Args, Body, Call, Data, Failure, Family, Function, Param, Reply, Type};

/// A required parameter.
pub(crate) const fn need(name: &'static str, kind: Type) -> Param {
    Param { name, aliases: &[], kind, required: true, default: "" }
}

/// An optional parameter or option, with its default as the documentation shows it.
pub(crate) const fn may(name: &'static str, kind: Type, default: &'static str) -> Param {
    Param { name, aliases: &[], kind, required: false, default }
}

/// A required parameter with other names.
pub(crate) const fn named(name: &'static str, aliases: &'static [&'static str], kind: Type) -> Param {
    Param { name, aliases, kind, required: true, default: "" }
}

/// A function without options.
const fn function(
    name: &'static str,
    family: Family,
    params: &'static [Param],
    returns: &'static str,
    about: &'static str,
    body: Body,
) -> Function {
    Function { name, aliases: &[], params, options: &[], variadic: false, family, returns, mutates: false, about, body }
}

/// A function that computes a value: family `V`, on the VM's thread.
pub(crate) const fn pure(
    name: &'static str,
    params: &'static [Param],
    returns: &'static str,
    about: &'static str,
    body: fn(&Args) -> Reply,
) -> Function {
    function(name, Family::V, params, returns, about, Body::Pure(body))
}

/// A function that may block, family `V`.
pub(crate) const fn blocking(
    name: &'static str,
    params: &'static [Param],
    returns: &'static str,
    about: &'static str,
    body: fn(Call) -> Reply,
) -> Function {
    function(name, Family::V, params, returns, about, Body::Blocking(body))
}

/// A function of any body, family `V`.
pub(crate) const fn value(
    name: &'static str,
    params: &'static [Param],
    returns: &'static str,
    about: &'static str,
    body: Body,
) -> Function {
    function(name, Family::V, params, returns, about, body)
}

/// A function of the module's prelude.
pub(crate) const fn luau(
    name: &'static str,
    params: &'static [Param],
    returns: &'static str,
    about: &'static str,
) -> Function {
    function(name, Family::Raw, params, returns, about, Body::Luau)
}

/// With options.
pub(crate) const fn options(function: Function, options: &'static [Param]) -> Function {
    Function { options, ..function }
}

/// With other names.
pub(crate) const fn also(function: Function, aliases: &'static [&'static str]) -> Function {
    Function { aliases, ..function }
}

/// Of another family.
pub(crate) const fn family(function: Function, family: Family) -> Function {
    Function { family, ..function }
}

/// Of family `C`, and changing something.
pub(crate) const fn changing(function: Function) -> Function {
    Function { family: Family::C, mutates: true, ..function }
}

/// Keeping further positional arguments.
pub(crate) const fn variadic(function: Function) -> Function {
    Function { variadic: true, ..function }
}

/// Success with one value.
#[allow(clippy::unnecessary_wraps)] // the result of bodies
pub(crate) fn give(value: impl Into<Data>) -> Reply {
    Ok(vec![value.into()])
}

/// A required number.
pub(crate) fn number(args: &Args, name: &'static str) -> Result<f64, Failure> {
    args.num(name).ok_or_else(|| Failure::argument(name, "number expected"))
}

/// A required integer.
pub(crate) fn integer(args: &Args, name: &'static str) -> Result<i64, Failure> {
    args.int(name).ok_or_else(|| Failure::argument(name, "integer expected"))
}

/// A required integer from 0 to `max`.
pub(crate) fn count(args: &Args, name: &'static str, max: usize) -> Result<usize, Failure> {
    match usize::try_from(integer(args, name)?) {
        Ok(count) if count <= max => Ok(count),
        _ => Err(Failure::argument(name, format_args!("0 to {max} expected"))),
    }
}

/// Whatever was given.
pub(crate) fn any(args: &Args, name: &str) -> Data {
    args.get(name).cloned().unwrap_or_default()
}

/// The items of a required list. An empty table may arrive as a map.
pub(crate) fn list(args: &Args, name: &'static str) -> Result<Vec<Data>, Failure> {
    match args.get(name) {
        Some(Data::List(items)) => Ok(items.clone()),
        Some(Data::Map(entries)) if entries.is_empty() => Ok(Vec::new()),
        other => {
            let kind = other.map_or("nil", Data::type_name);
            Err(Failure::argument(name, format_args!("list expected, got {kind}")))
        }
    }
}
