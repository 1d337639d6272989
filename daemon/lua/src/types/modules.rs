//! Declarations of library modules.

use std::fmt::Write;

use super::luau::{key, name, optional, pack, part, returned};
use crate::module::{Body, Family, Function, Module, Param, Tier, Type};

/// Declares a module under one of its names. `kept` are lines for what Luau has in a table of that name.
pub(super) fn declare(text: &mut String, module: &Module, name: &str, kept: &[(&str, &str)]) {
    text.push('\n');
    if module.tier == Tier::Absent {
        let _ = writeln!(text, "--- {}", module.about);
        let _ = writeln!(text, "--- Not in this build: its functions return nil and a message.");
        let _ = writeln!(text, "declare {name}: {{ [string]: (...any) -> (nil, string) }}");
        return;
    }
    let functions: Vec<&Function> = super::functions(module).collect();
    let options = Options::of(module, name, &functions);
    options.declare(text);
    let _ = writeln!(text, "--- {}", module.about);
    let _ = writeln!(text, "declare {name}: {{");
    for (name, kind) in kept {
        if !functions.iter().any(|function| function.name == *name || function.aliases.contains(name)) {
            let _ = writeln!(text, "  {name}: {kind},");
        }
    }
    for function in functions {
        for name in std::iter::once(&function.name).chain(function.aliases) {
            let _ = writeln!(text, "  --- {}", function.about);
            let _ = writeln!(text, "  {}: {},", key(name), forms(function, &options));
        }
    }
    text.push_str("}\n");
}

/// The function with positional arguments and, where there are names, with one table.
fn forms(function: &Function, options: &Options) -> String {
    let result = results(function);
    let positional = format!("({}) -> {result}", positional(function, options));
    match named(function, options) {
        Some(table) => format!("({positional})\n    & ((named: {table}) -> {result})"),
        None => positional,
    }
}

fn positional(function: &Function, options: &Options) -> String {
    let mut list: Vec<String> = Vec::new();
    for param in function.params {
        // What is written in Luau may take its one table there.
        let first_of_luau = list.is_empty() && matches!(function.body, Body::Luau) && param.kind != Type::Function;
        let kind = if first_of_luau { "any".to_owned() } else { kind(param) };
        // A table of options may come before parameters that are left out.
        let kind = match (param.required, function.options.is_empty()) {
            (true, _) => kind,
            (false, true) => optional(&kind),
            (false, false) if kind == "any" => kind,
            (false, false) => optional(&format!("{} | Map", part(&kind))),
        };
        list.push(format!("{}: {kind}", name(param.name)));
    }
    if !function.options.is_empty() {
        list.push(format!("options: {}?", options.kind(function)));
    }
    if function.variadic {
        list.push("...any".to_owned());
    }
    list.join(", ")
}

/// The form with one table; functions whose first argument is anything have none that could be told apart.
fn named(function: &Function, options: &Options) -> Option<String> {
    let first = function.params.first()?;
    let has_none = function.variadic || matches!(function.body, Body::Luau) || matches!(first.kind, Type::Function);
    let kind = || match options.name(function) {
        Some(name) => format!("{} & {name}", table(function.params.iter())),
        None => table(function.params.iter().chain(function.options)),
    };
    (!has_none).then(kind)
}

/// Tables of options that have a name of their own, because they are long or in many functions.
struct Options(Vec<(String, String)>);

impl Options {
    /// As many options are written out where they are.
    const FEW: usize = 5;

    fn of(module: &Module, name: &str, functions: &[&Function]) -> Options {
        let mut found: Vec<(String, String)> = Vec::new();
        for function in functions.iter().filter(|function| function.options.len() > Options::FEW) {
            let kind = table(function.options.iter());
            // Under its other names a module has the same options.
            if name == module.name && !found.iter().any(|(known, _)| *known == kind) {
                found.push((kind, format!("{}_{}_options", module.name, function.name)));
            }
        }
        Options(found)
    }

