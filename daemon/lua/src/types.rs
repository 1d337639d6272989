//! Editor types and documentation of the library, from the same descriptions that calls are checked against.

use std::fmt::Write;

use crate::module::{Function, Module, Param, Tier, Type};
use crate::std::STANDARD;

/// Names that the language itself declares: the definition language and the changed base functions.
const LANGUAGE: &str = "declare task: any
declare workflow: any
declare function define_task(definition: any): any
declare function chain(list: any): any
declare function sequence(list: any): any
declare function parallel(list: any, options: any?): any
declare function when(condition: any): any
declare error: any
declare rollback: any
declare saga: any
declare core: any
declare resource: any
declare values: any
declare Values: any
declare params: any
declare outputs: any
declare runner_config: any
declare function export(key: any, value: any?): ()
declare function import(path: string): any
declare function require(name: string): any
declare function sleep(seconds: any): ()
declare function modules(): { string }
declare function module_info(name: string): any
declare package: any
";

/// Luau declarations of everything that a `.sloth` file can name, for luau-lsp.
pub fn definitions(modules: &[&Module]) -> String {
    let mut text = LANGUAGE.to_owned();
    for module in all(modules) {
        for name in std::iter::once(&module.name).chain(module.aliases) {
            declare(&mut text, module, name);
        }
    }
    text
}

/// The library's documentation as Markdown.
pub fn documentation(modules: &[&Module]) -> String {
    let mut text = String::from("# Library modules\n");
    for module in all(modules).filter(|module| module.tier == Tier::Here) {
        let _ = write!(text, "\n## `{}`\n\n{}\n", module.name, module.about);
        if !module.aliases.is_empty() {
            let _ = write!(text, "\nAlso: `{}`.\n", module.aliases.join("`, `"));
        }
        text.push_str("\n| Function | Returns | |\n|---|---|---|\n");
        for function in functions(module) {
            let _ = writeln!(
                text,
                "| `{}`{} | `{}` | {} |",
                signature(function).replace('|', "\\|"),
                others(function),
                function.returns.replace('|', "\\|"),
                function.about.replace('|', "\\|")
            );
        }
    }
    text
}

fn all<'a>(modules: &'a [&'a Module]) -> impl Iterator<Item = &'a Module> {
    STANDARD.iter().chain(modules).copied().filter(|module| !module.name.starts_with('_'))
}

fn functions(module: &Module) -> impl Iterator<Item = &Function> {
    module.functions.iter().filter(|function| !function.name.starts_with('_'))
}

fn declare(text: &mut String, module: &Module, name: &str) {
    // Libraries of Luau itself are declared by its analyser; a second declaration would hide what they have.
    if module.tier == Tier::Absent || matches!(name, "math" | "string" | "table") {
        let _ = writeln!(text, "declare {name}: any");
        return;
    }
    let _ = writeln!(text, "declare {name}: {{");
    for function in functions(module) {
        for name in std::iter::once(&function.name).chain(function.aliases) {
            let _ = writeln!(text, "  {name}: ({}) -> ...any,", parameters(function));
        }
    }
    text.push_str("}\n");
}

fn parameters(function: &Function) -> String {
    let mut list: Vec<String> =
        function.params.iter().enumerate().map(|(index, param)| parameter(index, param)).collect();
    list.push("...any".to_owned());
    list.join(", ")
}

/// The first may always be the one table with all names.
fn parameter(index: usize, param: &Param) -> String {
    let kind = match param.kind {
        Type::Any | Type::List | Type::Map | Type::StrOrList => "any".to_owned(),
        _ if index == 0 => "any".to_owned(),
        Type::Bool => "boolean".to_owned(),
        Type::Int | Type::Num => "number | string".to_owned(),
        Type::Str | Type::Duration | Type::Size => "any".to_owned(),
        Type::Function => "(...any) -> ...any".to_owned(),
    };
    match (param.required, kind.as_str()) {
        (_, "any") | (true, _) => format!("{}: {kind}", safe(param.name)),
        (false, _) => format!("{}: ({kind})?", safe(param.name)),
    }
}

/// Keywords cannot be names of parameters.
fn safe(name: &str) -> String {
    match name {
        "end" | "in" | "then" | "else" | "function" | "repeat" | "until" | "not" | "and" | "or" | "local" | "for"
        | "if" | "do" | "while" | "nil" | "true" | "false" | "return" | "break" => format!("{name}_"),
        other => other.to_owned(),
    }
}

fn signature(function: &Function) -> String {
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

fn others(function: &Function) -> String {
    if function.aliases.is_empty() { String::new() } else { format!(" {{`{}`}}", function.aliases.join("`, `")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_declared_and_documented_once() {
        let (types, text) = (definitions(&[]), documentation(&[]));
        assert_eq!(types.matches("declare goroutine: {").count(), 1);
        assert!(types.contains("declare go: {"), "aliases, too");
        assert!(types.contains("  spawn: (fn: any, ...any) -> ...any,"), "{types}");
        assert!(text.contains("| `pool_create(name, options={workers = 4, queue = 1000})` |"), "{text}");
        for module in STANDARD {
            for function in module.functions {
                assert!(text.contains(&format!("`{}(", function.name)), "{}.{}", module.name, function.name);
                assert!(!function.about.is_empty() && !function.returns.is_empty(), "{}", function.name);
            }
        }
    }
}
