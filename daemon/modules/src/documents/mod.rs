//! The modules `json`, `yaml` and `toml`: one set of functions over three formats.

pub(crate) mod json;
pub(crate) mod toml;
pub(crate) mod yaml;

use std::path::Path;

use sloth_lua::{Args, Call, Data, Failure, Function, Module, Param, Reply, Tier, Type};

use crate::describe::{any, blocking, changing, give, luau, may, named, need, options, pure};
use crate::keep;

/// Longest text that is decoded or loaded, bytes.
pub(crate) const TEXT_MAX: usize = 64 << 20;

/// Deepest nesting of what is encoded.
pub(crate) const DEPTH_MAX: usize = 128;

/// How a value is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// Over several lines, indented by two blanks.
    pub pretty: bool,
    /// Members in the order of their names.
    pub sort_keys: bool,
}

impl Style {
    pub(crate) fn of(args: &Args) -> Style {
        Style { pretty: args.flag("pretty"), sort_keys: args.flag("sort_keys") }
    }

    const PRETTY: Style = Style { pretty: true, sort_keys: false };
}

/// A format: how text becomes a value, and back. Errors are one sentence with the place.
pub(crate) struct Format {
    pub name: &'static str,
    pub decode: fn(&[u8], nulls: bool) -> Result<Data, String>,
    pub encode: fn(&Data, Style) -> Result<String, String>,
}

pub(crate) const JSON: Format = Format { name: "json", decode: json::decode, encode: json::encode };
pub(crate) const YAML: Format = Format { name: "yaml", decode: yaml::decode, encode: yaml::encode };
pub(crate) const TOML: Format = Format { name: "toml", decode: toml::decode, encode: toml::encode };

impl Format {
    pub(crate) fn read(&self, text: &[u8], nulls: bool) -> Result<Data, Failure> {
        if text.len() > TEXT_MAX {
            return Err(Failure::new(format!("{}: text of {} bytes is longer than {TEXT_MAX}", self.name, text.len())));
        }
        (self.decode)(text, nulls).map_err(|error| Failure::new(format!("{}: {error}", self.name)))
    }

    pub(crate) fn write(&self, value: &Data, style: Style) -> Result<String, Failure> {
        (self.encode)(value, style).map_err(|error| Failure::new(format!("{}: {error}", self.name)))
    }

    fn load(&self, call: &Call) -> Reply {
        let path = call.ctx.resolve(&call.args.text("path")?);
        let named = |message: String| Failure::new(format!("{}: {message}", path.display()));
        let text = keep::read(&path, TEXT_MAX).map_err(|error| named(error.to_string()))?;
        let value = (self.decode)(&text, call.args.flag("nulls")).map_err(named)?;
        give(value)
    }

    fn save(&self, call: &Call) -> Reply {
        let path = call.ctx.resolve(&call.args.text("path")?);
        let mut text = self.write(&any(&call.args, "value"), style_of_file(&call.args))?;
        if !text.ends_with('\n') {
            text.push('\n');
        }
        save_text(call, &path, text.as_bytes())
    }
}

/// A file is for people, too: pretty unless told otherwise.
fn style_of_file(args: &Args) -> Style {
    Style { pretty: args.flag_or("pretty", true), sort_keys: args.flag("sort_keys") }
}

/// Writes a file if it differs, or says that it would.
pub(crate) fn save_text(call: &Call, path: &Path, text: &[u8]) -> Reply {
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
    let differs = !keep::holds(path, text).map_err(failed)?;
    let simulated = call.ctx.is_simulated() || call.args.flag("check");
    if differs && !simulated {
        keep::write(path, text).map_err(failed)?;
    }
    Ok(vec![keep::outcome(path, differs, simulated, "write")])
}

const ENCODE: &[Param] = &[may("pretty", Type::Bool, "false"), may("sort_keys", Type::Bool, "false")];
const SAVE: &[Param] =
    &[may("pretty", Type::Bool, "true"), may("sort_keys", Type::Bool, "false"), may("check", Type::Bool, "false")];
const DECODE: &[Param] = &[may("nulls", Type::Bool, "false")];
const VALUE: &[Param] = &[named("value", &["v"], Type::Any)];
const TEXT: &[Param] = &[named("text", &["s"], Type::Str)];
const PATH: &[Param] = &[need("path", Type::Str)];
const PATH_VALUE: &[Param] = &[need("path", Type::Str), named("value", &["v"], Type::Any)];

macro_rules! functions {
    ($format:expr) => {{
        const FUNCTIONS: &[Function] = &[
            options(
                pure("encode", VALUE, "string", "Writes a value as text.", |args| {
                    give($format.write(&any(args, "value"), Style::of(args))?)
                }),
                ENCODE,
            ),
            pure("encode_pretty", VALUE, "string", "Writes a value as indented text.", |args| {
                give($format.write(&any(args, "value"), Style::PRETTY)?)
            }),
            options(
                pure("decode", TEXT, "any", "Reads a value; an error names line and column.", |args| {
                    give($format.read(&args.bytes("text")?, args.flag("nulls"))?)
                }),
                DECODE,
            ),
            options(
                blocking("load", PATH, "any", "Reads a value from a file of at most 64 MiB.", |call| {
                    $format.load(&call)
                }),
                DECODE,
            ),
            changing(options(
                blocking("save", PATH_VALUE, "{changed: boolean}", "Writes a value to a file, atomically.", |call| {
                    $format.save(&call)
                }),
                SAVE,
            )),
            pure("_null", &[], "any", "The value null.", |_| give(Data::Null)),
            pure("_array", &[], "{any}", "An empty list.", |_| give(Data::List(Vec::new()))),
            luau("array", &[may("items", Type::List, "{}")], "{any}", "A table that is a list even when it is empty."),
        ];
        FUNCTIONS
    }};
}

const PRELUDE: &str = include_str!("documents.luau");

/// The module `json`.
pub const JSON_MODULE: Module = Module {
    name: "json",
    aliases: &[],
    tier: Tier::Here,
    about: "Reads and writes JSON.",
    functions: functions!(JSON),
    prelude: PRELUDE,
};

/// The module `yaml`.
pub const YAML_MODULE: Module = Module {
    name: "yaml",
    aliases: &[],
    tier: Tier::Here,
    about: "Reads and writes YAML (1.2, with `<<` merging).",
    functions: functions!(YAML),
    prelude: PRELUDE,
};

/// The module `toml`.
pub const TOML_MODULE: Module = Module {
    name: "toml",
    aliases: &[],
    tier: Tier::Here,
    about: "Reads and writes TOML.",
    functions: functions!(TOML),
    prelude: PRELUDE,
};
