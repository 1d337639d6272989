//! The module `data`: formats, tables and files in batches. What needs functions of the script, or only moves values
//! around, is in the prelude.

mod array;
mod batches;
mod table;
mod transform;
mod xml;

use sloth_lua::{Args, Failure, Function, Module, Param, Reply, Tier, Type};

use crate::describe::{also, any, blocking, count, give, list, luau, may, named, need, options, pure};
use crate::documents::{Format, JSON, Style, TOML, YAML};

/// The module `data`.
pub const MODULE: Module = Module {
    name: "data",
    aliases: &[],
    tier: Tier::Here,
    about: "Formats, tables, and files in batches.",
    functions: FUNCTIONS,
    prelude: concat!(include_str!("../forms.luau"), include_str!("data.luau"), include_str!("lists.luau")),
};

const TEXT: &[Param] = &[named("text", &["s"], Type::Str)];
const VALUE: &[Param] = &[named("value", &["v"], Type::Any)];
const T: Param = need("t", Type::Any);
const LIST: Param = need("list", Type::List);
const KEY: Param = need("key", Type::Any);
const FN: Param = need("fn", Type::Function);
const SEP: Param = Param { aliases: &["separator"], ..may("sep", Type::Str, "\",\"") };
const NULLS: &[Param] = &[may("nulls", Type::Bool, "false")];
const STYLE: &[Param] = &[may("pretty", Type::Bool, "false"), may("sort_keys", Type::Bool, "false")];

