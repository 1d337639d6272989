//! The module `template`, and what other modules render with.

use std::sync::PoisonError;

use sloth_lua::{Args, Call, Ctx, Data, Failure, Module, Param, Reply, Tier, Type};

use super::lexer::Mistake;
use super::parser::parse_template;
use super::render::{Names, render};
use crate::describe::{blocking, give, may, need, options};
use crate::files::failed;

/// Texts with holes.
pub static MODULE: Module = Module {
    name: "template",
    aliases: &[],
    tier: Tier::Here,
    about: "Renders texts with holes, conditions and loops",
    functions: FUNCTIONS,
    prelude: "",
};

const VARS: Param = may("vars", Type::Map, "{}");
const MISSING: &[Param] = &[may("missing", Type::Str, "\"error\"")];

const FUNCTIONS: &[sloth_lua::Function] = &[
    options(blocking("render", &[need("text", Type::Str), VARS], "string", "Renders a text", text), MISSING),
    options(blocking("load", &[need("path", Type::Str), VARS], "string", "Renders a file", file), MISSING),
];

fn text(call: Call) -> Reply {
    let text = call.args.text("text")?;
    let roots = Roots::from(&call.args, &call.ctx)?;
    give(
        render_text(&text, &roots)
            .map_err(|mistake| Failure::new(format!("template:{}: {}", mistake.line, mistake.message)))?,
    )
}

fn file(call: Call) -> Reply {
    let path = crate::files::source(&call.ctx, &call.args.text("path")?);
    let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
    let roots = Roots::from(&call.args, &call.ctx)?;
    give(
        render_text(&text, &roots)
            .map_err(|mistake| Failure::new(format!("{}:{}: {}", path.display(), mistake.line, mistake.message)))?,
    )
}

/// What a template may name.
pub struct Roots<'a> {
    vars: Data,
    empty: bool,
    ctx: &'a Ctx,
}

impl<'a> Roots<'a> {
    /// From `vars` and `missing` of a call.
    pub fn from(args: &Args, ctx: &'a Ctx) -> Result<Roots<'a>, Failure> {
        let empty = match args.opt_text("missing").as_deref() {
            None | Some("error") => false,
            Some("empty") => true,
            Some(other) => {
                let message = format!("\"error\" or \"empty\" expected, got {other:?}");
                return Err(Failure::argument("missing", message));
            }
        };
        let vars = match args.get("vars") {
            None => Data::Map(Vec::new()),
            Some(Data::List(items)) if items.is_empty() => Data::Map(Vec::new()),
            Some(vars) => vars.clone(),
        };
        Ok(Roots { vars, empty, ctx })
    }
}

/// Renders a text.
pub fn render_text(text: &str, roots: &Roots<'_>) -> Result<String, Mistake> {
    let nodes = parse_template(text)?;
    let ctx = roots.ctx;
    let root = |name: &str| match name {
        "values" => Some(Data::Map(ctx.run.values.iter().map(|(k, v)| (k.clone(), Data::from_json(v))).collect())),
        "facts" => Some(crate::facts::all()),
        "env" => {
            let set = ctx.env.lock().unwrap_or_else(PoisonError::into_inner);
            let mut env = crate::exec::inherited_environment();
            for (name, value) in set.iter() {
                match value {
                    Some(value) => drop(env.insert(name.clone(), value.clone())),
                    None => drop(env.remove(name)),
                }
            }
            Some(Data::map(env.into_iter().map(|(name, value)| (name, Data::from(value)))))
        }
        _ => None,
    };
    render(&nodes, &Names { vars: roots.vars.clone(), root: &root, empty: roots.empty })
}
