//! Filters: `{{ x | upper | default("y") }}`.

use base64::Engine as _;
use sloth_lua::Data;

use super::render::{is_true, shown};

/// Applies one; the error says what is wrong.
pub fn apply(name: &str, subject: Data, args: &[Data]) -> Result<Data, String> {
    let text = || shown(&subject);
    let arg = |at: usize| args.get(at).map(shown).ok_or_else(|| format!("filter {name:?} needs an argument"));
    let number = |at: usize| {
        let value = args.get(at).and_then(Data::to_text).and_then(|text| text.parse::<f64>().ok());
        value.ok_or_else(|| format!("filter {name:?} needs a number"))
    };
    Ok(match name {
        "upper" => text().to_uppercase().into(),
        "lower" => text().to_lowercase().into(),
        "title" | "capitalize" => title(&text(), name == "title").into(),
        "trim" => text().trim().into(),
        "default" => match (&subject, args.first()) {
            (_, None) => return Err("filter \"default\" needs an argument".to_owned()),
            (Data::Nil, Some(other)) => other.clone(),
            (Data::Str(bytes), Some(other)) if bytes.is_empty() => other.clone(),
            _ => subject,
        },
        "required" if subject == Data::Nil => return Err(arg(0).unwrap_or_else(|_| "a value is required".to_owned())),
        "required" => subject,
        "length" | "len" | "count" => (length(&subject) as u64).into(),
        "join" => list(subject)?.iter().map(shown).collect::<Vec<_>>().join(&arg(0).unwrap_or_default()).into(),
        "split" => Data::texts(text().split(&arg(0)?).map(str::to_owned)),
        "lines" => Data::texts(text().lines().map(str::to_owned)),
        "replace" => text().replace(&arg(0)?, &arg(1)?).into(),
        "prefix" => format!("{}{}", arg(0)?, text()).into(),
        "suffix" => format!("{}{}", text(), arg(0)?).into(),
        "contains" => match &subject {
            Data::List(items) => items.contains(args.first().unwrap_or(&Data::Nil)).into(),
            _ => text().contains(&arg(0)?).into(),
        },
        "startswith" | "starts_with" => text().starts_with(&arg(0)?).into(),
        "endswith" | "ends_with" => text().ends_with(&arg(0)?).into(),
        "first" => list(subject)?.first().cloned().unwrap_or_default(),
        "last" => list(subject)?.last().cloned().unwrap_or_default(),
        "reverse" => match subject {
            Data::Str(_) => shown(&subject).chars().rev().collect::<String>().into(),
            other => Data::List(list(other)?.into_iter().rev().collect()),
        },
        "sort" => {
            let mut items = list(subject)?;
            items.sort_by(order);
            Data::List(items)
        }
        "unique" => {
            let mut kept: Vec<Data> = Vec::new();
            for item in list(subject)? {
                if !kept.contains(&item) {
                    kept.push(item);
                }
            }
            Data::List(kept)
        }
        "keys" => Data::texts(map(subject)?.into_iter().map(|(key, _)| key)),
        "values" => Data::List(map(subject)?.into_iter().map(|(_, value)| value).collect()),
        "int" | "round" | "float" | "abs" => numeric(name, &text())?,
        "string" => text().into(),
        "bool" => is_true(&subject).into(),
        "json" | "to_json" | "tojson" => subject.to_json().to_string().into(),
        "pretty_json" => serde_json::to_string_pretty(&subject.to_json()).map_err(|error| error.to_string())?.into(),
        "quote" => format!("{:?}", text()).into(),
        "squote" => format!("'{}'", text()).into(),
        "shell_quote" | "quote_shell" => shell_words::quote(&text()).into_owned().into(),
        "base64" | "b64encode" | "base64_encode" => base64::engine::general_purpose::STANDARD.encode(text()).into(),
        "b64decode" | "base64_decode" => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(text().trim());
            Data::Str(decoded.map_err(|error| error.to_string())?)
        }
        "sha256" => crate::files::digest::sha256_of(text().as_bytes()).into(),
        "indent" => indent(&text(), number(0)?, false).into(),
        "nindent" => format!("\n{}", indent(&text(), number(0)?, true)).into(),
        "truncate" => text().chars().take(whole(number(0)?)).collect::<String>().into(),
        "basename" => text().rsplit('/').next().unwrap_or_default().into(),
        _ => return Err(format!("unknown filter {name:?}")),
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
fn whole(number: f64) -> usize {
    number.max(0.0) as usize
}

fn title(text: &str, all: bool) -> String {
    let mut at_start = true;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if at_start && c.is_alphabetic() {
            out.extend(c.to_uppercase());
            at_start = false;
        } else {
            out.push(c);
            at_start = at_start && !c.is_alphanumeric() || all && c.is_whitespace();
        }
    }
    out
}

fn indent(text: &str, by: f64, first: bool) -> String {
    let space = " ".repeat(whole(by).min(256));
    let lines = text.split('\n').enumerate();
    let indented =
        lines.map(
            |(at, line)| {
                if line.is_empty() || at == 0 && !first { line.to_owned() } else { format!("{space}{line}") }
            },
        );
    indented.collect::<Vec<_>>().join("\n")
}

fn numeric(name: &str, text: &str) -> Result<Data, String> {
    let number: f64 = text.trim().parse().map_err(|_| format!("{text:?} is not a number"))?;
    Ok(match name {
        "int" => number.trunc(),
        "round" => number.round(),
        "abs" => number.abs(),
        _ => number,
    }
    .into())
}

fn length(subject: &Data) -> usize {
    match subject {
        Data::Nil => 0,
        Data::List(items) => items.len(),
        Data::Map(entries) => entries.len(),
        other => shown(other).chars().count(),
    }
}

/// Items of a list; of a map its values.
pub fn list(subject: Data) -> Result<Vec<Data>, String> {
    match subject {
        Data::List(items) => Ok(items),
        Data::Map(entries) => Ok(entries.into_iter().map(|(_, value)| value).collect()),
        Data::Nil => Ok(Vec::new()),
        other => Err(format!("list expected, got {}", other.type_name())),
    }
}

fn map(subject: Data) -> Result<Vec<(String, Data)>, String> {
    match subject {
        Data::Map(entries) => Ok(entries),
        Data::List(items) if items.is_empty() => Ok(Vec::new()),
        other => Err(format!("table with names expected, got {}", other.type_name())),
    }
}

/// Numbers by value, everything else by its text.
pub fn order(a: &Data, b: &Data) -> std::cmp::Ordering {
    match (a, b) {
        (Data::Num(a), Data::Num(b)) => a.total_cmp(b),
        _ => shown(a).cmp(&shown(b)),
    }
}