const FUNCTIONS: &[Function] = &[
    options(also(pure("json_encode", VALUE, "string", "Writes JSON.", |a| write(a, &JSON)), &["to_json"]), STYLE),
    options(also(pure("json_decode", TEXT, "any", "Reads JSON.", |a| read(a, &JSON)), &["parse_json"]), NULLS),
    pure("json_pretty", VALUE, "string", "Writes indented JSON.", |a| {
        give(JSON.write(&any(a, "value"), Style { pretty: true, sort_keys: false })?)
    }),
    pure("json_validate", TEXT, "boolean", "Whether a text is JSON; nil and the reason when not.", |a| {
        JSON.read(&a.bytes("text")?, false)?;
        give(true)
    }),
    options(also(pure("yaml_encode", VALUE, "string", "Writes YAML.", |a| write(a, &YAML)), &["to_yaml"]), STYLE),
    options(also(pure("yaml_decode", TEXT, "any", "Reads YAML.", |a| read(a, &YAML)), &["parse_yaml"]), NULLS),
    pure("yaml_to_json", TEXT, "string", "YAML as JSON.", |a| convert(a, &YAML, &JSON)),
    pure("json_to_yaml", TEXT, "string", "JSON as YAML.", |a| convert(a, &JSON, &YAML)),
    options(pure("toml_encode", VALUE, "string", "Writes TOML.", |a| write(a, &TOML)), STYLE),
    pure("toml_decode", TEXT, "any", "Reads TOML.", |a| read(a, &TOML)),
    pure(
        "xml_encode",
        &[named("value", &["v"], Type::Any), may("root", Type::Str, "nil")],
        "string",
        "Writes XML: `@name` are attributes, `#text` is text, lists repeat their name.",
        |a| give(xml::encode(&any(a, "value"), a.opt_text("root").as_deref())?),
    ),
    pure("xml_decode", TEXT, "any", "Reads XML.", |a| give(xml::decode(&a.bytes("text")?)?)),
    pure("xml_to_json", TEXT, "string", "XML as JSON.", |a| {
        give(JSON.write(&xml::decode(&a.bytes("text")?)?, Style::default())?)
    }),
    options(
        pure(
            "csv_parse",
            &[named("text", &["s"], Type::Str), SEP],
            "{any}",
            "Reads CSV: maps by the first line, or lists.",
            |a| give(table::csv_parse(&a.bytes("text")?, separator(a)?, a.flag_or("header", true))?),
        ),
        &[may("header", Type::Bool, "true")],
    ),
    options(
        pure(
            "csv_generate",
            &[Param { aliases: &["t", "list"], ..need("rows", Type::List) }, SEP],
            "string",
            "Writes CSV.",
            |a| {
                let columns = a.get("columns").is_some().then(|| a.texts("columns"));
                give(table::csv_generate(&list(a, "rows")?, separator(a)?, columns)?)
            },
        ),
        &[may("columns", Type::List, "all names in order")],
    ),
    pure("ini_decode", TEXT, "{[string]: any}", "Reads INI.", |a| give(table::ini_decode(&a.text("text")?)?)),
    pure("ini_encode", VALUE, "string", "Writes INI.", |a| give(table::ini_encode(&any(a, "value"))?)),
    luau(
        "deep_merge",
        &[need("a", Type::Map), need("b", Type::Map)],
        "{[any]: any}",
        "A new table: a, and b over it, deeply; lists replace.",
    ),
    luau("deep_copy", &[T], "any", "A copy of a table and all tables in it."),
    luau("flatten", &[need("t", Type::Map), may("sep", Type::Str, "\".\"")], "{[string]: any}", "Paths to values."),
    luau("unflatten", &[need("t", Type::Map), may("sep", Type::Str, "\".\"")], "{[any]: any}", "Reverses `flatten`."),
    luau(
        "get_path",
        &[T, need("path", Type::Str), may("default", Type::Any, "nil")],
        "any",
        "The value at a path such as `a.b[1]`.",
    ),
    luau(
        "set_path",
        &[T, need("path", Type::Str), need("value", Type::Any)],
        "any",
        "Sets the value at a path, in the table; returns it.",
    ),
    luau(
        "diff",
        &[T, need("b", Type::Any)],
        "{added: any, removed: any, changed: any, equal: boolean}",
        "What differs, by path.",
    ),
    luau("equal", &[T, need("b", Type::Any)], "boolean", "Whether two values are equal, deeply."),
    luau("keys", &[T], "{any}", "Keys in order."),
    luau("values", &[T], "{any}", "Values in the order of their keys."),
    luau("map", &[T, FN], "{[any]: any}", "What a function makes of each value: `fn(value, key)`."),
    luau("filter", &[T, FN], "{[any]: any}", "Values for which a function is true."),
    luau(
        "reduce",
        &[T, FN, may("initial", Type::Any, "the first item")],
        "any",
        "One value of all: `fn(so_far, value, key)`.",
    ),
    luau("group_by", &[LIST, KEY], "{[any]: {any}}", "Items by a member, or by what a function says."),
    luau(
        "sort_by",
        &[LIST, KEY, may("descending", Type::Bool, "false")],
        "{any}",
        "A sorted list; equal items keep their order.",
    ),
    luau("unique", &[LIST, may("key", Type::Any, "nil")], "{any}", "The first of equal items."),
    luau("chunk", &[LIST, need("n", Type::Int)], "{{any}}", "Lists of n items."),
    luau(
        "batches",
        &[need("file", Type::Str), need("size", Type::Int), may("format", Type::Str, "\"auto\"")],
        "() -> any",
        "Iterates over a file in batches of items, in constant memory.",
    ),
    luau(
        "transform",
        &[need("batch", Type::Any), may("options", Type::Map, "{}")],
        "{data: string, count: number, bytes: number, rejected: {any}}",
        "A batch as text or file: mapped, checked, encoded, compressed.",
    ),
    options(
        blocking(
            "_open",
            &[need("file", Type::Str), need("size", Type::Int)],
            "number",
            "Begins to read a file.",
            batches::open,
        ),
        &[may("format", Type::Str, "\"auto\""), may("offset", Type::Int, "0"), SEP],
    ),
    blocking("_next", &[need("number", Type::Int)], "any", "The next batch.", batches::next),
    pure("_close", &[need("number", Type::Int)], "()", "Forgets a file.", |a| {
        batches::close(count(a, "number", usize::MAX)?);
        Ok(Vec::new())
    }),
    options(
        blocking(
            "_transform",
            &[need("items", Type::List)],
            "any",
            "Checks, encodes, compresses.",
            transform::transform,
        ),
        &[
            may("rejected", Type::List, "{}"),
            may("objects", Type::Bool, "false"),
            may("schema", Type::Map, "nil"),
            may("format", Type::Str, "\"json\""),
            may("compression", Type::Any, "false"),
            may("output", Type::Str, "nil"),
            may("allow_rejects", Type::Bool, "false"),
            may("check", Type::Bool, "false"),
        ],
    ),
];

fn read(args: &Args, format: &Format) -> Reply {
    give(format.read(&args.bytes("text")?, args.flag("nulls"))?)
}

fn write(args: &Args, format: &Format) -> Reply {
    give(format.write(&any(args, "value"), Style::of(args))?)
}

fn convert(args: &Args, from: &Format, to: &Format) -> Reply {
    give(to.write(&from.read(&args.bytes("text")?, true)?, Style::default())?)
}

/// The separator of fields; a tab may be written `\t`.
fn separator(args: &Args) -> Result<u8, Failure> {
    let text = args.opt_text("sep").unwrap_or_else(|| ",".into());
    let text = if text == "\\t" || text == "tab" { "\t".to_owned() } else { text };
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(Failure::argument("sep", "one character expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sloth_lua::Data;

    /// Order and nulls survive a conversion.
    #[test]
    fn conversions_keep_everything() {
        let args = Args::default().with("text", "z: 1\na: null\nl: []\n");
        assert_eq!(convert(&args, &YAML, &JSON).unwrap(), [Data::text(r#"{"z":1,"a":null,"l":[]}"#)]);
        let args = Args::default().with("text", r#"{"z":1,"a":null,"l":[]}"#);
        assert_eq!(convert(&args, &JSON, &YAML).unwrap(), [Data::text("z: 1\na: null\nl: []\n")]);
        assert!(separator(&Args::default().with("sep", "ab")).unwrap_err().raise);
    }
}
