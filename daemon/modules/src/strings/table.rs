//! What the module `strings` has.

use sloth_lua::{Args, Data, Function, Module, Param, Reply, Tier, Type};

use super::codes::{from_base64, percent_decode, percent_encode, quote_shell, to_base64};
use super::{index, join, layout, occurrences, pad, questions, regexes, repeat, replace, split, text, truncate, words};
use crate::crypto::{Digest, hex_digest};
use crate::describe::{count, give, may, named, need, number, pure};

/// The module `strings`.
pub const MODULE: Module = Module {
    name: "strings",
    aliases: &[],
    tier: Tier::Here,
    about: "Text: searching, splitting, spelling, encodings.",
    functions: FUNCTIONS,
    prelude: "",
};

const S: Param = named("text", &["s"], Type::Str);
const TEXT: &[Param] = &[S];
const PART: &[Param] = &[S, named("part", &["sub", "substr", "prefix", "suffix"], Type::Str)];
const PATTERN: &[Param] = &[S, named("pattern", &["re", "regex"], Type::Str)];
const PAD: &[Param] = &[S, named("n", &["width"], Type::Int), may("ch", Type::Str, "\" \"")];

const FUNCTIONS: &[Function] = &[
    pure("trim", TEXT, "string", "Without blanks at both ends.", |a| give(text(a)?.trim())),
    pure("trim_left", TEXT, "string", "Without blanks at the start.", |a| give(text(a)?.trim_start())),
    pure("trim_right", TEXT, "string", "Without blanks at the end.", |a| give(text(a)?.trim_end())),
    pure("upper", TEXT, "string", "In capital letters.", |a| give(text(a)?.to_uppercase())),
    pure("lower", TEXT, "string", "In small letters.", |a| give(text(a)?.to_lowercase())),
    pure("title", TEXT, "string", "Every word with a capital letter.", |a| give(words::title(&text(a)?))),
    pure("capitalize", TEXT, "string", "With a capital first letter.", |a| give(words::capitalize(&text(a)?))),
    pure(
        "split",
        &[S, Param { aliases: &["sep"], ..may("separator", Type::Str, "\" \"") }],
        "{string}",
        "The parts between separators; an empty separator gives the characters.",
        split,
    ),
    pure("lines", TEXT, "{string}", "The lines, without their ends.", |a| give(Data::texts(text(a)?.lines()))),
    pure(
        "join",
        &[named("list", &["t"], Type::List), Param { aliases: &["sep"], ..may("separator", Type::Str, "\"\"") }],
        "string",
        "The items of a list in one text.",
        join,
    ),
    pure(
        "replace",
        &[S, need("old", Type::Str), need("new", Type::Str), may("n", Type::Int, "-1")],
        "string",
        "With the first `n` occurrences of a text replaced; -1: all.",
        replace,
    ),
    pure("contains", PART, "boolean", "Whether a text is in it.", |a| on_part(a, |text, part| text.contains(part))),
    pure("starts_with", PART, "boolean", "Whether it begins with a text.", |a| {
        on_part(a, |text, part| text.starts_with(part))
    }),
    pure("ends_with", PART, "boolean", "Whether it ends with a text.", |a| {
        on_part(a, |text, part| text.ends_with(part))
    }),
    pure("count", PART, "number", "How often a text is in it.", occurrences),
    pure("index", PART, "number?", "Character, from 1, at which a text begins; nil: nowhere.", index),
    pure("match", PATTERN, "...string", "Groups of the first match, or the match.", regexes::find),
    pure("match_all", PATTERN, "{any}", "All matches, or lists of their groups.", regexes::find_all),
    pure(
        "replace_regex",
        &[S, named("pattern", &["re", "regex"], Type::Str), named("replacement", &["r"], Type::Str)],
        "string",
        "With all matches replaced; `$1` and `${name}` stand for groups.",
        regexes::replace,
    ),
    pure("base64_encode", TEXT, "string", "In base64.", |a| give(to_base64(&a.bytes("text")?))),
    pure("base64_decode", TEXT, "string", "From base64 of either alphabet.", |a| {
        give(Data::Str(from_base64(&a.bytes("text")?).map_err(sloth_lua::Failure::new)?))
    }),
    pure("url_encode", TEXT, "string", "Percent-encoded.", |a| give(percent_encode(&text(a)?))),
    pure("url_decode", TEXT, "string", "From percent-encoding; `+` is a blank.", |a| {
        give(Data::Str(percent_decode(&a.bytes("text")?)))
    }),
    pure("md5", TEXT, "string", "MD5 in hex.", |a| give(hex_digest(Digest::Md5, &a.bytes("text")?))),
    pure("sha1", TEXT, "string", "SHA-1 in hex.", |a| give(hex_digest(Digest::Sha1, &a.bytes("text")?))),
    pure("sha256", TEXT, "string", "SHA-256 in hex.", |a| give(hex_digest(Digest::Sha256, &a.bytes("text")?))),
    pure("is_email", TEXT, "boolean", "Whether it is a mail address.", |a| on(a, questions::is_email)),
    pure("is_url", TEXT, "boolean", "Whether it is an absolute URL with a host.", |a| on(a, questions::is_url)),
    pure("is_numeric", TEXT, "boolean", "Whether it reads as a number.", |a| on(a, questions::is_numeric)),
    pure("is_alpha", TEXT, "boolean", "Whether it is letters only.", |a| on(a, questions::is_alpha)),
    pure("is_alphanumeric", TEXT, "boolean", "Whether it is letters and digits only.", |a| {
        on(a, questions::is_alphanumeric)
    }),
    pure("is_empty", TEXT, "boolean", "Whether there is nothing but blanks.", |a| on(a, questions::is_empty)),
    pure("pad_left", PAD, "string", "Filled at the start to a width.", |a| pad(a, true)),
    pure("pad_right", PAD, "string", "Filled at the end to a width.", |a| pad(a, false)),
    pure(
        "truncate",
        &[S, named("n", &["width"], Type::Int), may("suffix", Type::Str, "\"...\"")],
        "string",
        "Cut to a width, the suffix included.",
        truncate,
    ),
    pure("repeat", &[S, need("n", Type::Int)], "string", "Several times in a row.", repeat),
    pure("reverse", TEXT, "string", "Characters in reverse.", |a| give(text(a)?.chars().rev().collect::<String>())),
    pure("slugify", TEXT, "string", "For addresses: `some-words`.", |a| give(words::slugify(&text(a)?))),
    pure(
        "indent",
        &[S, Param { aliases: &["n"], ..may("prefix", Type::Any, "2") }],
        "string",
        "Every line after a prefix, or after so many blanks.",
        indent,
    ),
    pure("dedent", TEXT, "string", "Without the blanks that all lines begin with.", |a| {
        give(layout::dedent(&text(a)?))
    }),
    pure("wrap", &[S, named("n", &["width"], Type::Int)], "string", "Lines no longer than a width.", |a| {
        give(layout::wrap(&text(a)?, count(a, "n", usize::MAX)?))
    }),
    pure("camel_case", TEXT, "string", "As `someWords`.", |a| give(words::camel_case(&text(a)?))),
    pure("snake_case", TEXT, "string", "As `some_words`.", |a| give(words::snake_case(&text(a)?))),
    pure("quote_shell", TEXT, "string", "As one word for a POSIX shell.", |a| give(quote_shell(&text(a)?))),
    pure("format_bytes", &[named("n", &["bytes"], Type::Num)], "string", "As `1.5 KiB`.", |a| {
        give(layout::format_bytes(number(a, "n")?))
    }),
    pure("format_duration", &[named("seconds", &["s"], Type::Num)], "string", "As `4m10s`.", |a| {
        give(layout::format_duration(number(a, "seconds")?))
    }),
];

fn on(args: &Args, test: fn(&str) -> bool) -> Reply {
    give(test(&text(args)?))
}

fn on_part(args: &Args, test: fn(&str, &str) -> bool) -> Reply {
    give(test(&text(args)?, &args.text("part")?))
}

fn indent(args: &Args) -> Reply {
    let prefix = match args.get("prefix") {
        Some(Data::Num(_)) => " ".repeat(count(args, "prefix", 1000)?),
        Some(other) => other.to_text().unwrap_or_else(|| "  ".into()),
        None => "  ".into(),
    };
    let text = text(args)?;
    super::bounded(text.matches('\n').count().checked_add(1).and_then(|lines| lines.checked_mul(prefix.len())))?;
    give(layout::indent(&text, &prefix))
}
