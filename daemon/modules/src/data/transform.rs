//! A batch as text or file: checked, encoded, compressed.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use sloth_lua::{Call, Data, Failure, Reply};

use super::table::csv_generate;
use crate::describe::{give, list};
use crate::documents::{JSON, Style, YAML, save_text};
use crate::validate::check_schema;

/// `_transform`: the items are those that the script's own functions have let through.
pub(super) fn transform(call: Call) -> Reply {
    let args = &call.args;
    let mut rejected = match args.get("rejected") {
        Some(Data::List(items)) => items.clone(),
        _ => Vec::new(),
    };
    let mut items = Vec::new();
    let objects_only = args.flag("objects");
    for (index, item) in list(args, "items")?.into_iter().enumerate() {
        let problem = match args.get("schema") {
            _ if objects_only && !matches!(item, Data::Map(_)) => Some(format!("is a {}, not an object", kind(&item))),
            Some(schema) => check_schema(&item, schema)?,
            None => None,
        };
        match problem {
            None => items.push(item),
            Some(problem) => rejected.push(Data::map([
                ("index", Data::from(index as u64 + 1)),
                ("item", item),
                ("error", Data::text(problem)),
            ])),
        }
    }
    if let (Some(first), false) = (rejected.first(), args.flag("allow_rejects")) {
        let text = |name: &str| first.get(name).and_then(Data::to_text).unwrap_or_default();
        let more = if rejected.len() > 1 { format!(" (and {} more)", rejected.len() - 1) } else { String::new() };
        return Err(Failure::new(format!("validation failed: item {}: {}{more}", text("index"), text("error"))));
    }
    let count = items.len();
    let text = encode(items, args.opt_text("format").as_deref().unwrap_or("json"))?;
    let bytes = compress(text.into_bytes(), args.get("compression"))?;
    let mut entries = vec![
        ("count".to_owned(), Data::from(count as u64)),
        ("bytes".to_owned(), Data::from(bytes.len() as u64)),
        ("rejected".to_owned(), Data::List(rejected)),
    ];
    if let Some(path) = args.opt_text("output") {
        let path = call.ctx.resolve(&path);
        if let Some(Data::Map(outcome)) = save_text(&call, &path, &bytes)?.pop() {
            entries.extend(outcome);
        }
    }
    entries.push(("data".to_owned(), Data::Str(bytes)));
    give(Data::Map(entries))
}

fn kind(value: &Data) -> &'static str {
    if matches!(value, Data::List(_)) { "list" } else { value.type_name() }
}

fn encode(items: Vec<Data>, format: &str) -> Result<String, Failure> {
    match format {
        "json" => JSON.write(&Data::List(items), Style::default()),
        "yaml" => YAML.write(&Data::List(items), Style::default()),
        "csv" => csv_generate(&items, b',', None),
        "jsonl" | "ndjson" => {
            let mut text = String::new();
            for item in &items {
                text.push_str(&JSON.write(item, Style::default())?);
                text.push('\n');
            }
            Ok(text)
        }
        other => Err(Failure::argument("format", format_args!("json, jsonl, csv or yaml expected, got {other:?}"))),
    }
}

fn compress(bytes: Vec<u8>, how: Option<&Data>) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("compression: {error}"));
    match how {
        None | Some(Data::Bool(false)) => Ok(bytes),
        Some(Data::Bool(true)) => gzip(&bytes).map_err(failed),
        Some(name) => match name.to_text().as_deref() {
            Some("gzip" | "gz") => gzip(&bytes).map_err(failed),
            Some("zstd" | "zst") => zstd::encode_all(bytes.as_slice(), 3).map_err(failed),
            Some("none" | "") => Ok(bytes),
            other => Err(Failure::argument("compression", format_args!("gzip or zstd expected, got {other:?}"))),
        },
    }
}

/// Without time and name, so that the same batch is the same file.
fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Caller;
    use sloth_lua::Args;
    use std::io::Read;

    fn items() -> Args {
        let item = |n: f64| Data::map([("n", Data::Num(n))]);
        Args::default().with("items", Data::List(vec![item(1.0), item(2.0)]))
    }

    fn run(args: Args) -> Result<Data, String> {
        transform(Caller::new().call(args)).map(|mut reply| reply.remove(0)).map_err(|failure| failure.message)
    }

    #[test]
    fn formats_and_compressions() {
        for (format, text) in [
            ("json", "[{\"n\":1},{\"n\":2}]"),
            ("jsonl", "{\"n\":1}\n{\"n\":2}\n"),
            ("csv", "n\n1\n2\n"),
            ("yaml", "- n: 1\n- n: 2\n"),
        ] {
            let made = run(items().with("format", format)).unwrap();
            assert_eq!(made.get("data"), Some(&Data::text(text)), "{format}");
            assert_eq!(made.get("bytes"), Some(&Data::from(text.len() as u64)));
        }
        let Some(Data::Str(gzip)) = run(items().with("compression", true)).unwrap().get("data").cloned() else {
            panic!()
        };
        let mut text = String::new();
        flate2::read::GzDecoder::new(gzip.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "[{\"n\":1},{\"n\":2}]");
        let Some(Data::Str(zst)) = run(items().with("compression", "zstd")).unwrap().get("data").cloned() else {
            panic!()
        };
        assert_eq!(zstd::decode_all(zst.as_slice()).unwrap(), text.as_bytes());
    }

    /// "`validation=true` rejects non-objects and, with `schema`, violations; any rejection without `allow_rejects` is
    /// `nil, "validation failed: …"`".
    #[test]
    fn rejections() {
        let mixed =
            || Args::default().with("items", Data::List(vec![Data::Num(7.0), Data::map([("n", Data::Num(1.0))])]));
        let error = run(mixed().with("objects", true)).unwrap_err();
        assert_eq!(error, "validation failed: item 1: is a number, not an object");
        let made = run(mixed().with("objects", true).with("allow_rejects", true)).unwrap();
        assert_eq!(made.get("count"), Some(&Data::Num(1.0)));
        let schema = Data::map([("required", Data::texts(["m"]))]);
        let error = run(items().with("schema", schema)).unwrap_err();
        assert_eq!(error, "validation failed: item 1: m is missing (and 1 more)");
    }

    #[test]
    fn files_are_written_when_they_differ_and_not_in_check_mode() {
        let caller = Caller::new();
        let write = || transform(caller.call(items().with("output", "o.json"))).unwrap().remove(0);
        assert_eq!(write().get("changed"), Some(&Data::Bool(true)));
        assert_eq!(write().get("changed"), Some(&Data::Bool(false)));
        let checking = Caller::checking();
        let made = transform(checking.call(items().with("output", "o.json"))).unwrap().remove(0);
        assert_eq!(made.get("simulated"), Some(&Data::Bool(true)));
        assert!(!checking.work().join("o.json").exists());
    }
}