    fn declare(&self, text: &mut String) {
        for (kind, name) in &self.0 {
            let _ = writeln!(text, "export type {name} = {kind}");
        }
    }

    fn name(&self, function: &Function) -> Option<&str> {
        let kind = table(function.options.iter());
        self.0.iter().find(|(known, _)| *known == kind).map(|(_, name)| name.as_str())
    }

    fn kind(&self, function: &Function) -> String {
        self.name(function).map_or_else(|| table(function.options.iter()), str::to_owned)
    }
}

fn table<'a>(params: impl Iterator<Item = &'a Param>) -> String {
    let fields: Vec<String> = params
        .filter(|param| !param.name.starts_with('_'))
        .map(|param| {
            // Another name of a required one may be used instead.
            let kind = if param.required && param.aliases.is_empty() { kind(param) } else { optional(&kind(param)) };
            format!("{}: {kind}", key(param.name))
        })
        .collect();
    format!("{{ {} }}", fields.join(", "))
}

fn kind(param: &Param) -> String {
    match param.kind {
        Type::Any => "any",
        Type::Bool => "boolean",
        Type::Int | Type::Num => "Number",
        Type::Str => "Text",
        Type::Duration => "Duration",
        Type::Size => "Size",
        Type::List => "{any}",
        Type::Map => "Map",
        Type::StrOrList => "Text | {any}",
        Type::Function => "(...any) -> ...any",
    }
    .to_owned()
}

/// What comes back in success and in failure, by the family of the function.
fn results(function: &Function) -> String {
    let types: Vec<String> = pack(function.returns).iter().map(|kind| (*kind).to_owned()).collect();
    let fixed = |list: &[&str]| returned(&list.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>());
    match function.family {
        Family::Raw => returned(&types),
        Family::P if types.len() > 1 => returned(&types),
        Family::P => fixed(&["boolean", "string?"]),
        Family::C => fixed(&["boolean", "ChangeInfo"]),
        Family::M => fixed(&["boolean", "string", "ChangeInfo"]),
        Family::R => fixed(&["ExecResult", "string?", "boolean"]),
        Family::T => returned(&[optional(types.first().map_or("any", String::as_str)), "string?".to_owned()]),
        Family::V => returned(&value(function, types)),
    }
}

/// The values, or nil and a message. What is only computed does not fail but for wrong arguments or inputs: saying
/// that a trimmed text may be nil would be noise in every line.
fn value(function: &Function, types: Vec<String>) -> Vec<String> {
    let surely = matches!(function.body, Body::Pure(_));
    let mut types = types.into_iter();
    let first = types.next().unwrap_or_else(|| "nil".to_owned());
    if first.starts_with("...") {
        return vec![first];
    }
    let mut list = vec![if surely { first } else { optional(&first) }];
    list.push(match types.next() {
        None => "string?".to_owned(),
        Some(second) if second == "string" || second == "string?" => "string?".to_owned(),
        Some(second) if second == "any" || second.starts_with("...") => second,
        Some(second) => optional(&format!("{} | string", part(second.trim_end_matches('?')))),
    });
    list.extend(types.map(|kind| optional(&kind)));
    list
}

/// As documented: `copy(src, dest, {owner})`.
pub(super) fn signature(function: &Function) -> String {
    let mut list: Vec<String> = function.params.iter().map(documented).collect();
    if !function.options.is_empty() {
        let options: Vec<String> = function.options.iter().map(documented).collect();
        list.push(format!("{{{}}}", options.join(", ")));
    }
    if function.variadic {
        list.push("…".to_owned());
    }
    format!("{}({})", function.name, list.join(", "))
}

fn documented(param: &Param) -> String {
    match (param.required, param.default) {
        (true, _) => param.name.to_owned(),
        (false, "") => format!("[{}]", param.name),
        (false, default) => format!("{}={default}", param.name),
    }
}
