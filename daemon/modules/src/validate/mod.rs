//! The module `validate`: questions about values, answered `ok, err`.

mod schema;

use std::net::IpAddr;

use sloth_lua::{Args, Data, Failure, Family, Function, Module, Param, Reply, Tier, Type};

pub(crate) use schema::check as check_schema;

use crate::describe::{any, family, luau, may, named, need, number, pure};
use crate::strings::{compile, is_email, is_url};

/// The module `validate`.
pub const MODULE: Module = Module {
    name: "validate",
    aliases: &[],
    tier: Tier::Here,
    about: "Checks of values; each function returns true, or false and what is wrong.",
    functions: FUNCTIONS,
    prelude: concat!(include_str!("../forms.luau"), include_str!("validate.luau")),
};

const S: Param = named("value", &["s", "text", "v"], Type::Any);
const ONE: &[Param] = &[S];
const ANSWER: &str = "(boolean, string?)";

const fn check(
    name: &'static str,
    params: &'static [Param],
    about: &'static str,
    body: fn(&Args) -> Reply,
) -> Function {
    family(pure(name, params, ANSWER, about, body), Family::Raw)
}

const FUNCTIONS: &[Function] = &[
    luau("required", &[need("tbl", Type::Map), need("keys", Type::List)], ANSWER, "All these members are there."),
    luau("type", &[need("v", Type::Any), need("t", Type::Str)], ANSWER, "The value is of a type."),
    luau("one_of", &[need("v", Type::Any), need("list", Type::List)], ANSWER, "The value is in a list."),
    check(
        "range",
        &[named("n", &["value"], Type::Num), may("min", Type::Num, ""), may("max", Type::Num, "")],
        "The number is between two others.",
        range,
    ),
    check("email", ONE, "The text is a mail address.", |a| of_text(a, "mail address", is_email)),
    check("url", ONE, "The text is an absolute URL with a host.", |a| of_text(a, "URL", is_url)),
    check("ip", ONE, "The text is an address of IPv4 or IPv6.", |a| {
        of_text(a, "IP address", |text| text.parse::<IpAddr>().is_ok())
    }),
    check("cidr", ONE, "The text is a network such as `10.0.0.0/8`.", |a| {
        of_text(a, "network (address/bits)", is_cidr)
    }),
    check("regex", &[S, named("pattern", &["re"], Type::Str)], "The text matches a regular expression.", regex),
    check(
        "length",
        &[S, may("min", Type::Int, "0"), may("max", Type::Int, "")],
        "The text has so many characters, the list so many items.",
        length,
    ),
    check("schema", &[S, need("schema", Type::Map)], "The value fits a JSON schema.", |a| {
        answer(check_schema(&any(a, "value"), &any(a, "schema"))?)
    }),
];

/// `true`, or `false` and the reason.
fn answer(problem: Option<String>) -> Reply {
    Ok(problem.map_or_else(|| vec![Data::Bool(true)], |problem| vec![Data::Bool(false), Data::text(problem)]))
}

fn shown(value: &Data) -> String {
    match value {
        Data::Str(_) => format!("{:?}", value.to_text().unwrap_or_default().chars().take(80).collect::<String>()),
        other => other.to_text().unwrap_or_else(|| other.type_name().to_owned()),
    }
}

fn of_text(args: &Args, what: &str, test: fn(&str) -> bool) -> Reply {
    let value = any(args, "value");
    match &value {
        Data::Str(_) if value.to_text().is_some_and(|text| test(&text)) => answer(None),
        value => answer(Some(format!("{} is no {what}", shown(value)))),
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.bytes().all(|byte| byte.is_ascii_digit()) && bits.parse::<u32>().is_ok_and(|bits| bits <= most)
}

fn range(args: &Args) -> Reply {
    let n = number(args, "n")?;
    let too = |bound: Option<f64>, outside: fn(&f64, &f64) -> bool, word: &str| {
        bound.filter(|bound| n.is_nan() || outside(&n, bound)).map(|bound| format!("{n} is {word} {bound}"))
    };
    answer(too(args.num("min"), f64::lt, "below").or_else(|| too(args.num("max"), f64::gt, "above")))
}

fn regex(args: &Args) -> Reply {
    let pattern = args.text("pattern")?;
    let regex = compile(&pattern).map_err(|error| Failure::argument("pattern", error))?;
    let value = any(args, "value");
    let fits = value.to_text().is_some_and(|text| regex.is_match(&text));
    answer((!fits).then(|| format!("{} does not match `{pattern}`", shown(&value))))
}

#[allow(clippy::cast_possible_wrap)] // a length fits
fn length(args: &Args) -> Reply {
    let value = any(args, "value");
    let (length, what) = match &value {
        Data::List(items) => (items.len() as i64, "items"),
        Data::Map(entries) => (entries.len() as i64, "members"),
        other => match other.to_text() {
            Some(text) => (text.chars().count() as i64, "characters"),
            None => return answer(Some(format!("{} has no length", other.type_name()))),
        },
    };
    let (min, max) = (args.int("min").unwrap_or(0), args.int("max").unwrap_or(i64::MAX));
    let problem = if length < min {
        Some(format!("{length} {what}, at least {min} expected"))
    } else {
        (length > max).then(|| format!("{length} {what}, at most {max} expected"))
    };
    answer(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, args: Args) -> (bool, String) {
        let function = FUNCTIONS.iter().find(|function| function.name == name).unwrap();
        let sloth_lua::Body::Pure(body) = function.body else { panic!("{name} is not pure") };
        let reply = body(&args).unwrap();
        (reply[0] == Data::Bool(true), reply.get(1).and_then(Data::to_text).unwrap_or_default())
    }

    fn about(name: &str, value: impl Into<Data>) -> bool {
        ask(name, Args::default().with("value", value)).0
    }

    #[test]
    fn texts() {
        assert!(about("email", "a@b.test") && !about("email", "a") && !about("email", 5.0));
        assert!(about("url", "https://a.test") && !about("url", "a.test"));
        assert!(about("ip", "::1") && about("ip", "192.0.2.1") && !about("ip", "192.0.2.256"));
        for (text, good) in [
            ("10.0.0.0/8", true),
            ("fd00::/8", true),
            ("10.0.0.0/33", false),
            ("10.0.0.0", false),
            ("10.0.0.0/+8", false),
        ] {
            assert_eq!(about("cidr", text), good, "{text}");
        }
        assert_eq!(ask("ip", Args::default().with("value", "x")), (false, "\"x\" is no IP address".into()));
    }

    #[test]
    fn sizes() {
        let range = |n: f64| ask("range", Args::default().with("n", n).with("min", 1.0).with("max", 5.0));
        assert!(range(1.0).0 && range(5.0).0);
        assert_eq!(range(6.0), (false, "6 is above 5".into()));
        assert!(!range(f64::NAN).0);
        let length =
            |value: Data| ask("length", Args::default().with("value", value).with("min", 2.0).with("max", 3.0));
        assert!(length("äö".into()).0);
        assert_eq!(length(Data::texts(["a"])), (false, "1 items, at least 2 expected".into()));
        assert!(regex(&Args::default().with("value", "x").with("pattern", "(")).unwrap_err().raise);
    }
}
